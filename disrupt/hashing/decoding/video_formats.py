"""The formats of video files, told by their first bytes."""

from __future__ import annotations

from collections.abc import Iterable

from disrupt.hashing.decoding.brands import picture_format

_SIGNATURES = (
    (4, b"ftyp", "mov"),
    (4, b"moov", "mov"),
    (4, b"mdat", "mov"),
    (4, b"wide", "mov"),
    (4, b"free", "mov"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (8, b"AVI ", "avi"),
    (0, b"\0\0\1\xba", "mpeg"),
    (0, b"\0\0\1\xb3", "mpegvideo"),
    (0, b"FLV\1", "flv"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "asf"),
    (0, b"OggS", "ogg"),
)
SNIFFED_BYTES = 389
"""First bytes of a file that identify its format."""

_TS_SYNC = ((0, 188, 376), (4, 196, 388))
"""Where packets have the byte G: in transport streams, plain and with times."""

_ANIMATIONS = ((0, b"GIF8"), (8, b"WEBP"), (0, b"\x89PNG\r\n\x1a\n"))
_PICTURES = (*_ANIMATIONS, (0, b"\xff\xd8\xff"), (0, b"BM"), (0, b"II*\0"), (0, b"MM\0*"))

FORMATS = (
    *("MP4", "QuickTime", "WebM", "Matroska", "AVI", "MPEG", "FLV", "WMV", "Ogg"),
    *("GIF", "WebP", "PNG"),
)
"""Names of the formats, for messages to people."""


def is_animation(head: bytes) -> bool:
    """Tell whether a file with these first bytes may be a picture that moves."""
    return _starts_as(head, _ANIMATIONS)


def is_video(head: bytes) -> bool:
    """Tell whether a file with these first bytes (SNIFFED_BYTES) is a video, and no animation."""
    return picture_format(head) is None and kind_of(head) is not None


def kind_of(head: bytes) -> str | None:
    """Return FFmpeg's name of the format of a file with these first bytes, or None."""
    if _starts_as(head, _PICTURES):
        return None
    for at, magic, kind in _SIGNATURES:
        if head.startswith(magic, at):
            return kind
    is_ts = any(all(head.startswith(b"G", at) for at in places) for places in _TS_SYNC)
    return "mpegts" if is_ts else None


def _starts_as(head: bytes, signatures: Iterable[tuple[int, bytes]]) -> bool:
    return any(head.startswith(magic, at) for at, magic in signatures)
