"""What speaks for a stored media item being in a video: all frames of both compared."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Segment
from disrupt.core.media import MediaKind
from disrupt.index.columns import Columns
from disrupt.index.flat import FlatIndex
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
"""Hashes compared at once: if all of them are near, they take some 50 bytes each."""

_FRAMES_AT_ONCE = 512
"""Frames aligned between two looks at the allowance."""

_NOT_NEAR = 257
"""For a distance in bits: more than there are."""

_PERMILLE = 1000

_PAIRS_PER_WORK = 128
"""Pairs that take as long to compare as a near one takes to be aligned: 1.25 and 160 ns."""


@dataclass(slots=True)
class Work:
    """What comparing and aligning may still take: time, and ``left`` near pairs.

    ``cut``: it ended with the pairs.
    """

    allowance: Allowance
    left: int = sys.maxsize
    cut: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Frames of a video.

    ``rows`` (dtype FRAME) are all their versions, ``firsts`` (n,) the first row of each, and
    ``versions`` (n,) how many each has.
    """

    rows: NDArray[np.void]
    firsts: NDArray[np.intp]
    versions: NDArray[np.intp]
    timeline: Timeline

    @classmethod
    def of(cls, rows: NDArray[np.void], versions: NDArray[np.intp]) -> Query:
        """Of ``rows``, ascending, of which each frame has so many ``versions``; not copied."""
        firsts = np.cumsum(versions) - versions
        return cls(rows, firsts, versions, _timeline(rows[firsts]))


@dataclass(frozen=True, slots=True)
class Evidence:
    """For one item: the nearest pair, where it is seen, and how much of both sides that is.

    ``query_row`` (FRAME) and ``stored_entry`` (ENTRY) are the pair, ``frames`` how many frames of
    the query support it.
    """

    distance_bits: int
    query_row: np.void
    stored_entry: np.void
    segments: tuple[Segment, ...]
    frames: int
    query_share_permille: int
    stored_share_permille: int


def weigh(
    query: Query,
    kind: MediaKind,
    stored: Columns,
    proposed_by: NDArray[np.bool_],
    apart: NDArray[np.bool_],
    most_bits: int,
    work: Work,
    common: NDArray[np.bool_] | None = None,
) -> Evidence | None:
    """What speaks for an item; None where it is not enough.

    Frames around those that ``proposed_by`` (n,) names are compared, but for those that ``apart``
    (n,) names, with all moments of a video but those that ``common`` names, or with a picture. A
    video needs MIN_FRAMES that agree on when they are, or one, where either side has no more than
    that; a picture needs one. Frames after those for which ``work`` suffices are not compared.
    DeadlineExceededError once its allowance is over.
    """
    if kind == MediaKind.IMAGE:
        timeline, moment_of = _PICTURE, np.zeros(len(stored.codes), np.intp)
    else:
        firsts, moment_of = moments_of(stored)
        timeline = _timeline(stored.entries[firsts])
    if common is not None:
        kept = ~common[moment_of]
        moment_of = moment_of[kept]
        stored = replace(stored, codes=stored.codes[kept], entries=stored.entries[kept])
    compared = _around(proposed_by) & ~apart
    comparison = _Comparison(query, FlatIndex.of(stored.codes), moment_of, most_bits, work)
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
        query_row=query.rows[row].copy(),  # more rows may be put behind them
        stored_entry=stored.entries[column].copy(),  # the item's columns are let go
        segments=segments,
        frames=sum(one.frames for one in aligned),
        query_share_permille=_share(query.timeline, seen),
        stored_share_permille=_share(timeline, shown),
    )


_PICTURE = Timeline(np.zeros(1, np.int64), np.full(1, 2**32, np.int64))
"""A picture is the same at any time."""


def moments_of(stored: Columns) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The first hash of each moment of an item, ascending in time, and which moment each is of."""
    starts_ms, ends_ms = (stored.entries[name].astype(np.uint64) for name in ("start_ms", "end_ms"))
    _, firsts, moment_of = np.unique(
        starts_ms << np.uint64(32) | ends_ms, return_index=True, return_inverse=True
    )
    return firsts, moment_of


def _timeline(rows: NDArray[np.void]) -> Timeline:
    return Timeline(rows["start_ms"].astype(np.int64), rows["end_ms"].astype(np.int64))


def _around(frames: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Frames, of shape (n,), at most _AROUND before or after those named."""
    sums = np.cumsum(np.pad(frames, (_AROUND + 1, _AROUND)))
    return sums[2 * _AROUND + 1 :] > sums[: len(frames)]


@dataclass(slots=True)
class _Comparison:
    """Frames of a query against the hashes of one item, some at a time.

    ``moment_of`` (n,): which moment of the item each hash is of. ``nearest``: bits, row and hash of
    the nearest pair so far.
    """

    query: Query
    index: FlatIndex
    moment_of: NDArray[np.intp]
    most_bits: int
    work: Work
    nearest: tuple[int, int, int] = (_NOT_NEAR, 0, 0)

    def near(self, frames: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Those of ``frames`` that are near to moments, and these moments, the nearest first."""
        pairs = self.query.versions[frames] * len(self.index)
        blocks = np.cumsum(np.maximum(pairs, _PAIRS_AT_ONCE // _FRAMES_AT_ONCE)) // _PAIRS_AT_ONCE
        for some in np.split(frames, np.flatnonzero(np.diff(blocks)) + 1):
            if self.work.left <= 0:
                self.work.cut = True
                return
            yield from self._near(some)

    def _near(self, frames: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
        bits = self._bits(frames)
        least = bits.min(axis=1, initial=_NOT_NEAR)
        may_be = bits <= np.minimum(least + _ALTERNATIVES_BITS, self.most_bits)[:, None]
        for at in np.flatnonzero(least < _NOT_NEAR).tolist():
            moments = np.flatnonzero(may_be[at])
            yield int(frames[at]), moments[np.argsort(bits[at, moments], kind="stable")]

    def _bits(self, frames: NDArray[np.intp]) -> NDArray[np.uint16]:
        """Distances of frames from all moments, shape (frames, moments), where these are near."""
        moments = int(self.moment_of.max()) + 1
        bits = np.full(len(frames) * moments, _NOT_NEAR, np.uint16)
        versions = self.query.versions[frames]
        place = np.repeat(np.arange(len(frames)), versions)
        shifts = self.query.firsts[frames] - (np.cumsum(versions) - versions)
        rows = np.arange(len(place)) + shifts[place]
        step = max(1, _PAIRS_AT_ONCE // len(self.index))
        for start in range(0, len(rows), step):
            self.work.allowance.check()
            queries = self.query.rows["hash"][rows[start : start + step]]
            found = self.index.search(queries, self.most_bits)
            self.work.left -= len(found.entry) + len(queries) * len(self.index) // _PAIRS_PER_WORK
            if not len(found.entry):
                continue
            at, moment = start + found.query, self.moment_of[found.entry]
            np.minimum.at(bits, place[at] * moments + moment, found.distance)
            least = int(found.distance.min())
            if least < self.nearest[0]:
                nearest = np.flatnonzero(found.distance == least)
                best = nearest[np.lexsort((found.entry[nearest], moment[nearest], at[nearest]))[0]]
                self.nearest = least, int(rows[at[best]]), int(found.entry[best])
        return bits.reshape(len(frames), moments)


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
