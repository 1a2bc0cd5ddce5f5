"""GIF files as browsers show them: Pillow paints their frames in another way."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import GifImagePlugin, Image

from disrupt.hashing.decoding.rows import CountsRows

_IMAGE, _EXTENSION, _TRAILER = b",!;"
_CONTROL = 0xF9

_TO_PAGE, _TO_PREVIOUS = 2, 3
"""Disposal of a frame before the next one is painted (GIF89a, section 23)."""


class GifFile(CountsRows, GifImagePlugin.GifImageFile):
    """A GIF whose page is transparent where no frame covers it; later frames may have colours.

    Pillow fills such places with a colour of the palette. And where the first frame is of grey
    levels, it takes the indices of later frames for levels, whatever their palette.
    """

    def _seek(self, frame: int, update_image: bool = True) -> None:  # noqa: FBT001, FBT002 as in Pillow
        if frame and update_image:
            self.load()
            cleared = self.disposal_method == _TO_PAGE or (
                frame == 1 and self.disposal_method == _TO_PREVIOUS
            )
            if cleared:
                self._turn_into("RGBA")
                left, top, right, bottom = self._extent
                self.dispose = Image.new("RGBA", (right - left, bottom - top)).im
            elif self.mode == "L":
                self._turn_into("RGBA" if self.has_transparency_data else "RGB")
        self.disposal_method = 0  # Pillow applies that of the frame before if a frame names none.
        super()._seek(frame, update_image)
        if frame == 0:
            # Grey levels in order are no palette to Pillow, which keeps that of the whole file.
            if not self._frame_palette:
                self.palette = None
            if self._shows_page:
                self._mode = "RGBA"

    def load_end(self) -> None:
        """Make transparent what the first frame, or a page that grows, leaves uncovered."""
        grown = self._prev_im
        if grown and grown.size != self.size:
            self._prev_im = Image.new("RGBA", self.size).im
            self._prev_im.paste(grown, (0, 0, *grown.size))
        super().load_end()
        if self.tell() == 0 and self._shows_page:
            page = Image.new("RGBA", self.size)
            page.paste(self.crop(self._extent), self._extent)
            self.im, self._mode = page.im, page.mode

    @property
    def _extent(self) -> tuple[int, int, int, int]:
        return self.dispose_extent or (0, 0, *self.size)

    @property
    def _shows_page(self) -> bool:
        """Tell whether the first frame, which has no transparent colour, leaves some uncovered."""
        return self._extent != (0, 0, *self.size) and "transparency" not in self.info

    def _turn_into(self, mode: str) -> None:
        image = self.convert(mode)
        self.im, self._mode = image.im, image.mode
        self.info.pop("transparency", None)


def repaired(data: bytes) -> bytes:
    """Return a GIF without graphic controls that another one before the same frame replaces.

    Pillow keeps the transparent colour of the first where the second has none. The file itself if
    it has no such controls.
    """
    pieces, kept = list[bytes](), 0
    earlier: tuple[int, int] | None = None
    for kind, start, end in _blocks(data):
        is_control = kind == _EXTENSION and data[start + 1] == _CONTROL
        if is_control and earlier:
            pieces.append(data[kept : earlier[0]])
            kept = earlier[1]
        if is_control:
            earlier = start, end
        elif kind == _IMAGE:
            earlier = None
    return b"".join([*pieces, data[kept:]]) if pieces else data


def is_whole(data: bytes) -> bool:
    """Tell whether a file has its trailer: without it, frames may be missing."""
    return any(kind == _TRAILER for kind, _, _ in _blocks(data))


def _blocks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield kind, start and end of each whole block, up to the trailer (GIF89a, appendix B)."""
    at = 13 + _table_bytes(data[10:11])
    while at < len(data):
        start, kind = at, data[at]
        if kind == _EXTENSION:
            at += 2
        elif kind == _IMAGE:
            at += 11 + _table_bytes(data[at + 9 : at + 10])
        elif kind == _TRAILER:
            yield kind, start, start + 1
            return
        else:
            return
        while size := int.from_bytes(data[at : at + 1]):
            at += size + 1
        at += 1
        if at <= len(data):
            yield kind, start, at


def _table_bytes(flags: bytes) -> int:
    """Return the size in bytes of the colour table that a byte of flags declares."""
    packed = int.from_bytes(flags)
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0
