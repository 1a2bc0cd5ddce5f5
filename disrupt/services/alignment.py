"""Align two videos: turn pairs of near frames into segments of time on both sides."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Segment

SPEED = 0.06
"""Share by which a copy may run faster or slower than the original."""

_SLACK_MS = 250
"""Longest time between stored frames: every moment is at least so near to one of them."""

_LOST_MS = 5000
_LOST_FRAMES = 4
"""Longest gap within a segment, in time and in samples; whichever is longer holds."""

_MOST_MOMENTS = 16
"""Most stored moments near one frame: more mean a picture that keeps coming back."""

_MOST_CHAINS = 64
"""Most chains followed at a time; the longest are kept."""

_MOST_ENDED = 1024
"""Number of ended chains from which on those too short to count are dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Frames of one video: when each begins and ends, in ms, int64 of shape (n,), ascending."""

    starts_ms: NDArray[np.int64]
    ends_ms: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Aligned:
    """A segment, and the number of frames of the query that support it."""

    segment: Segment
    frames: int


@dataclass(slots=True)
class _Chain:
    """Frames that agree on an offset, stored time less query time, and the range it may be in.

    ``lows_ms`` and ``highs_ms`` are the range that each of ``frames`` gives.
    """

    low_ms: float
    high_ms: float
    frames: array[int] = field(default_factory=lambda: array("L"))
    lows_ms: array[float] = field(default_factory=lambda: array("d"))
    highs_ms: array[float] = field(default_factory=lambda: array("d"))

    def add(self, frame: int, low_ms: float, high_ms: float) -> None:
        """Append a frame with the range of its offsets."""
        self.frames.append(frame)
        self.lows_ms.append(low_ms)
        self.highs_ms.append(high_ms)

    def narrowed(self, elapsed_ms: float, low_ms: float, high_ms: float) -> tuple[float, float]:
        """Return the offsets that agree with this chain and with a range ``elapsed_ms`` later."""
        drift_ms = SPEED * elapsed_ms
        return max(self.low_ms - drift_ms, low_ms), min(self.high_ms + drift_ms, high_ms)


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """Offsets at which a frame may be one of some stored frames: disjoint ranges, ascending.

    ``ranges`` gives the index of each stored frame's range.
    """

    lows_ms: NDArray[np.float64]
    highs_ms: NDArray[np.float64]
    ranges: NDArray[np.intp]

    @classmethod
    def of(cls, frames: NDArray[np.intp], time_ms: int, stored: Timeline) -> _Moments:
        """Build from indices of stored frames in any order; adjacent ones are one moment."""
        order = np.argsort(frames)
        lows_ms = stored.starts_ms[frames[order]] - (_SLACK_MS + time_ms)
        highs_ms = np.maximum.accumulate(stored.ends_ms[frames[order]] + (_SLACK_MS - time_ms))
        begins = np.append(True, lows_ms[1:] > highs_ms[:-1])
        ranges = np.empty(len(frames), np.intp)
        ranges[order] = np.cumsum(begins) - 1
        lasts = np.append(np.flatnonzero(begins)[1:] - 1, len(frames) - 1)
        return cls(lows_ms[begins].astype(float), highs_ms[lasts].astype(float), ranges)


def align(
    near: Iterable[tuple[int, NDArray[np.intp]]],
    query: Timeline,
    stored: Timeline,
    *,
    least_frames: int = 1,
) -> list[Aligned]:
    """Return the segments in which frames of ``query`` are near to those of ``stored``, by time.

    ``near``: frames of the query, ascending, each with the indices of the stored frames that it may
    be, at least one, the nearest first. A frame of the query is in one segment at most; stored ones
    may be in several, where a part is repeated. Parts in another order are segments of their own.
    Segments that fewer than ``least_frames`` support are left out.

    Memory grows with the frames of both, time with their number and that of the indices.
    """
    steps = np.diff(query.starts_ms)
    usual_ms = float(np.median(steps)) if len(steps) else 0.0
    lost_ms = max(_LOST_MS, _LOST_FRAMES * usual_ms)
    chains: list[_Chain] = []
    ended: list[_Chain] = []
    most_ended = _MOST_ENDED
    for frame, stored_frames in near:
        time_ms = int(query.starts_ms[frame])
        moments = _Moments.of(stored_frames, time_ms, stored)
        old = [time_ms - int(query.starts_ms[chain.frames[-1]]) > lost_ms for chain in chains]
        ended += [chain for chain, is_old in zip(chains, old, strict=True) if is_old]
        chains = [chain for chain, is_old in zip(chains, old, strict=True) if not is_old]
        _extend(chains, frame, moments, query)
        if len(chains) > _MOST_CHAINS:
            chains.sort(key=lambda chain: (-len(chain.frames), -chain.frames[-1]))
            ended += chains[_MOST_CHAINS:]
            chains = chains[:_MOST_CHAINS]
        if len(ended) > most_ended:
            ended = list(_apart(ended, least_frames))
            most_ended = _MOST_ENDED + 2 * len(ended)
    return sorted(
        (
            _segment(chain, query, stored, usual_ms)
            for chain in _apart(ended + chains, least_frames)
        ),
        key=lambda aligned: aligned.segment.query_start_ms,
    )


def _extend(chains: list[_Chain], frame: int, moments: _Moments, query: Timeline) -> None:
    """Put a frame into the longest chains that agree with its moments, and into new ones."""
    time_ms = int(query.starts_ms[frame])
    taken: set[int] = set()
    for chain in sorted(chains, key=lambda chain: -len(chain.frames)):
        if len(taken) == _MOST_MOMENTS:
            return
        elapsed_ms = time_ms - int(query.starts_ms[chain.frames[-1]])
        at = int(np.searchsorted(moments.highs_ms, chain.low_ms - SPEED * elapsed_ms))
        while at in taken:
            at += 1
        if at == len(moments.lows_ms):
            continue
        offsets_ms = float(moments.lows_ms[at]), float(moments.highs_ms[at])
        low_ms, high_ms = chain.narrowed(elapsed_ms, *offsets_ms)
        if low_ms <= high_ms:
            chain.low_ms, chain.high_ms = low_ms, high_ms
            chain.add(frame, *offsets_ms)
            taken.add(at)
    for at in moments.ranges:
        if len(taken) == _MOST_MOMENTS:
            return
        if at not in taken:
            taken.add(int(at))
            offsets_ms = float(moments.lows_ms[at]), float(moments.highs_ms[at])
            chains.append(_Chain(*offsets_ms))
            chains[-1].add(frame, *offsets_ms)


def _apart(chains: list[_Chain], least_frames: int) -> Iterator[_Chain]:
    """Yield the longest chains, each with ``least_frames`` frames that no chain before it has."""
    used: set[int] = set()
    for chain in sorted(chains, key=lambda chain: -len(chain.frames)):
        own = [at for at, frame in enumerate(chain.frames) if frame not in used]
        used.update(chain.frames)
        if len(own) == len(chain.frames) >= least_frames:
            yield chain
        elif len(own) >= least_frames:
            apart = _Chain(chain.low_ms, chain.high_ms)
            for at in own:
                apart.add(chain.frames[at], chain.lows_ms[at], chain.highs_ms[at])
            yield apart


def _segment(chain: _Chain, query: Timeline, stored: Timeline, usual_ms: float) -> Aligned:
    """Return a chain's segment. It ends half-way to the frames beyond it, and within both videos.

    Where such a frame is further than ``usual_ms``, ones between them had no usable hash.
    """
    first, last = chain.frames[0], chain.frames[-1]
    times_ms = query.starts_ms
    start_ms, end_ms = float(times_ms[first]), float(query.ends_ms[last])
    if first > 0:
        start_ms -= min(float(times_ms[first] - times_ms[first - 1]), usual_ms) / 2
    if last + 1 < len(times_ms):
        end_ms = times_ms[last] + min(float(times_ms[last + 1] - times_ms[last]), usual_ms) / 2
    at_start_ms = _offset_ms(chain, query, backwards=True)
    at_end_ms = _offset_ms(chain, query, backwards=False)
    from_ms, until_ms = float(stored.starts_ms[0]), float(stored.ends_ms.max())
    # What lies before the start of the stored video, or after its end, cannot match it.
    start_ms = min(max(start_ms, from_ms - at_start_ms), float(times_ms[first]))
    end_ms = max(min(end_ms, until_ms - at_end_ms), float(times_ms[last]))
    stored_start_ms = min(max(start_ms + at_start_ms, from_ms), until_ms)
    stored_end_ms = min(max(end_ms + at_end_ms, stored_start_ms), until_ms)
    edges_ms = (start_ms, end_ms, stored_start_ms, stored_end_ms)
    return Aligned(Segment(*(round(edge_ms) for edge_ms in edges_ms)), len(chain.frames))


def _offset_ms(chain: _Chain, query: Timeline, *, backwards: bool) -> float:
    """Return the offset at one end of a chain, narrowed by all of its frames up to there."""
    step = -1 if backwards else 1
    ranges = zip(chain.frames[::step], chain.lows_ms[::step], chain.highs_ms[::step], strict=True)
    followed, before_ms = _Chain(-math.inf, math.inf), 0
    for frame, frame_low_ms, frame_high_ms in ranges:
        time_ms = int(query.starts_ms[frame])
        low_ms, high_ms = followed.narrowed(abs(time_ms - before_ms), frame_low_ms, frame_high_ms)
        if low_ms <= high_ms:
            followed.low_ms, followed.high_ms = low_ms, high_ms
            before_ms = time_ms
    return (followed.low_ms + followed.high_ms) / 2
