"""What speaks for a stored media item being in a video: all frames of both compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Segment
from disrupt.core.media import MediaKind
from disrupt.index.columns import Columns
from disrupt.services.alignment import Timeline, align
from disrupt.services.matching import Allowance

MIN_FRAMES = 2
"""Frames of a query that must agree on an offset, where it and the stored video have so many."""

_AROUND = 30
"""Frames before and after one that proposed the item, which are compared with it."""

_ALTERNATIVES_BITS = 6
"""Stored frames that are so little further than the nearest one may be the one that was copied."""

_MOST_SEGMENTS = 100
"""Of more, those that most frames support are told."""

_PAIRS_AT_ONCE = 1 << 17
"""Hashes compared at once: they take 36 bytes each."""

_SOME = 200
_PERMILLE = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Frames of a video.

    ``rows`` (dtype FRAME) are all their versions, ``firsts`` (n,) the first row of each.
    """

    rows: NDArray[np.void]
    firsts: NDArray[np.intp]
    timeline: Timeline

    @classmethod
    def of(cls, frames: list[NDArray[np.void]]) -> Query:
        """From the versions of each frame, ascending; at least one frame."""
        rows = np.concatenate(frames)
        firsts = np.cumsum([0, *(len(one) for one in frames[:-1])])
        return cls(rows, firsts, _timeline(rows[firsts]))


@dataclass(frozen=True, slots=True)
class Evidence:
    """For one item: the nearest pair, where it is seen, and how much of both sides that is.

    ``query_row`` and ``stored_row`` are the pair's rows of the query and of the item's columns,
    ``frames`` how many frames of the query support it.
    """

    distance_bits: int
    query_row: int
    stored_row: int
    segments: tuple[Segment, ...]
    frames: int
    query_share_permille: int
    stored_share_permille: int


def weigh(
    query: Query,
    kind: MediaKind,
    stored: Columns,
    proposed_by: Iterable[int],
    common: set[int],
    most_bits: int,
    allowance: Allowance,
) -> Evidence | None:
    """What speaks for an item; None where it is not enough.

    Frames near to those that ``proposed_by`` names are compared, but for ``common`` ones. A video
    needs MIN_FRAMES that agree on when they are, or one, where either side has no more than that;
    a picture needs one. DeadlineExceededError once the allowance is over.
    """
    times = np.lexsort((stored.entries["end_ms"], stored.entries["start_ms"]))
    entries = stored.entries[times]
    if kind == MediaKind.IMAGE:
        timeline, moments = _PICTURE, np.zeros(1, np.intp)
    else:
        moments = np.flatnonzero(np.append(True, entries[1:][_TIMES] != entries[:-1][_TIMES]))
        timeline = _timeline(entries[moments])
    compared = _around(proposed_by, len(query.firsts))
    compared[sorted(common)] = False
    comparison = _Comparison(query, stored.codes[times], moments, most_bits, allowance)
    is_short = kind == MediaKind.IMAGE or _is_short(query.timeline, timeline)
    aligned = align(
        comparison.near(np.flatnonzero(compared)),
        query.timeline,
        timeline,
        least_frames=1 if is_short else MIN_FRAMES,
    )
    if not aligned:
        return None
    told = sorted(aligned, key=lambda one: -one.frames)[:_MOST_SEGMENTS]
    segments = tuple(sorted((one.segment for one in told), key=lambda one: one.query_start_ms))
    if kind == MediaKind.IMAGE:
        segments = tuple(replace(one, stored_start_ms=0, stored_end_ms=0) for one in segments)
    seen = [(one.query_start_ms, one.query_end_ms) for one in segments]
    shown = [(one.stored_start_ms, one.stored_end_ms) for one in segments]
    distance_bits, row, column = comparison.nearest
    return Evidence(
        distance_bits=distance_bits,
        query_row=row,
        stored_row=int(times[column]),
        segments=segments,
        frames=sum(one.frames for one in aligned),
        query_share_permille=_share(query.timeline, seen),
        stored_share_permille=_share(timeline, shown),
    )


