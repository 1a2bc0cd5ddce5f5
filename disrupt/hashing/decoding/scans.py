"""The scans of a JPEG file: in each a decoder visits the whole picture, so they are bounded.

Of JPEG within TIFF, libtiff itself refuses more than 100 scans of a strip.
"""

from __future__ import annotations

import io
import re

from PIL import JpegImagePlugin

_SEGMENT_PX = 4096
"""Pixels that a segment counts for in any case: finding it and setting up a scan take time."""

_MOST_SEGMENTS = 10_000
"""Most that are looked at; files have some twenty."""

_SOS = b"\xff\xda"
_MARKER = re.compile(rb"\xff([^\0\xd0-\xd7\xff])", re.DOTALL)
_SOI, _EOI, _TEM = 0xD8, 0xD9, 0x01
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a picture's header."""


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


def open_jpeg(file: io.BytesIO) -> JpegImagePlugin.JpegImageFile:
    """Open a JPEG file to be decoded at once: arithmetic coding cannot wait for more of it."""
    image = JpegImagePlugin.JpegImageFile(file)
    image.decodermaxblock = file.getbuffer().nbytes
    return image


def send_all(data: bytes) -> bool:
    """Tell whether scans send each coefficient of each colour to its last bit (B.2.2, B.2.3)."""
    missing = {(0, 0)}
    at = 0
    for _ in range(_MOST_SEGMENTS):
        marker = _MARKER.search(data, at)
        if not marker:
            break
        at, code = marker.end(), marker[1][0]
        if code in {_SOI, _TEM}:
            continue
        size = int.from_bytes(data[at : at + 2])
        content = data[at + 2 : at + size]
        if code in _FRAMES:
            missing = {(colour, order) for colour in content[6::3] for order in range(64)}
        elif code == _SOS[1]:
            *colours, first, last, bits = content[1:]
            if bits & 15 == 0:
                orders = range(first, last + 1)
                missing -= {(colour, order) for colour in colours[::2] for order in orders}
        at += size
    return not missing
