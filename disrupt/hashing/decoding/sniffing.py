"""Tell video files from picture files by their first bytes. Imports no decoder."""

from __future__ import annotations

from collections.abc import Iterable

from disrupt.hashing.decoding.isobmff import picture_format

_VIDEOS = (
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
"""Offsets of the byte G, with which packets of transport streams begin: plain, and with times."""

_ANIMATIONS = ((0, b"GIF8"), (8, b"WEBP"), (0, b"\x89PNG\r\n\x1a\n"))
_PICTURES = (*_ANIMATIONS, (0, b"\xff\xd8\xff"), (0, b"BM"), (0, b"II*\0"), (0, b"MM\0*"))


def is_video(head: bytes) -> bool:
    """Tell whether a file with these first bytes (SNIFFED_BYTES) is a video, and no animation."""
    return picture_format(head) is None and video_format(head) is not None


def is_animation(head: bytes) -> bool:
    """Tell whether a file with these first bytes is of a picture format that may be animated."""
    return _starts_as(head, _ANIMATIONS)


def video_format(head: bytes) -> str | None:
    """Return FFmpeg's name of the video format that these first bytes begin; None for others."""
    if _starts_as(head, _PICTURES):
        return None
    for at, magic, name in _VIDEOS:
        if head.startswith(magic, at):
            return name
    is_ts = any(all(head.startswith(b"G", at) for at in places) for places in _TS_SYNC)
    return "mpegts" if is_ts else None


def _starts_as(head: bytes, signatures: Iterable[tuple[int, bytes]]) -> bool:
    return any(head.startswith(magic, at) for at, magic in signatures)
