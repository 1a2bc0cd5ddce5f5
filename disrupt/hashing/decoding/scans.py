"""Bound the work that a JPEG file asks for: a decoder visits the whole picture in each scan.

Of JPEG within TIFF, libtiff itself refuses more than 100 scans of a strip.
"""

from __future__ import annotations

import re

_SEGMENT_PX = 4096
"""Pixels that a segment counts for in any case: finding it and setting up a scan take time."""

_SOS = b"\xff\xda"
_MARKER = re.compile(rb"\xff([^\0\xd0-\xd7\xff])", re.DOTALL)
_SOI, _EOI, _TEM = 0xD8, 0xD9, 0x01


def scanned_px(data: bytes, size_px: int, most_px: int) -> int:
    """Return how many pixels the scans of a JPEG file of this size visit, or more than ``most_px``.

    An estimate from above where that is far below it: entropy-coded data never hold the marker of
    a scan, but an embedded picture or whatever follows the end may (ITU-T T.81, B.1.1 and B.2).
    """
    total_px = data.count(_SOS) * (size_px + _SEGMENT_PX)
    if total_px <= most_px:
        return total_px
    total_px = at = 0
    while total_px <= most_px and (marker := _MARKER.search(data, at)):
        at, code = marker.end(), marker[1][0]
        if code == _EOI:
            break
        if code in {_SOI, _TEM}:
            continue
        total_px += _SEGMENT_PX + (size_px if code == _SOS[1] else 0)
        at += int.from_bytes(data[at : at + 2])
    return total_px
