"""AVIF and HEIC files that list the properties of their pictures in several boxes.

A picture with alpha is two items, colour and alpha, and an ``ipma`` box (item property association,
ISO 14496-12, 8.11.14) says which properties each has: size, codec, whether it is alpha. The
standard allows one such box for a version and flags. An encoder of AVIF writes one for each item
nevertheless: libavif refuses such files, and libheif reads the first box only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_MOST_BOXES = 1000
"""Most boxes in a file before its metadata, or in one box; files have some ten."""

_MOST_BYTES = 1 << 16
"""Most bytes of all ``ipma`` boxes of a file; one for colour and alpha takes some 30."""

_HEADER_BYTES = 8
_ESSENTIAL, _NARROW_ESSENTIAL = 1 << 15, 1 << 7


class Box(NamedTuple):
    """A box of a file: its kind, and where it starts, its content starts, and it ends."""

    kind: bytes
    start: int
    content: int
    end: int


def with_one_ipma(data: bytes) -> bytes:
    """Join the ``ipma`` boxes of an AVIF or HEIC file, so that its other bytes stay where they are.

    A ``free`` box takes the room that is left. A file with one ``ipma`` box, or one that cannot be
    read, is returned as it is; the decoder judges it.
    """
    try:
        meta = first_box(b"meta", data, 0, len(data))
        iprp = first_box(b"iprp", data, meta.content + 4, meta.end)
        boxes = list(boxes_in(data, iprp.content, iprp.end))
        parts = [data[box.content : box.end] for box in boxes if box.kind == b"ipma"]
        if len(parts) <= 1 or sum(map(len, parts)) > _MOST_BYTES:
            return data
        # Headers are written anew: a last box of size "to the end" may no longer be the last.
        kept = [_box(box.kind, data[box.content : box.end]) for box in boxes if box.kind != b"ipma"]
        joined = _box(b"iprp", b"".join(kept) + _box(b"ipma", _joined(parts)))
        left_bytes = iprp.end - iprp.start - len(joined) - _HEADER_BYTES
        free = _box(b"free", bytes(left_bytes))
    except (ValueError, struct.error):
        return data
    return b"".join((data[: iprp.start], joined, free, data[iprp.end :]))


def boxes_in(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes from ``start`` on; ValueError where they do not end at ``end``."""
    for _ in range(_MOST_BOXES):
        if start == end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        content = start + _HEADER_BYTES
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        elif size == 0:
            size = end - start
        if not content <= start + size <= end:
            raise ValueError("a box ends outside the one around it")
        yield Box(kind, start, content, start + size)
        start += size
    raise ValueError("too many boxes")


def first_box(kind: bytes, data: bytes, start: int, end: int) -> Box:
    """Return the first box of a kind; ValueError without one."""
    for box in boxes_in(data, start, end):
        if box.kind == kind:
            return box
    raise ValueError("no such box")


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", _HEADER_BYTES + len(content), kind) + content


def _joined(parts: list[bytes]) -> bytes:
    """Merge the contents of ``ipma`` boxes into the content of one, as short as possible.

    Items ascend, and each has one entry. ValueError or struct.error for contents that are no
    ``ipma`` boxes.
    """
    properties: dict[int, list[int]] = {}
    for part in parts:
        for item, numbers in properties_of(part):
            properties.setdefault(item, []).extend(numbers)
    version = int(max(properties, default=0) >= 1 << 16)
    wide = any(
        value & ~_ESSENTIAL >= _NARROW_ESSENTIAL
        for values in properties.values()
        for value in values
    )
    content = [struct.pack(">BxxBI", version, wide, len(properties))]
    for item, associations in sorted(properties.items()):
        content.append(struct.pack(">IB" if version else ">HB", item, len(associations)))
        if wide:
            content += (value.to_bytes(2) for value in associations)
        else:
            content += ((value >> 8 | value & 0x7F).to_bytes() for value in associations)
    return b"".join(content)


def properties_of(content: bytes) -> Iterator[tuple[int, list[int]]]:
    """Yield each item's number and properties, of 15 bits behind one that says "essential"."""
    version, flags, count = struct.unpack_from(">B3sI", content)
    if version > 1:
        raise ValueError("a version that is not known")
    wide = flags[-1] & 1
    at = _HEADER_BYTES
    head = struct.Struct(">IB" if version else ">HB")
    for _ in range(count):
        item, length = head.unpack_from(content, at)
        at += head.size
        numbers = struct.unpack_from(f">{length}{'H' if wide else 'B'}", content, at)
        at += length << wide
        if wide:
            yield item, list(numbers)
        else:
            yield item, [(value & _NARROW_ESSENTIAL) << 8 | value & 0x7F for value in numbers]
