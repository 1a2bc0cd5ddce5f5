"""WebP files: opening them already allocates their pixels, so their size is read before."""

from __future__ import annotations


def size(data: bytes) -> tuple[int, int]:
    """Read width and height from the first chunk (RFC 9649, sections 2.5 to 2.7).

    ValueError where it has none.
    """
    chunk, header = data[12:16], data[20:30]
    if len(header) == 10:  # noqa: PLR2004
        if chunk == b"VP8X":
            return 1 + int.from_bytes(header[4:7], "little"), 1 + int.from_bytes(
                header[7:10], "little"
            )
        if chunk == b"VP8L":
            bits = int.from_bytes(header[1:5], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        if chunk == b"VP8 ":
            bits = int.from_bytes(header[6:10], "little")
            return bits & 0x3FFF, bits >> 16 & 0x3FFF
    raise ValueError("no size")
