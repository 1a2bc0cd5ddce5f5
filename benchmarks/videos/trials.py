"""Look edited and unrelated videos up in this process, as the service does."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.videos.edits import EDITS, Edited
from benchmarks.videos.sources import Kind, Source
from disrupt.core.changes import Addition, Cursor
from disrupt.core.lookups import VideoMatch, VideoOptions
from disrupt.core.media import Assurance, MediaKind, StoredItem
from disrupt.core.policy import ADULTS, Scope
from disrupt.core.videos import Versions, VideoFingerprints, fingerprints_of, frames_of
from disrupt.hashing.videos.frames import (
    REGISTRATION_INTERVAL_MS,
    VideoHashing,
    fingerprint_video,
    hash_video,
)
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.services.matching import Allowance
from disrupt.services.video_matching import VideoLookup

SCOPE = Scope({ADULTS.number: 31})
_AT_ONCE = 16
_CLIP_MS = 5000


@dataclass(frozen=True, slots=True)
class Trial:
    """One edited video: whether it matched its source, and the error of each boundary, in s.

    ``unrelated``: names of sources that matched and are not in it.
    """

    edit: str
    source: str
    kind: Kind
    matched: bool
    query_errors_s: tuple[float, ...]
    stored_errors_s: tuple[float, ...]
    segments: int
    unrelated: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registered:
    """Sources, of which item number k is the k-th, from 1; by name those not registered."""

    names: list[str]
    live: LiveIndex
    unusable: list[str]
    hashes: list[int]

    def name(self, match: VideoMatch) -> str:
        """Return the name of the source that a match is of."""
        return self.names[int.from_bytes(match.item_id) - 1]


def register(sources: Sequence[Source]) -> Registered:
    """Register all sources, as ``disrupt submit`` does."""
    with tempfile.TemporaryDirectory(prefix="disrupt-videos-") as folder:  # its files stay mapped
        live = LiveIndex(publish(Path(folder), [], Cursor(bytes(16), 0)))
    additions, unusable, hashes = [], [], []
    for number, source in enumerate(sources, 1):
        outcome = fingerprint_video(io.BytesIO(source.data))
        if not isinstance(outcome, VideoFingerprints):
            unusable.append(source.name)
            continue
        hashes.append(len(outcome.fingerprints))
        item = StoredItem.of(
            number,
            number.to_bytes(16),
            ADULTS.number,
            MediaKind.VIDEO,
            Assurance.SELF_REPORTED,
            outcome.fingerprints,
        )
        additions.append(Addition(number, item))
    live.apply(additions, Cursor(bytes(16), len(sources) + 1))
    return Registered([video.name for video in sources], live, unusable, hashes)


def look_up(live: LiveIndex, frames: Sequence[NDArray[np.void]]) -> tuple[VideoMatch, ...]:
    """Return the matches of a video with these frames."""
    lookup = VideoLookup(live, SCOPE, VideoOptions(), Allowance(math.inf))
    for start in range(0, len(frames), _AT_ONCE):
        lookup.add(frames[start : start + _AT_ONCE])
    return lookup.matches().matches


def attempt(
    registered: Registered, edit: str, source: Source, pool: Sequence[Source], seed: list[int]
) -> Trial:
    """Run one trial."""
    edited = EDITS[edit](source, pool, np.random.default_rng(seed))
    rows, _ = hash_video(io.BytesIO(edited.data))
    matches = {
        registered.name(listed): listed for listed in look_up(registered.live, frames_of(rows))
    }
    match = matches.pop(source.name, None)
    unrelated = tuple(sorted(set(matches) - edited.other_sources))
    query_errors, stored_errors = _errors(match, edited) if match else ((), ())
    segments = len(match.segments) if match else 0
    return Trial(
        edit,
        source.name,
        source.kind,
        match is not None,
        query_errors,
        stored_errors,
        segments,
        unrelated,
    )


def _errors(match: VideoMatch, edited: Edited) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the errors of the matched ends, on both sides, in s."""
    measured = (
        min(segment.query_start_ms for segment in match.segments),
        max(segment.query_end_ms for segment in match.segments),
        min(segment.stored_start_ms for segment in match.segments),
        max(segment.stored_end_ms for segment in match.segments),
    )
    truth = (*edited.query, *edited.stored)
    errors = [abs(ms / 1000 - s) for ms, s in zip(measured, truth, strict=True)]
    return tuple(errors[:2]), tuple(errors[2:])


@dataclass(frozen=True, slots=True)
class Unrelated:
    """Lookups of all sources, and of each clip of 5 s, among the others."""

    lookups: int
    matches: list[tuple[str, str]]
    """Source looked up and source that matched, by name, once for each clip."""


def false_matches(registered: Registered, sources: Sequence[Source]) -> Unrelated:
    """Look up sources and return matches with other sources."""
    lookups, matches = 0, []
    for source in sources:
        rows, _ = hash_video(io.BytesIO(source.data))
        frames = frames_of(rows)
        starts_ms = np.array([int(frame_rows["start_ms"][0]) for frame_rows in frames])
        clips = [frames]
        for start_ms in range(0, int(starts_ms[-1]) + 1, _CLIP_MS):
            within = np.flatnonzero((starts_ms >= start_ms) & (starts_ms < start_ms + _CLIP_MS))
            clips.append([frames[at] for at in within])
        for clip in clips:
            lookups += 1
            for match in look_up(registered.live, clip):
                name = registered.name(match)
                if name != source.name:
                    matches.append((source.name, name))
    return Unrelated(lookups, matches)


def hour_of(sources: Sequence[Source]) -> int:
    """Return hashes stored of an hour in which these come one after the other, repeated."""
    parts = []
    for source in sources:
        file = io.BytesIO(source.data)
        hashing = VideoHashing(file, interval_ms=REGISTRATION_INTERVAL_MS, versions=Versions.STORED)
        parts.append(np.concatenate(list(hashing)))
    lasts_ms = sum(int(frame_rows["end_ms"][-1]) for frame_rows in parts)
    shown, before_ms = [], 0
    for part in parts * (3_600_000 // lasts_ms + 1):
        later = part.copy()
        later["start_ms"] += before_ms
        later["end_ms"] += before_ms
        before_ms += int(part["end_ms"][-1])
        shown.append(later)
    rows = np.concatenate(shown)
    return len(fingerprints_of(rows[rows["end_ms"] <= 3_600_000], small=False))
