"""PNG files (PNG, third edition): their chunks, of which some are passed over, and their pixels."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import cast

import numpy as np
from PIL import Image, ImagePalette, PngImagePlugin

from disrupt.hashing.decoding.rows import CountsRows

_MOST_CHUNKS = 100_000
"""Most chunks of a file; one of 32 MiB has 4096 of the usual 8 KiB."""

_ENDED = b"the chunk after the pixels"
_FRAMES = {b"fcTL", b"fdAT"}
_BEFORE_PIXELS = {
    *(b"IHDR", b"PLTE", b"tRNS", b"acTL", b"eXIf"),
    *(b"cICP", b"iCCP", b"gAMA", b"cHRM", b"sRGB"),
}
"""Chunks that are read besides pixels and frames, the first of each kind. Pillow would read the
last, and take a keyword of a text for an entry of its own."""

_MOST_FRAMES = 1 << 31
_MOST_NAME_BYTES = 79
_MOST_INTENT = 3

_SIZES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"acTL": 8}
_GREY, _COLOURS, _PALETTE = 0, 2, 3
_KEY_SIZES = {_GREY: 2, _COLOURS: 6}
"""Bytes of ``tRNS`` in files of these types of colours."""

_COLOURS_16 = "RGB;16B"
_MOST_COLOURS = 256

_RGB_FULL_RANGE = [0, 1]

_END = b"\0\0\0\0IEND\xae\x42\x60\x82"


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    content: memoryview
    crc: bytes

    @property
    def end(self) -> int:
        return self.start + len(self.content) + 12

    def is_sound(self) -> bool:
        """Tell whether Pillow can read a chunk that the pixels do not need."""
        if len(self.content) != _SIZES.get(self.kind, len(self.content)):
            return False
        if self.kind == b"acTL" and not 0 < int.from_bytes(self.content[:4]) <= _MOST_FRAMES:
            return False
        if self.kind == b"iCCP":
            name, _, compressed = bytes(self.content[: _MOST_NAME_BYTES + 2]).partition(b"\0")
            if not 0 < len(name) <= _MOST_NAME_BYTES or not compressed.startswith(b"\0"):
                return False
        if self.kind == b"sRGB" and self.content[0] > _MOST_INTENT:
            return False
        return zlib.crc32(self.content, zlib.crc32(self.kind)) == int.from_bytes(self.crc)


def repaired(data: bytes) -> bytes:
    """Return a PNG file without chunks that browsers pass over, and with the right sum of its end.

    The file itself if it has none (PNG, section 5.4). ValueError for too many chunks.
    """
    pieces, kept = list[memoryview](), 0
    view = memoryview(data)
    seen = set[bytes]()
    for chunk in read_chunks(view):
        is_end = chunk.kind == b"IEND" and data[chunk.start : chunk.end] != _END
        if is_end or not _is_read(chunk, seen, data[25]):
            pieces.append(view[kept : chunk.start])
            kept = chunk.end
        else:
            seen.add(chunk.kind)
        if is_end:
            pieces.append(memoryview(_END))
    return b"".join([*pieces, view[kept:]]) if pieces else data


def _is_read(chunk: _Chunk, seen: set[bytes], colour: int) -> bool:
    """Tell whether a chunk after those in ``seen`` is read, in a file of this type of colours."""
    if chunk.kind == b"IDAT":
        return _ENDED not in seen
    if b"IDAT" in seen:
        seen.add(_ENDED)
    if chunk.kind == b"IEND":
        return True
    if chunk.kind in _FRAMES:
        return b"acTL" in seen
    is_first = chunk.kind in _BEFORE_PIXELS and seen.isdisjoint({b"IDAT", chunk.kind})
    if chunk.kind == b"cICP" and b"PLTE" in seen:
        return False
    if chunk.kind == b"tRNS":
        has_palette = colour != _PALETTE or b"PLTE" in seen
        is_sized = len(chunk.content) == _KEY_SIZES.get(colour, len(chunk.content))
        return is_first and has_palette and is_sized and chunk.is_sound()
    return is_first and (chunk.kind[:1].isupper() or chunk.is_sound())


def read_chunks(file: bytes | memoryview) -> Iterator[_Chunk]:
    """Yield the chunks up to the end, or to one that ends outside the file.

    ValueError for too many.
    """
    data, at = memoryview(file), 8
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            return
        size, kind = int.from_bytes(data[at : at + 4]), bytes(data[at + 4 : at + 8])
        content = data[at + 8 : at + 8 + size]
        crc = bytes(data[at + 8 + size : at + size + 12])
        if len(crc) < 4:  # noqa: PLR2004
            return
        yield _Chunk(kind, at, content, crc)
        if kind == b"IEND":
            return
        at += size + 12
    raise ValueError("too many chunks")


class PngFile(CountsRows, PngImagePlugin.PngImageFile):
    """A PNG whose transparent colour is read at the file's own depth (section 11.3.2.1).

    Indices beyond its palette show the last colour of that. ``data`` is the file.
    """

    _key_16: tuple[int, ...] | None = None

    def _open(self) -> None:
        """Complete the palette, and scale the transparent colour as Pillow scales the pixels."""
        super()._open()
        self.data = cast("io.BytesIO", self.fp).getvalue()
        if self.palette:
            colours = bytes(self.palette.palette)
            missing = _MOST_COLOURS - len(colours) // 3
            self.palette = ImagePalette.raw("RGB", colours + missing * colours[-3:])
        key = self.info.get("transparency")
        stored = self.tile[0].args
        if isinstance(key, int) and stored in {"L;2", "L;4"}:
            self.info["transparency"] = key * {"L;2": 85, "L;4": 17}[stored]
        elif isinstance(key, tuple) and stored == _COLOURS_16:
            self._key_16 = key
            self.info["transparency"] = tuple(level >> 8 for level in key)

    def shown(self) -> Image.Image:
        """Return colours of 16 bits with alpha where all bits are those of the transparent colour.

        Pillow keeps the upper bytes alone. The lower ones are the upper ones of another byte order.
        """
        if self._key_16 is None or "transparency" not in self.info:
            return self
        lower = PngImagePlugin.PngImageFile(io.BytesIO(self.data))
        lower.tile = [lower.tile[0]._replace(args="RGB;16L")]
        levels = np.asarray(self), np.asarray(lower)
        keyed = np.ones(levels[0].shape[:2], bool)
        for band, level in enumerate(self._key_16):
            keyed &= (levels[0][..., band] == level >> 8) & (levels[1][..., band] == level & 0xFF)
        image = Image.merge("RGB", self.split())
        image.putalpha(Image.fromarray(np.where(keyed, np.uint8(0), np.uint8(255))))
        return image

    def colour_numbers(self) -> tuple[int, int] | None:
        """Return the numbers of primaries and transfer function that a chunk cICP names."""
        for chunk in takewhile(lambda chunk: chunk.kind != b"IDAT", read_chunks(self.data)):
            if chunk.kind == b"cICP":
                primaries, transfer, *rest = chunk.content
                return (primaries, transfer) if rest == _RGB_FULL_RANGE else None
        return None
