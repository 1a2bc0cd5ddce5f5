"""Tell video files from picture files by their first bytes. Imports no decoder."""

from __future__ import annotations

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

_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WebP"),
    (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"BM", "BMP"),
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL ", "JPEG XL"),
    (4, b"jP  ", "JPEG 2000"),
    (4, b"ftyp", "MP4 or QuickTime"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (8, b"AVI ", "AVI"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"\0\0\1\0", "icon"),
)
"""Offset and signature of files, and names of their formats: pictures first, then others."""

_ANIMATIONS = {"PNG", "WebP", "GIF"}
_PICTURES = {"JPEG", "TIFF", "BMP", *_ANIMATIONS}


def is_video(head: bytes) -> bool:
    """Tell whether a file with these first bytes (SNIFFED_BYTES) is a video, and no animation."""
    return picture_format(head) is None and video_format(head) is not None


def is_animation(head: bytes) -> bool:
    """Tell whether a file with these first bytes is of a picture format that may be animated."""
    return signed_format(head) in _ANIMATIONS


def video_format(head: bytes) -> str | None:
    """Return FFmpeg's name of the video format that these first bytes begin; None for others."""
    if signed_format(head) in _PICTURES:
        return None
    for at, magic, name in _VIDEOS:
        if head.startswith(magic, at):
            return name
    is_ts = any(all(head.startswith(b"G", at) for at in places) for places in _TS_SYNC)
    return "mpegts" if is_ts else None


def signed_format(head: bytes) -> str | None:
    """Return the name of the format whose signature a file has; None for others."""
    return next((name for at, magic, name in _SIGNATURES if head.startswith(magic, at)), None)
