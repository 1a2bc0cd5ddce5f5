"""Detect truncated files that Pillow takes for whole although a part is missing."""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Iterable, Iterator

from PIL import Image, ImageChops

from disrupt.hashing.decoding.scans import open_jpeg, send_all

_IEND = b"IEND\xae\x42\x60\x82"

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
"""First column and row, then steps, of the passes of an interlaced file but the last one."""

_INFLATED_BYTES = 1 << 16

_SOS, _EOI = b"\xff\xda", b"\xff\xd9"

_FILLINGS = [
    b"".join(
        noise.randbytes(64).replace(b"\xff", b"\0") + bytes([0xFF, restart])
        for restart in range(0xD0, 0xD8)
    )
    for noise in (random.Random(1), random.Random(2))  # noqa: S311
]
"""Data of scans: noise, with every marker at which a decoder may begin anew."""


def with_end_of_jpeg(data: bytes) -> bytes:
    """Return a JPEG file with the marker of its end, if this is all that it lacks.

    Data after those of all pixels change nothing. Where some are missing, a decoder makes pixels of
    them. Decodes a file without the marker twice.
    """
    if data.endswith(_EOI) or data.find(_EOI, data.rfind(_SOS)) >= 0 or not send_all(data):
        return data
    scans = data.removesuffix(_EOI[:1])
    images = (open_jpeg(io.BytesIO(scans + filling + _EOI)) for filling in _FILLINGS)
    return data if ImageChops.difference(*images).getbbox() else scans + _EOI


def gif_is_whole(data: bytes) -> bool:
    """Tell whether blocks follow each other up to the trailer (GIF89a, appendix B).

    Pillow takes a file that ends within or after its first frame for one of a single frame.
    """
    at = 13 + _table_bytes(data[10:11])
    while True:
        match data[at : at + 1]:
            case b"\x3b":
                return True
            case b"\x21":
                at += 2
            case b"\x2c":
                at += 11 + _table_bytes(data[at + 9 : at + 10])
            case _:
                return False
        while size := int.from_bytes(data[at : at + 1]):
            at += size + 1
        at += 1


def png_is_whole(data: bytes, image: Image.Image) -> bool:
    """Tell whether a PNG has all the pixels that its header declares, and its last chunk.

    Pillow leaves pixels black where the compressed stream ends early, so that only a picture with a
    black line at its end is inflated a second time, a piece at a time.
    """
    if _IEND not in data:
        return False
    end = image.crop((0, max(image.height - 2, 0), image.width, image.height))
    if all(any(_line(end, y)) for y in range(end.height)):
        return True
    header = dict(_chunks(data))[b"IHDR"]
    return _inflates_to(
        _raw_bytes(header), (content for kind, content in _chunks(data) if kind == b"IDAT")
    )


def _inflates_to(raw_bytes: int, pieces: Iterable[bytes]) -> bool:
    """Tell whether a compressed stream, given in pieces, holds at least ``raw_bytes``."""
    missing = raw_bytes
    inflate = zlib.decompressobj()
    try:
        for piece in pieces:
            rest = piece
            while rest:
                missing -= len(inflate.decompress(rest, _INFLATED_BYTES))
                if missing <= 0:  # Ignore the rest: flushing it takes memory without bound.
                    return True
                rest = inflate.unconsumed_tail
        return missing <= len(inflate.flush())
    except zlib.error:
        return False


def _line(image: Image.Image, y: int) -> bytes:
    return image.crop((0, y, image.width, y + 1)).tobytes()


def _table_bytes(flags: bytes) -> int:
    """Return the size in bytes of the colour table that a byte of flags declares."""
    packed = int.from_bytes(flags)
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each chunk (PNG, section 5.3)."""
    at = 8
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += size + 12


def _raw_bytes(header: bytes) -> int:
    """Return the bytes of all filtered lines, from the content of IHDR (PNG, sections 7.2, 8.2)."""
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    depth, colour, interlaced = header[8], header[9], header[12]
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(0, 0, 1, 1)] if not interlaced else [*_ADAM7, (0, 1, 1, 2)]
    total = 0
    for left, top, across, down in passes:
        columns, lines = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and lines > 0:
            total += lines * (1 + -(-columns * bits // 8))
    return total
