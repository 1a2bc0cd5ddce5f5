"""Weigh the evidence that a stored media item is in a video, by comparing all frames of both."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Segment, area_ranks
from disrupt.core.media import MediaKind, is_answered, rows_of
from disrupt.core.outcomes import MatchedVersion
from disrupt.core.transforms import areas_permille
from disrupt.index.columns import Columns
from disrupt.index.flat import FlatIndex
from disrupt.index.nearest import Neighbours
from disrupt.services.alignment import Timeline, align
from disrupt.services.matching import Allowance

MIN_FRAMES = 2
"""Number of frames that must agree on an offset, where both videos have so many."""

_AROUND = 30
"""Number of frames before and after a proposing one that are compared with the item, too."""

_ALTERNATIVES_BITS = 6
"""Bits by which the frame that was copied may be farther than the nearest stored frame."""

_MOST_SEGMENTS = 100
"""Most segments in an answer; those with the most frames are kept."""

_PAIRS_AT_ONCE = 1 << 17
"""Most pairs of hashes compared at once; if all are near, they take some 50 bytes each."""

_FRAMES_AT_ONCE = 512
"""Most frames aligned between two checks of the allowance."""

_NOT_NEAR = 257
"""Distance of moments that are not near: one bit more than a hash has."""

_PERMILLE = 1000

_PAIRS_PER_WORK = 128
"""Number of pairs that take as long to compare, 1.25 ns each, as a near one takes to align."""


@dataclass(slots=True)
class Work:
    """Budget of one lookup: the time of its allowance, and ``left`` near pairs to align.

    ``cut`` is set once a comparison was left out because no pairs were left.
    """

    allowance: Allowance
    left: int = sys.maxsize
    cut: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """The frames of the video that is looked up.

    ``rows`` (dtype FRAME) are all their versions, ``areas_permille`` (rows,) the share of the frame
    that each shows, ``firsts`` (n,) the first row of each frame, and ``versions`` (n,) how many
    rows it has.
    """

    rows: NDArray[np.void]
    areas_permille: NDArray[np.uint16]
    firsts: NDArray[np.intp]
    versions: NDArray[np.intp]
    timeline: Timeline

    @classmethod
    def of(cls, rows: NDArray[np.void], versions: NDArray[np.intp]) -> Query:
        """Build over ``rows``, ascending in time; ``versions`` counts those of each frame."""
        firsts = np.cumsum(versions) - versions
        left, top, right, bottom = np.minimum(rows["crop_permille"], _PERMILLE).astype(np.int64).T
        areas = (_PERMILLE - left - right).clip(0) * (_PERMILLE - top - bottom).clip(0) / _PERMILLE
        areas_permille = areas.round().clip(1).astype(np.uint16)
        return cls(rows, areas_permille, firsts, versions, _timeline(rows[firsts]))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence for one item: the nearest pair, where it is seen, and the share of both sides.

    ``query_row`` (FRAME) and ``stored_entry`` (ENTRY) are the pair, ``frames`` how many frames of
    the query support it. The areas are of the pair that ``area_ranks`` puts highest. ``versions``
    are all stored versions that are near a frame, the nearest first.
    ``common_only``: without moments that many videos have, there is too little.
    """

    distance_bits: int
    query_row: np.void
    stored_entry: np.void
    segments: tuple[Segment, ...]
    frames: int
    query_share_permille: int
    stored_share_permille: int
    query_area_permille: int
    stored_area_permille: int
    versions: tuple[MatchedVersion, ...]
    common_only: bool = False


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
    """Return the evidence for an item, or None where it is not enough.

    Frames around those in ``proposed_by`` (n,), except those in ``apart`` (n,), are compared with
    all moments of a video except those in ``common``, or with a picture. A video needs MIN_FRAMES
    that agree on an offset, or one where either side has no more than that; a picture needs one.
    Frames after those for which ``work`` suffices are not compared. Raises DeadlineExceededError
    once its allowance is over.
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
    stored_areas = areas_permille(stored.entries["plan"], stored.entries["ordinal"])
    comparison = _Comparison(query, stored, moment_of, stored_areas, most_bits, work)
    is_short = kind == MediaKind.IMAGE or _is_short(query.timeline, timeline)
    aligned = align(
        comparison.near(np.flatnonzero(compared)),
        query.timeline,
        timeline,
        least_frames=1 if is_short else MIN_FRAMES,
    )
    if not aligned:
        return None
    answered = sorted(aligned, key=lambda match: -match.frames)[:_MOST_SEGMENTS]
    segments = tuple(
        sorted((match.segment for match in answered), key=lambda segment: segment.query_start_ms)
    )
    if kind == MediaKind.IMAGE:
        segments = tuple(
            replace(segment, stored_start_ms=0, stored_end_ms=0) for segment in segments
        )
    seen = [(segment.query_start_ms, segment.query_end_ms) for segment in segments]
    shown = [(segment.stored_start_ms, segment.stored_end_ms) for segment in segments]
    distance_bits, row, column = comparison.nearest
    return Evidence(
        distance_bits=distance_bits,
        query_row=query.rows[row].copy(),  # More rows may be appended to those.
        stored_entry=stored.entries[column].copy(),  # lets go of the item's columns
        segments=segments,
        frames=sum(match.frames for match in aligned),
        query_share_permille=_share(query.timeline, seen),
        stored_share_permille=_share(timeline, shown),
        query_area_permille=comparison.areas[1],
        stored_area_permille=comparison.areas[2],
        versions=comparison.versions(),
    )


_PICTURE = Timeline(np.zeros(1, np.int64), np.full(1, 2**32, np.int64))
"""Timeline of a picture, which is the same at any time."""


def moments_of(stored: Columns) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first hash of each moment of an item, by time, and the moment of each hash."""
    starts_ms, ends_ms = (stored.entries[name].astype(np.uint64) for name in ("start_ms", "end_ms"))
    _, firsts, moment_of = np.unique(
        starts_ms << np.uint64(32) | ends_ms, return_index=True, return_inverse=True
    )
    return firsts, moment_of


