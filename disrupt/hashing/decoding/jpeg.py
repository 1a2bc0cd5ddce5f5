"""JPEG files (ITU-T T.81): their segments, scans and end."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from PIL import JpegImagePlugin

from disrupt.hashing.decoding.rows import CountsRows

_MARKER = re.compile(rb"\xff([^\0\xd0-\xd7\xff])", re.DOTALL)
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01

_MOST_SEGMENTS = 10_000
"""Most segments before the pixels that are looked at; files have some twenty."""

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = {0xC0, 0xC1}
"""Markers of a picture's header, and those of pictures that may be decoded row by row."""

_ENDING = b"\xff\0" * 8
"""Bytes after a cut file. A decoder reads 8 bytes ahead, and no code of pixels is of ones alone."""

_SEGMENT_PX = 4096
"""Pixels that a segment counts for in any case: finding it and setting up a scan take time."""

_EXIF, _EXIF_MARK = 0xE1, b"Exif\0"
_PROFILE, _PROFILE_MARK = 0xE2, b"ICC_PROFILE\0"

_PHOTOSHOP = 0xED
"""Segment whose content no browser reads."""
_SHORTEST = {
    0xE0: (b"JFIF", 14),
    _PROFILE: (_PROFILE_MARK, 14),
    0xEE: (b"Adobe", 12),
}
"""Start of the content of segments, and its least length in bytes, by marker."""


class _Segment(NamedTuple):
    """A segment: the code of its marker, and the offsets of its start, its content and its end."""

    code: int
    start: int
    content: int
    end: int


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield the segments up to the marker of the end (B.1.1).

    Bytes between segments, such as pixels, are passed over, and so are pictures within a segment.
    """
    at = 2
    while marker := _MARKER.search(data, at):
        start, at = marker.span()
        code = marker[1][0]
        if code == _EOI:
            return
        if code == _SOI:
            continue
        content, end = at + 2, at + int.from_bytes(data[at : at + 2])
        if code == _TEM:
            content = end = at
        yield _Segment(code, start, content, end)
        at = end


def _head(data: bytes) -> Iterator[_Segment]:
    """Yield the segments up to that of the first scan, inclusive."""
    for segment in islice(_segments(data), _MOST_SEGMENTS):
        yield segment
        if segment.code == _SOS:
            return


def repaired(data: bytes) -> bytes:
    """Return a JPEG file without the segments that browsers pass over and Pillow refuses.

    The file itself if it has none.
    """
    pieces, kept = list[memoryview](), 0
    view = memoryview(data)
    for segment in _head(data):
        least_start, least_bytes = _SHORTEST.get(segment.code, (b"", 0))
        content = view[segment.content : segment.end]
        is_short = len(content) < least_bytes and content[: len(least_start)] == least_start
        if segment.code in {_TEM, _PHOTOSHOP} or is_short:
            pieces.append(view[kept : segment.start])
            kept = segment.end
    return b"".join([*pieces, view[kept:]]) if pieces else data


def scanned_px(data: bytes, size_px: int, most_px: int) -> int:
    """Return how many pixels the scans of a JPEG file of this size visit, or more than ``most_px``.

    In each scan a decoder visits the whole picture, even in one of a few bytes. An estimate from
    above where that is far below ``most_px``: entropy-coded data never hold the marker of a scan,
    but an embedded picture or whatever follows the end may (B.2).

    Of JPEG within TIFF, libtiff itself refuses more than 100 scans of a strip.
    """
    total_px = data.count(bytes([0xFF, _SOS])) * (size_px + _SEGMENT_PX)
    if total_px <= most_px:
        return total_px
    total_px = 0
    for segment in _segments(data):
        total_px += _SEGMENT_PX + (size_px if segment.code == _SOS else 0)
        if total_px > most_px:
            break
    return total_px


def exif(data: bytes) -> bytes:
    """Return the first block of Exif, empty without one. The byte after its mark may be any."""
    for segment in _head(data):
        content = data[segment.content : segment.end]
        if segment.code == _EXIF and content.startswith(_EXIF_MARK):
            return content[len(_EXIF_MARK) + 1 :]
    return b""


def profile(data: bytes) -> bytes | None:
    """Return the colour profile, empty without one; None where a part of it is missing.

    Of parts with the same number (ICC.1, B.4) the first counts. They may stand anywhere before the
    pixels; Pillow reads those before the size only.
    """
    parts = dict[int, bytes]()
    count = 0
    for segment in _head(data):
        content = data[segment.content : segment.end]
        if segment.code == _PROFILE and content.startswith(_PROFILE_MARK):
            number, count = content[len(_PROFILE_MARK) : len(_PROFILE_MARK) + 2]
            parts.setdefault(number, content[len(_PROFILE_MARK) + 2 :])
    if set(parts) != set(range(1, count + 1)):
        return None
    return b"".join(parts[number] for number in sorted(parts))


class JpegFile(CountsRows, JpegImagePlugin.JpegImageFile):
    """A JPEG file that is decoded as far as it goes.

    ``is_open``: a file of several scans lacks the marker of its end. Its decoder cannot tell what
    is missing, as each scan has something of all pixels.
    """

    is_open = False

    def __init__(self, file: io.BytesIO) -> None:
        """Read the header of a file."""
        super().__init__(file)
        self._data = file.getvalue()
        self._asked_beyond = 0
        # Arithmetic coding cannot wait for more of a file.
        self.decodermaxblock = len(self._data)

    def load_read(self, read_bytes: int) -> bytes:
        """Read some of the file, and then an end for a decoder that asks for more."""
        data = super().load_read(read_bytes)
        if data:
            return data
        self._asked_beyond += 1
        if self._asked_beyond == 1:
            return _ENDING
        if self.is_open or _has_one_scan(self._data):
            return b""
        self.is_open = True
        return bytes([0xFF, _EOI])


def _has_one_scan(data: bytes) -> bool:
    """Tell whether the first scan of a file has all colours, row by row (B.2.2)."""
    frame, colours, scan = 0, b"", b""
    for segment in _head(data):
        if segment.code in _FRAMES:
            frame, colours = segment.code, data[segment.content + 5 : segment.content + 6]
        elif segment.code == _SOS:
            scan = data[segment.content : segment.content + 1]
    return frame in _SEQUENTIAL and scan == colours
