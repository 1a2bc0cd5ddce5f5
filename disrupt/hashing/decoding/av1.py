"""Sizes that the AV1 streams of an AVIF file code, whatever the file's boxes say.

The decoder takes memory for the size in the stream, and only then scales the picture to that of the
box ``ispe``. The sections are those of the AV1 bitstream specification.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from disrupt.hashing.decoding.heif import Box, boxes_in

Size: TypeAlias = tuple[int, int]

_MOST_UNITS = 100_000
"""Most units of all streams of a file; a frame has some three."""

_MOST_EXTENTS = 100_000
"""Most items and parts of items; a file has some ten."""

_HEADER_BYTES = 1024
"""A sequence header is shorter, and so is the start of a frame header."""

_SEQUENCE, _FRAMES = 1, {3, 6, 7}
_KEY, _SWITCH = 0, 3
_CHOSEN = 2
"""Each frame says whether it uses a tool."""

_AV1_ITEM = re.compile(rb"infe(?:\x02.{3}(.{2})|\x03.{3}(.{4})).{2}av01", re.DOTALL)
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf"}


def coded_sizes(data: bytes) -> Iterator[Size]:
    """Yield width and height of each size that frames of an AVIF file may have.

    ValueError or struct.error for a file that cannot be read, or has no stream.
    """
    left, sequence = _MOST_UNITS, None
    for stream in _streams(data):
        for kind, unit in chain.from_iterable(map(_units, stream)):
            left -= 1
            if not left:
                raise ValueError("too many units")
            if kind == _SEQUENCE:
                sequence = _sequence(_Bits(unit))
                yield sequence.size
            elif sequence and kind in _FRAMES and _has_own_size(_Bits(unit), sequence):
                yield sequence.largest
    if sequence is None:
        raise ValueError("no stream")


class _Bits:
    """Reads numbers of so many bits; ValueError at the end."""

    def __init__(self, data: memoryview) -> None:
        head = data[:_HEADER_BYTES]
        self._number, self._left = int.from_bytes(head), 8 * len(head)

    def __call__(self, count: int = 1) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("a header ends early")
        return self._number >> self._left & (1 << count) - 1


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Sizes in a sequence header, and the fields before them in a frame header.

    A frame has ``size``, or one of its own up to ``largest``.
    """

    size: Size
    largest: Size
    reduced: bool
    time_bits: int
    id_bits: int
    screen_tools: int
    integer_motion: int


def _sequence(bits: _Bits) -> _Sequence:
    """Read a sequence header (5.5.1) as far as the fields that frame headers depend on."""
    bits(4)
    reduced = bool(bits())
    time_bits = 0
    if reduced:
        bits(5)
    else:
        time_bits = _operating_points(bits)
    width_bits, height_bits = bits(4) + 1, bits(4) + 1
    size = bits(width_bits) + 1, bits(height_bits) + 1
    id_bits, screen_tools, integer_motion = 0, _CHOSEN, _CHOSEN
    if not reduced:
        if bits():
            id_bits = bits(4) + bits(3) + 3
        bits(7)
        if bits():
            bits(2)
        screen_tools = _CHOSEN if bits() else bits()
        if screen_tools:
            integer_motion = _CHOSEN if bits() else bits()
    largest = 1 << width_bits, 1 << height_bits
    return _Sequence(size, largest, reduced, time_bits, id_bits, screen_tools, integer_motion)


def _operating_points(bits: _Bits) -> int:
    """Read timing and operating points (5.5.3 to 5.5.5); return the bits of a frame's time."""
    delay_bits = time_bits = 0
    if bits():
        bits(64)
        even = bits()
        if even:
            zeros = 0
            while not bits():
                zeros += 1
            bits(zeros)
        if bits():
            delay_bits = bits(5) + 1
            bits(32 + 5)
            time_bits = (bits(5) + 1) * (not even)
    has_delays = bits()
    for _ in range(bits(5) + 1):
        bits(12)
        if bits(5) > 7:  # noqa: PLR2004 levels above have tiers
            bits()
        if delay_bits and bits():
            bits(2 * delay_bits + 1)
        if has_delays and bits():
            bits(4)
    return time_bits


def _has_own_size(bits: _Bits, sequence: _Sequence) -> bool:
    """Tell from a frame header (5.9.2) whether the frame has another size than its sequence."""
    if sequence.reduced or bits():
        return False
    kind, shown = bits(2), bits()
    bits(sequence.time_bits if shown else 1)
    if kind != _SWITCH and not (kind == _KEY and shown):
        bits()
    bits()
    screen_tools = bits() if sequence.screen_tools == _CHOSEN else sequence.screen_tools
    if screen_tools and sequence.integer_motion == _CHOSEN:
        bits()
    bits(sequence.id_bits)
    return kind == _SWITCH or bool(bits())


