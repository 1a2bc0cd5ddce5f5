"""Read the size of WebP files (RFC 9649) before pixels are allocated, and correct their header."""

from __future__ import annotations

_EXTENDED, _FLAGS_AT = b"VP8X", 20
_ANIMATION, _ALPHA = 0x02, 0x10


def size(data: bytes) -> tuple[int, int]:
    """Read width and height from the first chunk (sections 2.5 to 2.7).

    ValueError where it has none.
    """
    chunk, header = data[12:16], data[20:30]
    if len(header) == 10:  # noqa: PLR2004
        if chunk == _EXTENDED:
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


def repaired(data: bytes) -> bytes:
    """Return an animation whose header says that its frames have alpha, as browsers assume.

    The file itself if it says so, or is no animation.
    """
    if data[12:16] != _EXTENDED or data[_FLAGS_AT] & (_ANIMATION | _ALPHA) != _ANIMATION:
        return data
    return b"".join((data[:_FLAGS_AT], bytes([data[_FLAGS_AT] | _ALPHA]), data[_FLAGS_AT + 1 :]))
