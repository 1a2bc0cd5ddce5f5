"""Lookups by video: frames propose media items, comparing all frames of both decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import VideoMatch, VideoMatches, VideoOptions
from disrupt.core.media import MediaKind
from disrupt.core.policy import Scope
from disrupt.core.videos import transform_of_frame
from disrupt.index.columns import Columns, Hits
from disrupt.index.live import LiveIndex
from disrupt.services.matching import limits_bits_of
from disrupt.services.video_evidence import Evidence, Query, share_of_near, weigh

CERTAIN_FRAMES = 4
"""Frames that must agree for a match to be certain before the query has ended."""

COMMON_VIDEOS = 8
"""A frame in so many stored videos may be an intro or a test card, and no evidence for any."""

_COMMON_SHARE = 0.5
"""It is, if less than this share of what those videos show is the same: else they are copies."""

_MOST_CANDIDATES = 1000
"""Media items that are compared in one lookup; those that most frames propose come first."""

_SAME_BITS = 6
"""A frame so near to one that was searched proposes nothing new."""

_RECENT = 64
"""Searched frames that a new one is compared with for that."""


@dataclass(slots=True)
class _Candidate:
    """A media item, as the index has it, and the frames that propose it."""

    item_id: bytes
    bank: int
    kind: MediaKind
    assurance: int
    frames: set[int] = field(default_factory=set)


class VideoLookup:
    """One lookup by video, whose frames are added as they come. For one thread at a time."""

    def __init__(self, index: LiveIndex, scope: Scope, options: VideoOptions) -> None:
        self._index = index
        self._scope = scope
        self._options = options
        self._frames: list[NDArray[np.void]] = []
        self._searched: list[tuple[int, int]] = []
        self._like: list[int] = []
        self._candidates: dict[int, _Candidate] = {}
        self._compared_at = 0
        self.hashed = 0
        """Frames that were added."""

    @property
    def low_quality(self) -> int:
        """Frames among them that are too featureless or too regular to be searched."""
        return self.hashed - len(self._frames)

    def add(self, frames: Iterable[NDArray[np.void]]) -> None:
        """Takes in frames, each by its versions (dtype FRAME), ascending in time."""
        versions: list[NDArray[np.uint8]] = []
        of_frame: list[int] = []
        for rows in frames:
            self.hashed += 1
            usable = rows[rows["usable"] != 0]
            if not len(usable):
                continue
            frame = len(self._frames)
            self._frames.append(usable)
            self._like.append(self._known(usable[0], frame))
            if self._like[-1] == frame:
                versions.append(usable["hash"])
                of_frame += [frame] * len(usable)
        if versions and self._scope.limits:
            queries, scope = np.concatenate(versions), self._scope
            limits_bits = limits_bits_of(scope)
            near = self._index.search_items(
                queries, scope.radius_bits, limits_bits, _MOST_CANDIDATES
            )
            self._propose(near.hits, of_frame)

    def certain(self) -> bool:
        """Whether what was added so far is a match, whatever comes."""
        most = max((len(one.frames) for one in self._candidates.values()), default=0)
        # comparing is dear, and what did not suffice needs more frames
        if most < CERTAIN_FRAMES or most <= self._compared_at:
            return False
        self._compared_at = most
        return any(evidence.frames >= CERTAIN_FRAMES for _, _, evidence in self._weighed())

    def matches(self) -> VideoMatches:
        """Media items that match, those that most frames show first."""
        found = sorted(
            self._weighed(), key=lambda one: (-one[2].frames, one[2].distance_bits, one[0].item_id)
        )
        most = self._options.lookup.max_matches
        return VideoMatches(
            tuple(self._match(*one) for one in found[:most]),
            truncated=len(found) > most or len(self._candidates) > _MOST_CANDIDATES,
        )

    def _known(self, row: np.void, frame: int) -> int:
        """The searched frame that is so near that this one need not be, or this one."""
        one = int.from_bytes(row["hash"].tobytes())
        for other, place in self._searched[-_RECENT:]:
            if (one ^ other).bit_count() <= _SAME_BITS:
                return place
        self._searched.append((one, frame))
        return frame

    def _propose(self, hits: Hits, of_frame: list[int]) -> None:
        rows = zip(hits.number.tolist(), hits.query.tolist(), strict=True)
        for at, (number, query) in enumerate(rows):
            if number not in self._candidates:
                self._candidates[number] = _Candidate(
                    hits.item_id[at].tobytes(),
                    int(hits.bank[at]),
                    MediaKind(int(hits.kind[at])),
                    int(hits.assurance[at]),
                )
            self._candidates[number].frames.add(of_frame[query])

    def _weighed(self) -> list[tuple[_Candidate, Columns, Evidence]]:
        """Candidates with enough evidence."""
        likely = sorted(self._candidates.items(), key=lambda one: -len(one[1].frames))
        stored = {
            number: found
            for number, _ in likely[:_MOST_CANDIDATES]
            if (found := self._index.find(number)) is not None
        }
        if not stored:
            return []
        query = Query.of(self._frames)
        common = self._common(stored)
        weighed = []
        for number, columns in stored.items():
            candidate = self._candidates[number]
            limit = self._scope.limits[candidate.bank]
            apart = common if candidate.kind == MediaKind.VIDEO else set()
            evidence = weigh(query, candidate.kind, columns, candidate.frames, apart, limit)
            if evidence is not None and self._suffices(evidence):
                weighed.append((candidate, columns, evidence))
        return weighed

    def _suffices(self, evidence: Evidence) -> bool:
        return (
            evidence.query_share_permille >= self._options.min_query_share_permille
            and evidence.stored_share_permille >= self._options.min_stored_share_permille
        )

    def _common(self, stored: dict[int, Columns]) -> set[int]:
        """Frames that many videos have in common which are no copies of each other."""
        videos: dict[int, list[int]] = {}
        for number in stored:
            if self._candidates[number].kind == MediaKind.VIDEO:
                for frame in self._candidates[number].frames:
                    videos.setdefault(frame, []).append(number)
        judged: dict[tuple[int, ...], bool] = {}
        common: set[int] = set()
        for frame, numbers in videos.items():
            if len(numbers) >= COMMON_VIDEOS:
                some = tuple(sorted(numbers)[:COMMON_VIDEOS])
                if some not in judged:
                    judged[some] = self._differ([stored[number] for number in some])
                if judged[some]:
                    common.add(frame)
        return {frame for frame, like in enumerate(self._like) if like in common}

    def _differ(self, videos: list[Columns]) -> bool:
        """Whether these show other things for the most part."""
        shares = [
            share_of_near(one, other, self._scope.radius_bits)
            for one, other in combinations(videos, 2)
        ]
        return float(np.median(shares)) < _COMMON_SHARE

    def _match(self, candidate: _Candidate, stored: Columns, evidence: Evidence) -> VideoMatch:
        entry = stored.entries[evidence.stored_row]
        rows = np.concatenate(self._frames)
        return VideoMatch(
            item_id=candidate.item_id,
            bank=candidate.bank,
            assurance=candidate.assurance,
            kind=candidate.kind,
            distance_bits=evidence.distance_bits,
            query_transform=transform_of_frame(rows[evidence.query_row]),
            plan=int(entry["plan"]),
            ordinal=int(entry["ordinal"]),
            segments=evidence.segments,
            query_share_permille=evidence.query_share_permille,
            stored_share_permille=evidence.stored_share_permille,
        )