def _units(sample: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield kind and content of each open bitstream unit (5.3)."""
    at = 0
    while at < len(sample):
        head = sample[at]
        at += 1 + (head >> 2 & 1)
        end = len(sample)
        if head & 2:
            size = shift = 0
            while True:
                byte = sample[at : at + 1].tobytes()
                size |= (int.from_bytes(byte) & 0x7F) << shift
                at, shift = at + 1, shift + 7
                if byte < b"\x80" or shift == 56:  # noqa: PLR2004 eight bytes
                    break
            end = at + size
        if head & 0x80 or end > len(sample):
            raise ValueError("no unit, or one that ends early")
        yield head >> 3 & 15, sample[at:end]
        at = end


def _streams(data: bytes) -> Iterator[Iterable[memoryview]]:
    """Yield the samples of each picture and each track."""
    for box in _outermost(data):
        if box.kind == b"meta":
            yield from ([item] for item in _items(data, box))
        elif box.kind == b"moov":
            for table in _tables(data, box):
                yield _samples(data, table)


def _outermost(data: bytes) -> list[Box]:
    """Return the outermost boxes; what comes after the last that libavif reads need be none."""
    outermost: list[Box] = []
    try:
        outermost.extend(boxes_in(data, 0, len(data)))
    except (ValueError, struct.error):
        brands = data[outermost[0].content : outermost[0].end] if outermost else b""
        read = {kind for brand, kind in ((b"avif", b"meta"), (b"avis", b"moov")) if brand in brands}
        if not outermost or read - {box.kind for box in outermost}:
            raise
    return outermost


def _parts(data: bytes, start: int, end: int, *read: bytes) -> dict[bytes, Box]:
    """Return boxes by kind; ValueError where several are of a kind in ``read``."""
    parts: dict[bytes, Box] = {}
    for box in boxes_in(data, start, end):
        if box.kind in parts and box.kind in read:
            raise ValueError("a box comes again")
        parts[box.kind] = box
    return parts


class _Numbers:
    """Reads big-endian numbers of so many bytes."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at

    def __call__(self, size: int) -> int:
        self._at += size
        if self._at > len(self._data):
            raise ValueError("a box ends early")
        return int.from_bytes(self._data[self._at - size : self._at])


def _items(data: bytes, meta: Box) -> Iterator[memoryview]:
    """Yield the contents of the items of type "av01" (ISO 14496-12, 8.11.3)."""
    parts = _parts(data, meta.content + 4, meta.end, b"iloc", b"idat")
    names = _AV1_ITEM.finditer(data, meta.content, meta.end)
    wanted = {int.from_bytes(name[1] or name[2]) for name in names}
    number = _Numbers(data, parts[b"iloc"].content)
    version = number(4) >> 24
    sizes = number(2)
    offset_size, length_size, base_size = (sizes >> shift & 15 for shift in (12, 8, 4))
    index_size = sizes & 15 if version else 0
    left, left_bytes = _MOST_EXTENTS, len(data)
    seen = set[tuple[tuple[int, int], ...]]()
    for _ in range(number(4 if version > 1 else 2)):
        item = number(4 if version > 1 else 2)
        within = parts.get(b"idat") if version and number(2) & 15 else None
        number(2)
        start, end = (within.content, within.end) if within else (0, len(data))
        start += number(base_size)
        count = number(2)
        left -= 1 + count
        if left < 0:
            raise ValueError("too many extents")
        extents = []
        for _ in range(count):
            number(index_size)
            first = start + number(offset_size)
            length = number(length_size)
            extents.append((first, min(first + length, end) if length else end))
        # Pictures with equal streams, as cells without alpha, may share one.
        if item in wanted and tuple(extents) not in seen:
            seen.add(tuple(extents))
            parts_of_item = [memoryview(data)[first:last] for first, last in extents]
            left_bytes -= sum(map(len, parts_of_item))
            if left_bytes < 0:
                raise ValueError("extents that overlap")
            yield parts_of_item[0] if count == 1 else memoryview(b"".join(parts_of_item))


def _tables(data: bytes, box: Box) -> Iterator[dict[bytes, Box]]:
    """Yield the boxes of each sample table (ISO 14496-12, 8.5)."""
    for inner in boxes_in(data, box.content, box.end):
        if inner.kind in _CONTAINERS:
            yield from _tables(data, inner)
        elif inner.kind == b"stbl":
            read = (b"stsd", b"stsz", b"stsc", b"stco", b"co64")
            parts = _parts(data, inner.content, inner.end, *read)
            if data.find(b"av01", parts[b"stsd"].content, parts[b"stsd"].end) >= 0:
                yield parts


def _samples(data: bytes, parts: dict[bytes, Box]) -> Iterator[memoryview]:
    """Yield the samples of a track (ISO 14496-12, 8.7)."""
    size = _Numbers(data, parts[b"stsz"].content + 4)
    same_bytes, count = size(4), size(4)
    sizes = (same_bytes or size(4) for _ in range(count))
    run = _Numbers(data, parts[b"stsc"].content + 4)
    # The chunk that a run begins with, samples per chunk, and a description.
    runs = {run(4): (run(4), run(4))[0] for _ in range(run(4))}
    if (b"co64" in parts) == (b"stco" in parts):
        raise ValueError("offsets of two kinds, or none")
    kind, wide = (b"co64", 8) if b"co64" in parts else (b"stco", 4)
    offset = _Numbers(data, parts[kind].content + 4)
    samples = 0
    for chunk in range(1, min(offset(4), _MOST_UNITS) + 1):
        samples = runs.get(chunk, samples)
        if not samples:
            raise ValueError("a chunk without samples")
        at = offset(wide)
        for _, size_bytes in zip(range(samples), sizes, strict=False):
            if not 0 < size_bytes <= len(data) - at:
                raise ValueError("a sample that is empty, or ends outside the file")
            yield memoryview(data)[at : at + size_bytes]
            at += size_bytes