_TIMES = ["start_ms", "end_ms"]
_PICTURE = Timeline(np.zeros(1, np.int64), np.full(1, 2**32, np.int64))
"""A picture is the same at any time."""


def share_of_near(one: Columns, other: Columns, most_bits: int) -> float:
    """Share of one item's hashes that are near to one of the other's, 0-1, by some 200 of them."""
    some = one.codes[:: len(one.codes) // _SOME + 1]
    near = _bits(some, other.codes).min(axis=1) <= most_bits
    return float(near.mean())


def _timeline(rows: NDArray[np.void]) -> Timeline:
    return Timeline(rows["start_ms"].astype(np.int64), rows["end_ms"].astype(np.int64))


def _around(frames: Iterable[int], count: int) -> NDArray[np.bool_]:
    compared = np.zeros(count, np.bool_)
    for frame in frames:
        compared[max(frame - _AROUND, 0) : frame + _AROUND + 1] = True
    return compared


@dataclass(slots=True)
class _Comparison:
    """Frames of a query against the hashes of one item, a few at a time.

    ``moments``: the first hash of each moment of the item. ``nearest``: bits, row and hash of the
    nearest pair so far.
    """

    query: Query
    codes: NDArray[np.uint8]
    moments: NDArray[np.intp]
    most_bits: int
    allowance: Allowance
    nearest: tuple[int, int, int] = (257, 0, 0)

    def near(self, frames: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Those of ``frames`` that are near to moments, and these moments, the nearest first."""
        ends = np.append(self.query.firsts[1:], len(self.query.rows))
        for frame in frames.tolist():
            self.allowance.check()
            distances = self._distances(int(self.query.firsts[frame]), int(ends[frame]))
            of_moments = np.minimum.reduceat(distances, self.moments)
            least = int(of_moments.min())
            if least <= self.most_bits:
                limit = min(self.most_bits, least + _ALTERNATIVES_BITS)
                places = np.flatnonzero(of_moments <= limit)
                yield frame, places[np.argsort(of_moments[places], kind="stable")]

    def _distances(self, first: int, end: int) -> NDArray[np.uint16]:
        """Bits from the nearest of some rows of the query to each hash of the item."""
        least = np.full(len(self.codes), 257, np.uint16)
        at_once = max(_PAIRS_AT_ONCE // len(self.codes), 1)
        for start in range(first, end, at_once):
            rows = self.query.rows["hash"][start : min(start + at_once, end)]
            bits = _bits(rows, self.codes)
            np.minimum(least, bits.min(axis=0), out=least)
            nearest = int(bits.min())
            if nearest < self.nearest[0]:
                row, column = np.unravel_index(int(bits.argmin()), bits.shape)
                self.nearest = nearest, start + int(row), int(column)
        return least


def _bits(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Distances of each to each."""
    words = [np.ascontiguousarray(one).view(np.uint64) for one in (left, right)]
    apart = np.bitwise_count(words[0][:, None] ^ words[1][None])
    distances: NDArray[np.uint16] = apart.sum(axis=-1, dtype=np.uint16)
    return distances


def _is_short(query: Timeline, stored: Timeline) -> bool:
    """Whether one of the two has no more than one moment that the other can show."""
    frames = len(query.starts_ms)
    if frames < MIN_FRAMES:
        return True
    step_ms = int(np.median(np.diff(query.starts_ms)))
    return int(stored.ends_ms.max() - stored.starts_ms[0]) < MIN_FRAMES * step_ms


def _share(timeline: Timeline, spans_ms: list[tuple[int, int]]) -> int:
    """Thousandths of the frames that are seen within the spans."""
    within = np.zeros(len(timeline.starts_ms), np.bool_)
    for start_ms, end_ms in spans_ms:
        within |= (timeline.starts_ms <= end_ms) & (timeline.ends_ms >= start_ms)
    return round(_PERMILLE * float(within.mean()))
