"""Animated PNG files as browsers show them: Pillow paints their frames in another way."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, PngImagePlugin

from disrupt.hashing.decoding.pixels import from_16_bits
from disrupt.hashing.decoding.png import PngFile, read_chunks

_STRIP_PX = 256

_KEPT, _TO_PAGE, _TO_PREVIOUS = range(3)
"""Disposals of a frame, before the next one is painted (PNG, section 11.3.6.2)."""

_SOURCE, _OVER = range(2)
"""Ways to paint a frame: its alpha replaces that of the page, or shows the page through it."""

_CENTISECONDS = 100


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame: its place on the page, how it is painted, and its pixels as a PNG file."""

    box: tuple[int, int, int, int]
    duration_ms: float
    disposal: int
    blend: int
    file: bytes

    def image(self) -> Image.Image:
        """Decode the frame by itself. ValueError if its data end early."""
        image = PngFile(io.BytesIO(self.file))
        image.load()
        if image.rows < image.height:
            raise ValueError("a frame ends early")
        return image.shown()


class AnimatedPngFile(PngFile):
    """A PNG whose frames after its first image are painted on a page of 8 bits, for ``seek`` on.

    The page has no alpha until a frame, or what becomes of it, leaves some of it transparent.
    Pillow paints in the mode of the file, which may have no alpha, and keeps no page to go back to.
    """

    def _open(self) -> None:
        super()._open()
        page = 0, 0, *self.size
        if self.info.get("bbox", page) != page:
            raise ValueError("a first image smaller than its page")
        self._number = 0
        self._frames = _frames(self.data)

    def tell(self) -> int:
        """Return the number of the frame that is shown."""
        return self._number

    def seek(self, frame: int) -> None:
        """Paint the frames up to number ``frame``. EOFError where the file has fewer."""
        while self._number < frame:
            if not self._number:
                self._begin()
            self._dispose()
            self._paint(self._next())
            self._number += 1

    def _begin(self) -> None:
        """Make the page of the first image, unless that is no frame of the animation."""
        self._before: Image.Image | None = None
        self._shown: _Frame | None = None
        self._show(_in_8_bits(self.shown()))
        if self.default_image:
            self._clear((0, 0, *self.size))
        else:
            self._shown = self._next()

    def _next(self) -> _Frame:
        for frame in self._frames:
            return frame
        raise EOFError("fewer frames than the file declares")

    def _dispose(self) -> None:
        if self._shown is None or self._shown.disposal == _KEPT:
            return
        if self._before is not None:
            self.paste(self._before, self._shown.box)
        else:
            self._clear(self._shown.box)

    def _paint(self, frame: _Frame) -> None:
        # Nothing is before the first frame: it goes to the page.
        goes_back = frame.disposal == _TO_PREVIOUS and self._shown
        self._before = self.crop(frame.box) if goes_back else None
        self._shown = frame
        self.info["duration"] = frame.duration_ms
        image = frame.image()
        over = frame.blend == _OVER and image.has_transparency_data
        if image.has_transparency_data and not over:
            self._add_alpha()
        left, top, _, _ = frame.box
        for row in range(0, image.height, _STRIP_PX):
            end = min(row + _STRIP_PX, image.height)
            strip, place = _in_8_bits(image.crop((0, row, image.width, end))), (left, top + row)
            if over and self.has_transparency_data:
                self.alpha_composite(strip, place)
            else:
                self.paste(strip, place, strip if over else None)

    def _clear(self, box: tuple[int, int, int, int]) -> None:
        self._add_alpha()
        self.paste((0,) * len(self.getbands()), box)

    def _add_alpha(self) -> None:
        if not self.has_transparency_data:
            self._show(self.convert(self.mode + "A"))

    def _show(self, page: Image.Image) -> None:
        self.im, self._mode, self.palette = page.im, page.mode, None
        self.info.pop("transparency", None)


def _frames(data: bytes) -> Iterator[_Frame]:
    """Yield the frames; that of the first image, which Pillow reads, has no pixels here.

    ValueError for frames that browsers do not show (PNG, sections 11.3.6.2 and 11.3.6.3).
    """
    shared, pieces = dict[bytes, bytes](), list[memoryview]()
    control, number = b"", 0
    for chunk in read_chunks(data):
        if chunk.kind in {b"IHDR", b"PLTE", b"tRNS"}:
            shared[chunk.kind] = bytes(chunk.content)
        elif chunk.kind in {b"fcTL", b"fdAT"}:
            if int.from_bytes(chunk.content[:4]) != number:
                raise ValueError("frames out of order")
            number += 1
        if chunk.kind == b"fdAT":
            pieces.append(chunk.content[4:])
        elif chunk.kind in {b"fcTL", b"IEND"}:
            if control:
                yield _frame(control, shared, pieces)
            control, pieces = bytes(chunk.content[4:]), []


def _frame(control: bytes, shared: dict[bytes, bytes], pieces: list[memoryview]) -> _Frame:
    width, height, left, top, delay, parts, disposal, blend = struct.unpack(">4I2H2B", control)
    header = shared[b"IHDR"]
    page_width, page_height = struct.unpack_from(">2I", header)
    if not (0 < width <= page_width - left and 0 < height <= page_height - top):
        raise ValueError("a frame beyond its page")
    if disposal > _TO_PREVIOUS or blend > _OVER:
        raise ValueError("an unknown way to paint")
    file = io.BytesIO()
    file.write(b"\x89PNG\r\n\x1a\n")
    contents = {
        **shared,
        b"IHDR": control[:8] + header[8:],
        b"IDAT": b"".join(pieces),
        b"IEND": b"",
    }
    for kind, content in contents.items():
        PngImagePlugin.putchunk(file, kind, content)
    box = left, top, left + width, top + height
    return _Frame(box, 1000 * delay / (parts or _CENTISECONDS), disposal, blend, file.getvalue())


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Convert to L, RGB or, where some may be transparent, LA, RGBA."""
    if image.mode.startswith("I;16"):
        return from_16_bits(image)
    mode = "L" if image.mode in {"1", "L", "LA"} else "RGB"
    return image.convert(mode + "A" if image.has_transparency_data else mode)
