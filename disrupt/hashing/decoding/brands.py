"""Brands of ISO files (ISO 14496-12), which tell MP4, QuickTime, AVIF and HEIC apart."""

from __future__ import annotations

_BYTES_MAX = 4096
"""Bytes of brands that are read; files have some ten brands of four bytes."""

_PICTURES = {b"avi": "AVIF", b"hei": "HEIC", b"hev": "HEIC"}
"""Formats of pictures, by the first three bytes of their brands.

Other brands, such as ``mif1`` and ``MA1B``, do not name the codec.
"""


def picture_format(head: bytes) -> str | None:
    """Return AVIF or HEIC where a file with these first bytes declares such pictures.

    Its first brand that names a codec of pictures decides, major or compatible, as in browsers.
    """
    if head[4:8] != b"ftyp":
        return None
    size = int.from_bytes(head[:4])
    first = 8
    if size == 1:  # The size follows, in 8 bytes.
        size, first = int.from_bytes(head[8:16]), 16
    # A size of 0 means to the end of the file. Between the brands is the minor version.
    end = min(size or _BYTES_MAX, _BYTES_MAX)
    starts = (head[at : at + 3] for at in (first, *range(first + 8, end, 4)))
    return next((_PICTURES[start] for start in starts if start in _PICTURES), None)
