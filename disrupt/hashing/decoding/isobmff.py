"""Read boxes of ISO files (ISO 14496-12): AVIF, HEIC, and brands that tell them from videos.

A picture with alpha is two items, colour and alpha, and an ``ipma`` box (item property association,
8.11.14) says which properties each has: size, codec, whether it is alpha. The standard allows one
such box for a version and flags. An encoder of AVIF writes one for each item nevertheless: libavif
refuses such files, and libheif reads the first box only.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

_MOST_BRAND_BYTES = 4096
"""Bytes of brands that are read; files have some ten brands of four bytes."""

_PICTURES = {b"avi": "AVIF", b"hei": "HEIC", b"hev": "HEIC"}
"""Formats by the start of their brands. Others, as ``mif1`` and ``MA1B``, do not name the codec."""

_MOST_BOXES = 1000
"""Most boxes in a file before its metadata, or in one box; files have some ten."""

_MOST_BYTES = 1 << 16
"""Most bytes of all ``ipma`` boxes of a file; one for colour and alpha takes some 30."""

_SIZES = re.compile(rb"ispe.{4}(.{4})(.{4})", re.DOTALL)

_HEADER_BYTES = 8
_ESSENTIAL, _NARROW_ESSENTIAL = 1 << 15, 1 << 7


class _Box(NamedTuple):
    """A box of a file: its kind, and the offsets of its start, its content and its end."""

    kind: bytes
    start: int
    content: int
    end: int


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
    end = min(size or _MOST_BRAND_BYTES, _MOST_BRAND_BYTES)
    starts = (head[at : at + 3] for at in (first, *range(first + 8, end, 4)))
    return next((_PICTURES[start] for start in starts if start in _PICTURES), None)


def with_one_ipma(data: bytes) -> bytes:
    """Join the ``ipma`` boxes of an AVIF or HEIC file, so that its other bytes stay where they are.

    A ``free`` box takes the room that is left. A file with one ``ipma`` box, or one that cannot be
    read, is returned as it is; the decoder judges it.
    """
    try:
        meta = _first_box(b"meta", data, 0, len(data))
        iprp = _first_box(b"iprp", data, meta.content + 4, meta.end)
        boxes = list(_boxes_in(data, iprp.content, iprp.end))
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


def clean_aperture(data: bytes, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Return the part of the primary picture that some browsers show alone, None without one.

    Left, top, right and bottom. ``clap`` (12.1.4) has its width and height, and how far its middle
    is from that of the picture. libavif leaves it to programs.
    """
    try:
        content = _primary_property(data, b"clap")
        return _part_of(struct.unpack_from(">IIIIiIiI", content), width, height)
    except (ValueError, ArithmeticError, LookupError, struct.error):
        return None


def colour_numbers(data: bytes) -> tuple[int, int] | None:
    """Return the numbers of primaries and transfer function of the primary picture (12.1.5)."""
    try:
        kind, primaries, transfer = struct.unpack_from(">4sHH", _primary_property(data, b"colr"))
    except (ValueError, LookupError, struct.error):
        return None
    return (primaries, transfer) if kind == b"nclx" else None


def declared_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield width and height of every coded image that the metadata declare, in ``ispe`` boxes.

    They are before the crop to the picture that is shown (ISO 23008-12, 6.5.3).
    """
    with contextlib.suppress(ValueError, struct.error):  # What cameras add may be no box.
        for box in _boxes_in(data, 0, len(data)):
            if box.kind == b"meta":
                for size in _SIZES.finditer(data, box.content, box.end):
                    yield int.from_bytes(size[1]), int.from_bytes(size[2])


def _boxes_in(data: bytes, start: int, end: int) -> Iterator[_Box]:
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
        yield _Box(kind, start, content, start + size)
        start += size
    raise ValueError("too many boxes")


def _first_box(kind: bytes, data: bytes, start: int, end: int) -> _Box:
    """Return the first box of a kind; ValueError without one."""
    for box in _boxes_in(data, start, end):
        if box.kind == kind:
            return box
    raise ValueError("no such box")


def _primary_property(data: bytes, kind: bytes) -> bytes:
    """Return the content of a property of the primary picture.

    LookupError without one; ValueError or struct.error for boxes that cannot be read.
    """
    meta = _first_box(b"meta", data, 0, len(data))
    start = meta.content + 4
    primary = _first_box(b"pitm", data, start, meta.end)
    item = int.from_bytes(data[primary.content + 4 : primary.end])
    iprp = _first_box(b"iprp", data, start, meta.end)
    ipco = _first_box(b"ipco", data, iprp.content, iprp.end)
    ipma = _first_box(b"ipma", data, iprp.content, iprp.end)
    properties = list(_boxes_in(data, ipco.content, ipco.end))
    for number in dict(_properties_of(data[ipma.content : ipma.end]))[item]:
        box = properties[(number & ~_ESSENTIAL) - 1]
        if box.kind == kind:
            return data[box.content : box.end]
    raise LookupError


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", _HEADER_BYTES + len(content), kind) + content


def _joined(parts: list[bytes]) -> bytes:
    """Merge the contents of ``ipma`` boxes into the content of one, as short as possible.

    Items ascend, and each has one entry. ValueError or struct.error for contents that are no
    ``ipma`` boxes.
    """
    properties: dict[int, list[int]] = {}
    for part in parts:
        for item, numbers in _properties_of(part):
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


def _properties_of(content: bytes) -> Iterator[tuple[int, list[int]]]:
    """Yield each item and the numbers of its properties, _ESSENTIAL added to essential ones."""
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


def _part_of(values: tuple[int, ...], width: int, height: int) -> tuple[int, int, int, int] | None:
    """Return the box of a ``clap`` property; None unless it is a part of the picture, not all."""
    across, down, right, below = (Fraction(*values[at : at + 2]) for at in range(0, 8, 2))
    left, top = right + (width - across) / 2, below + (height - down) / 2
    box = round(left), round(top), round(left + across), round(top + down)
    is_within = 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
    return box if is_within and box != (0, 0, width, height) else None
