"""JPEG files without segments that browsers pass over and Pillow refuses (ITU-T T.81, B.1.1)."""

from __future__ import annotations

_MOST_SEGMENTS = 10_000
"""Most segments that are looked at; files have some twenty."""

_HEAD_BYTES = 4
_TEM, _FILL = 0x01, 0xFF
_LAST = {0xDA, 0xD9}
_PHOTOSHOP = 0xED
"""Marker of Photoshop's segment, whose content no browser reads."""
_SHORTEST = {
    0xE0: (b"JFIF", 14),
    0xE2: (b"ICC_PROFILE\0", 14),
    0xEE: (b"Adobe", 12),
}
"""By marker: how the content of a segment begins, and the fewest bytes that it has."""


def with_sound_segments(data: bytes) -> bytes:
    """Return a JPEG file without unsound segments before its pixels; itself if it has none."""
    pieces, kept, at = list[memoryview](), 0, 2
    view = memoryview(data)
    for _ in range(_MOST_SEGMENTS):
        marker, code = data[at : at + 2].ljust(2, b"\0")
        if marker != _FILL or code in _LAST:
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + _HEAD_BYTES])
        if code == _FILL:
            at += 1
            continue
        if code == _TEM:
            end = at + 2
        if code == _TEM or _is_unsound(code, view[at + _HEAD_BYTES : end]):
            pieces.append(view[kept:at])
            kept = end
        at = end
    return b"".join([*pieces, view[kept:]]) if pieces else data


def _is_unsound(code: int, content: memoryview) -> bool:
    start, least_bytes = _SHORTEST.get(code, (b"", 0))
    is_named = content[: len(start)] == start
    return code == _PHOTOSHOP or (is_named and len(content) < least_bytes)
