"""When two videos show the same: from pairs of near frames to segments of time on both sides."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Segment

SPEED = 0.06
"""How much faster or slower a copy may run."""

_SLACK_MS = 250
"""Stored frames are this far apart: a moment is so near to one of them."""

_LOST_MS = 5000
_LOST_FRAMES = 4
"""Longest run without a near frame within a segment, in time and in samples; the longer one."""

_ALTERNATIVES_BITS = 6
"""Stored frames that are so little further than the nearest one may be the one that was copied."""


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Frames of one video: when each begins and ends, in ms, int64 of shape (n,), ascending."""

    starts_ms: NDArray[np.int64]
    ends_ms: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Aligned:
    """A segment, and how many frames of the query support it."""

    segment: Segment
    frames: int


@dataclass(slots=True)
class _Chain:
    """Frames that agree on an offset, stored time less query time, and what it may still be."""

    low_ms: float
    high_ms: float
    frames: list[int] = field(default_factory=list)
    ranges: list[tuple[float, float]] = field(default_factory=list)

    def narrowed(self, elapsed_ms: float, found: tuple[float, float]) -> tuple[float, float]:
        """Offsets that agree with this chain and with a range so much later."""
        drift_ms = SPEED * elapsed_ms
        return max(self.low_ms - drift_ms, found[0]), min(self.high_ms + drift_ms, found[1])


def align(
    distances: NDArray[np.uint16], most_bits: int, query: Timeline, stored: Timeline
) -> list[Aligned]:
    """Segments in which frames of ``query`` are near to those of ``stored``, in order of time.

    ``distances`` of each frame of the one to each of the other, shape (queries, stored); near is
    within ``most_bits``. A frame of the query is in one segment at most; stored ones may be in
    several, where a part is repeated. Parts in another order are segments of their own.
    """
    nearest = distances.min(axis=1)
    matched = np.flatnonzero(nearest <= most_bits)
    if not len(matched):
        return []
    steps = np.diff(query.starts_ms)
    usual_ms = float(np.median(steps)) if len(steps) else 0.0
    lost_ms = max(_LOST_MS, _LOST_FRAMES * usual_ms)
    chains: list[_Chain] = []
    for frame in matched.tolist():
        limit = min(most_bits, int(nearest[frame]) + _ALTERNATIVES_BITS)
        places = np.flatnonzero(distances[frame] <= limit)
        _extend(chains, frame, _ranges(places, int(query.starts_ms[frame]), stored), query, lost_ms)
    return sorted(
        (_segment(chain, query, stored) for chain in _apart(chains)),
        key=lambda one: one.segment.query_start_ms,
    )


def _ranges(places: NDArray[np.intp], time_ms: int, stored: Timeline) -> list[tuple[float, float]]:
    """Offsets at which a moment may be one of these frames; frames next to each other are one."""
    found: list[tuple[float, float]] = []
    for start_ms, end_ms in zip(
        stored.starts_ms[places].tolist(), stored.ends_ms[places].tolist(), strict=True
    ):
        low_ms, high_ms = start_ms - _SLACK_MS - time_ms, end_ms + _SLACK_MS - time_ms
        if found and low_ms <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], high_ms))
        else:
            found.append((low_ms, high_ms))
    return found


def _extend(
    chains: list[_Chain],
    frame: int,
    ranges: list[tuple[float, float]],
    query: Timeline,
    lost_ms: float,
) -> None:
    """Put a frame into the longest chain that agrees with each of its ranges, or into a new one."""
    time_ms = int(query.starts_ms[frame])
    taken: set[int] = set()
    for found in ranges:
        best: tuple[int, int, tuple[float, float]] | None = None
        for at, chain in enumerate(chains):
            elapsed_ms = time_ms - int(query.starts_ms[chain.frames[-1]])
            if at in taken or elapsed_ms > lost_ms or chain.frames[-1] == frame:
                continue
            low_ms, high_ms = chain.narrowed(elapsed_ms, found)
            if low_ms <= high_ms and (best is None or len(chain.frames) > best[0]):
                best = len(chain.frames), at, (low_ms, high_ms)
        if best is None:
            chains.append(_Chain(*found))
            best = 0, len(chains) - 1, found
        _, at, (chains[at].low_ms, chains[at].high_ms) = best
        taken.add(at)
        chains[at].frames.append(frame)
        chains[at].ranges.append(found)


def _apart(chains: list[_Chain]) -> list[_Chain]:
    """The longest chains, each of frames that none before it has."""
    kept: list[_Chain] = []
    used: set[int] = set()
    for chain in sorted(chains, key=lambda one: -len(one.frames)):
        own = [at for at, frame in enumerate(chain.frames) if frame not in used]
        if not own:
            continue
        used.update(chain.frames)
        frames, ranges = [chain.frames[at] for at in own], [chain.ranges[at] for at in own]
        kept.append(replace(chain, frames=frames, ranges=ranges))
    return kept


def _segment(chain: _Chain, query: Timeline, stored: Timeline) -> Aligned:
    """Where a chain begins and ends: half-way to the frames beyond it, and within both videos."""
    first, last = chain.frames[0], chain.frames[-1]
    times_ms = query.starts_ms
    start_ms, end_ms = float(times_ms[first]), float(query.ends_ms[last])
    if first > 0:
        start_ms = (float(times_ms[first - 1]) + start_ms) / 2
    if last + 1 < len(times_ms):
        end_ms = (float(times_ms[last]) + float(times_ms[last + 1])) / 2
    at_start_ms = _offset_ms(chain, query, backwards=True)
    at_end_ms = _offset_ms(chain, query, backwards=False)
    from_ms, until_ms = float(stored.starts_ms[0]), float(stored.ends_ms.max())
    # what lies before the beginning of the stored video, or after its end, cannot be of it
    start_ms = min(max(start_ms, from_ms - at_start_ms), float(times_ms[first]))
    end_ms = max(min(end_ms, until_ms - at_end_ms), float(times_ms[last]))
    stored_start_ms = min(max(start_ms + at_start_ms, from_ms), until_ms)
    stored_end_ms = min(max(end_ms + at_end_ms, stored_start_ms), until_ms)
    edges_ms = (start_ms, end_ms, stored_start_ms, stored_end_ms)
    return Aligned(Segment(*(round(one) for one in edges_ms)), len(chain.frames))


def _offset_ms(chain: _Chain, query: Timeline, *, backwards: bool) -> float:
    """Offset at one end of a chain, narrowed by all of its frames up to there."""
    step = -1 if backwards else 1
    frames, ranges = chain.frames[::step], chain.ranges[::step]
    followed = _Chain(*ranges[0])
    before_ms = int(query.starts_ms[frames[0]])
    for frame, found in zip(frames[1:], ranges[1:], strict=True):
        time_ms = int(query.starts_ms[frame])
        low_ms, high_ms = followed.narrowed(abs(time_ms - before_ms), found)
        if low_ms <= high_ms:
            followed.low_ms, followed.high_ms = low_ms, high_ms
            before_ms = time_ms
    return (followed.low_ms + followed.high_ms) / 2
