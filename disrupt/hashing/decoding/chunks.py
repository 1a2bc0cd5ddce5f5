"""PNG files without the chunks that browsers pass over and Pillow refuses (PNG, section 5.4)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD_BYTES = 8
_FRAMES = {b"acTL", b"fcTL", b"fdAT"}
_SIZES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}
_COMPRESSED_TEXTS = {b"zTXt", b"iTXt"}
"""Pillow refuses long ones."""

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
        """Tell whether Pillow takes the chunk, of one that is not needed for the pixels."""
        if self.kind in _COMPRESSED_TEXTS or len(self.content) != _SIZES.get(
            self.kind, len(self.content)
        ):
            return False
        if self.kind == b"iCCP":
            _, separator, compressed = bytes(self.content).partition(b"\0")
            if not separator or not compressed.startswith(b"\0"):
                return False
        return zlib.crc32(self.content, zlib.crc32(self.kind)) == int.from_bytes(self.crc)


def with_sound_chunks(data: bytes) -> bytes:
    """Return a PNG file without unsound ancillary chunks, and with the right sum of its end.

    The file itself if there is none.
    """
    pieces, kept = list[memoryview](), 0
    view = memoryview(data)
    for chunk in _chunks(view):
        is_end = chunk.kind == b"IEND" and data[chunk.start : chunk.end] != _END
        is_ancillary = chunk.kind[:1].islower() and chunk.kind not in _FRAMES
        if is_end or (is_ancillary and not chunk.is_sound()):
            pieces.append(view[kept : chunk.start])
            kept = chunk.end
        if is_end:
            pieces.append(memoryview(_END))
    return b"".join([*pieces, view[kept:]]) if pieces else data


def _chunks(data: memoryview) -> Iterator[_Chunk]:
    """Yield the chunks up to the end, or to one that ends outside the file."""
    at = 8
    while at + _HEAD_BYTES <= len(data):
        size, kind = int.from_bytes(data[at : at + 4]), bytes(data[at + 4 : at + _HEAD_BYTES])
        content = data[at + _HEAD_BYTES : at + _HEAD_BYTES + size]
        crc = bytes(data[at + _HEAD_BYTES + size : at + size + 12])
        if len(crc) < 4:  # noqa: PLR2004
            return
        yield _Chunk(kind, at, content, crc)
        if kind == b"IEND":
            return
        at += size + 12