def _timeline(rows: NDArray[np.void]) -> Timeline:
    return Timeline(rows["start_ms"].astype(np.int64), rows["end_ms"].astype(np.int64))


def _around(frames: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which frames, shape (n,), are at most _AROUND before or after those in ``frames``."""
    sums = np.cumsum(np.pad(frames, (_AROUND + 1, _AROUND)))
    return sums[2 * _AROUND + 1 :] > sums[: len(frames)]


@dataclass(slots=True)
class _Comparison:
    """Compare frames of a query with the hashes of one item, in blocks.

    ``moment_of`` (n,) is the moment of the item that each hash of ``stored`` is of,
    ``areas_permille`` (n,) the share of it that each shows. ``nearest`` are the bits, the row and
    the hash of the nearest pair so far, ``areas`` the rank of the pair with the largest areas, and
    both of these.
    """

    query: Query
    stored: Columns
    moment_of: NDArray[np.intp]
    areas_permille: NDArray[np.uint16]
    most_bits: int
    work: Work
    nearest: tuple[int, int, int] = (_NOT_NEAR, 0, 0)
    areas: tuple[int, int, int] = (0, 0, 0)
    index: FlatIndex = field(init=False)
    _places: NDArray[np.void] = field(init=False)
    _place_of: NDArray[np.intp] = field(init=False)
    _least: NDArray[np.uint16] = field(init=False)

    def __post_init__(self) -> None:
        """Index the hashes, and their versions."""
        self.index = FlatIndex.of(self.stored.codes)
        places = rows_of(self.stored.entries, ["plan", "ordinal"])
        _, firsts, self._place_of = np.unique(places, return_index=True, return_inverse=True)
        self._places = self.stored.entries[firsts]
        self._least = np.full(len(firsts), _NOT_NEAR, np.uint16)

    def versions(self) -> tuple[MatchedVersion, ...]:
        """Return the versions that were near, each at its least distance, the nearest first."""
        near = np.flatnonzero(self._least < _NOT_NEAR)
        rows = zip(
            *(self._places[near][name].tolist() for name in ("plan", "ordinal")),
            self._least[near].tolist(),
            strict=True,
        )
        return tuple(sorted(map(MatchedVersion._make, rows), key=attrgetter("distance_bits")))

    def near(self, frames: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield those of ``frames`` that are near to moments, with these, the nearest first."""
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
        """Return distances in bits, shape (frames, moments); _NOT_NEAR beyond ``most_bits``."""
        moments = int(self.moment_of.max()) + 1
        bits = np.full(len(frames) * moments, _NOT_NEAR, np.uint16)
        versions = self.query.versions[frames]
        frame_of = np.repeat(np.arange(len(frames)), versions)
        shifts = self.query.firsts[frames] - (np.cumsum(versions) - versions)
        rows = np.arange(len(frame_of)) + shifts[frame_of]
        step = max(1, _PAIRS_AT_ONCE // len(self.index))
        for start in range(0, len(rows), step):
            self.work.allowance.check()
            queries = self.query.rows["hash"][rows[start : start + step]]
            near = self.index.neighbours(queries, self.most_bits)
            self.work.left -= len(near.entry) + len(queries) * len(self.index) // _PAIRS_PER_WORK
            answered = is_answered(near.distance, self.stored.entries["below_bits"][near.entry])
            hits = Neighbours(near.query[answered], near.entry[answered], near.distance[answered])
            if not len(hits.entry):
                continue
            at, moment = start + hits.query, self.moment_of[hits.entry]
            np.minimum.at(bits, frame_of[at] * moments + moment, hits.distance)
            np.minimum.at(self._least, self._place_of[hits.entry], hits.distance)
            least = int(hits.distance.min())
            if least < self.nearest[0]:
                nearest = np.flatnonzero(hits.distance == least)
                best = nearest[np.lexsort((hits.entry[nearest], moment[nearest], at[nearest]))[0]]
                self.nearest = least, int(rows[at[best]]), int(hits.entry[best])
            shown, stored = self.query.areas_permille[rows[at]], self.areas_permille[hits.entry]
            ranks = area_ranks(shown, stored)
            largest = int(ranks.argmax())
            pair = int(ranks[largest]), int(shown[largest]), int(stored[largest])
            self.areas = max(self.areas, pair)
        return bits.reshape(len(frames), moments)


def _is_short(query: Timeline, stored: Timeline) -> bool:
    """Tell whether either video is too short for two frames to agree on an offset."""
    frames = len(query.starts_ms)
    if frames < MIN_FRAMES:
        return True
    step_ms = int(np.median(np.diff(query.starts_ms)))
    return int(stored.ends_ms.max() - stored.starts_ms[0]) < MIN_FRAMES * step_ms


def _share(timeline: Timeline, spans_ms: list[tuple[int, int]]) -> int:
    """Return how many thousandths of the frames are seen within the spans."""
    within = np.zeros(len(timeline.starts_ms), np.bool_)
    for start_ms, end_ms in spans_ms:
        within |= (timeline.starts_ms <= end_ms) & (timeline.ends_ms >= start_ms)
    return round(_PERMILLE * float(within.mean()))
