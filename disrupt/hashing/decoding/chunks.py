"""PNG files without the chunks that browsers pass over and Pillow does not (PNG, section 5.4)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

_HEAD_BYTES = 8
_MOST_CHUNKS = 100_000
"""Most chunks of a file; one of 32 MiB has 4096 of the usual 8 KiB."""

_MANY = {b"IDAT", b"IEND"}
_FRAMES = {b"fcTL", b"fdAT"}
_ANYWHERE = {b"IHDR", b"eXIf"}
_BEFORE_PIXELS = {b"PLTE", b"tRNS", b"acTL"}
_BEFORE_PALETTE = {b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"pHYs"}
"""Chunks that must come before the palette.

Of these and those above only the first of each kind is kept, and of texts none: Pillow would take
the last chunk, and any keyword of a text for a key of its own.
"""

_MOST_FRAMES = 1 << 31

_SIZES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"acTL": 8}
_KEY_SIZES = {0: 2, 2: 6}
"""Bytes of ``tRNS`` in files of grey and of colours."""

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
        if len(self.content) != _SIZES.get(self.kind, len(self.content)):
            return False
        if self.kind == b"acTL" and not 0 < int.from_bytes(self.content[:4]) <= _MOST_FRAMES:
            return False
        if self.kind == b"iCCP":
            _, separator, compressed = bytes(self.content).partition(b"\0")
            if not separator or not compressed.startswith(b"\0"):
                return False
        return zlib.crc32(self.content, zlib.crc32(self.kind)) == int.from_bytes(self.crc)


def with_sound_chunks(data: bytes) -> bytes:
    """Return a PNG file of the chunks that are read, and with the right sum of its end.

    The file itself if it has no others. ValueError for too many chunks.
    """
    pieces, kept = list[memoryview](), 0
    view = memoryview(data)
    seen = set[bytes]()
    for chunk in read_chunks(view):
        is_end = chunk.kind == b"IEND" and data[chunk.start : chunk.end] != _END
        if is_end or not _is_read(chunk, seen, data[25:26]):
            pieces.append(view[kept : chunk.start])
            kept = chunk.end
        else:
            seen.add(chunk.kind)
        if is_end:
            pieces.append(memoryview(_END))
    return b"".join([*pieces, view[kept:]]) if pieces else data


def names_colours(data: bytes) -> bool:
    """Tell whether a PNG file names its colours by numbers (cICP), which go before a profile."""
    kinds = takewhile(lambda kind: kind != b"IDAT", (chunk.kind for chunk in read_chunks(data)))
    return b"cICP" in kinds


def _is_read(chunk: _Chunk, seen: set[bytes], colour: bytes) -> bool:
    """Tell whether a chunk after those in ``seen`` is read, in a file of this type of colours."""
    if chunk.kind in _MANY:
        return True
    if chunk.kind in _FRAMES:
        return b"acTL" in seen
    is_early = (
        chunk.kind in _ANYWHERE
        or (b"IDAT" not in seen and chunk.kind in _BEFORE_PIXELS)
        or (seen.isdisjoint({b"PLTE", b"IDAT"}) and chunk.kind in _BEFORE_PALETTE)
    )
    if not is_early or chunk.kind in seen:
        return False
    if chunk.kind == b"tRNS" and len(chunk.content) != _KEY_SIZES.get(
        colour[0], len(chunk.content)
    ):
        return False
    return chunk.kind[:1].isupper() or chunk.is_sound()


def read_chunks(file: bytes | memoryview) -> Iterator[_Chunk]:
    """Yield the chunks up to the end, or to one that ends outside the file.

    ValueError for too many.
    """
    data, at = memoryview(file), 8
    for _ in range(_MOST_CHUNKS):
        if at + _HEAD_BYTES > len(data):
            return
        size, kind = int.from_bytes(data[at : at + 4]), bytes(data[at + 4 : at + _HEAD_BYTES])
        content = data[at + _HEAD_BYTES : at + _HEAD_BYTES + size]
        crc = bytes(data[at + _HEAD_BYTES + size : at + size + 12])
        if len(crc) < 4:  # noqa: PLR2004
            return
        yield _Chunk(kind, at, content, crc)
        if kind == b"IEND":
            return
        at += size + 12
    raise ValueError("too many chunks")
