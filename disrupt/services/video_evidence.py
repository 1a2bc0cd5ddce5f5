"""What speaks for a stored media item being in a video: all frames of both compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Segment
from disrupt.core.media import MediaKind
from disrupt.index.columns import Columns
from disrupt.services.alignment import Timeline, align

MIN_FRAMES = 2
"""Frames of a query that must agree on an offset, where it and the stored video have so many."""

_AROUND = 30
"""Frames before and after one that proposed the item, which are compared with it."""

_ROWS_AT_ONCE = 64
_SOME = 200
_FAR_BITS = 257
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
    proposed_by: set[int],
    common: set[int],
    most_bits: int,
) -> Evidence | None:
    """What speaks for an item; None where it is not enough.

    Frames near to those that ``proposed_by`` names are compared, but for ``common`` ones. A video
    needs MIN_FRAMES that agree on when they are, or one, where either side has no more than that;
    a picture needs one.
    """
    times = np.lexsort((stored.entries["end_ms"], stored.entries["start_ms"]))
    entries = stored.entries[times]
    compared = _around(proposed_by, len(query.firsts))
    compared[sorted(common)] = False
    distances = _distances(query, stored.codes[times], compared)
    per_frame = np.minimum.reduceat(distances, query.firsts, axis=0)
    if kind == MediaKind.IMAGE:
        timeline, per_moment = _PICTURE, per_frame.min(axis=1, keepdims=True)
    else:
        moments = np.flatnonzero(np.append(True, entries[1:][_TIMES] != entries[:-1][_TIMES]))
        timeline = _timeline(entries[moments])
        per_moment = np.minimum.reduceat(per_frame, moments, axis=1)
    aligned = align(per_moment, most_bits, query.timeline, timeline)
    if kind == MediaKind.VIDEO and not _is_short(query.timeline, timeline):
        aligned = [one for one in aligned if one.frames >= MIN_FRAMES]
    if not aligned:
        return None
    segments = tuple(one.segment for one in aligned)
    if kind == MediaKind.IMAGE:
        segments = tuple(replace(one, stored_start_ms=0, stored_end_ms=0) for one in segments)
    row, column = np.unravel_index(int(distances.argmin()), distances.shape)
    seen = [(one.query_start_ms, one.query_end_ms) for one in segments]
    shown = [(one.stored_start_ms, one.stored_end_ms) for one in segments]
    return Evidence(
        distance_bits=int(distances[row, column]),
        query_row=int(row),
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


def _around(frames: set[int], count: int) -> NDArray[np.bool_]:
    compared = np.zeros(count, np.bool_)
    for frame in frames:
        compared[max(frame - _AROUND, 0) : frame + _AROUND + 1] = True
    return compared


def _distances(
    query: Query, codes: NDArray[np.uint8], compared: NDArray[np.bool_]
) -> NDArray[np.uint16]:
    """Bits apart, shape (rows, codes); far where a frame is not to be compared."""
    versions = np.diff(query.firsts, append=len(query.rows))
    rows = np.flatnonzero(np.repeat(compared, versions))
    distances = np.full((len(query.rows), len(codes)), _FAR_BITS, np.uint16)
    hashes = query.rows["hash"]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = rows[start : start + _ROWS_AT_ONCE]
        distances[block] = _bits(hashes[block], codes)
    return distances


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
