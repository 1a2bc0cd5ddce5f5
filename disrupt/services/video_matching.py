"""Look up videos: frames propose media items, then all frames of both are compared."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import VideoMatch, VideoMatches, VideoOptions, answered_places
from disrupt.core.media import MediaKind
from disrupt.core.policy import Scope
from disrupt.core.videos import transform_of_frame
from disrupt.errors import LimitExceededError
from disrupt.index.columns import Columns, Hits
from disrupt.index.live import LiveIndex
from disrupt.services.matching import BLOCK_QUERIES, Allowance, limits_bits_of, search_near
from disrupt.services.video_evidence import Evidence, Query, moments_of, weigh

CERTAIN_FRAMES = 4
"""Frames that must agree for a match to be certain before the query has ended."""

COMMON_VIDEOS = 8
"""A frame in this many stored videos may be an intro or a test card, which is no evidence."""

_COMMON_RATIO = 2
"""Such a frame does not count for a video if half of the video is in less than 1/2 as many."""

_MOST_COUNTED = 4 * COMMON_VIDEOS
"""Most items counted near one stored hash: enough to tell 16 copies from the intro of 32 videos."""

_MOST_JUDGED = 1024
"""Stored hashes of all videos that a lookup searches to find common frames: some 20 ms."""

_LEAST_JUDGED = 8
"""Least such hashes of each video: an intro and an outro then make 2 of 7 parts common."""

_MOST_CANDIDATES = 1000
"""Most media items that are compared in one lookup.

Banks take turns, so that none crowds another out; the items of a bank that most frames propose come
first.
"""

_MOST_HASHES = 1_200_000
"""Most versions of frames in one lookup, 51 bytes each: 12 for each of 100 000 frames, which a
recorded screen has."""

_MOST_PROPOSALS = 20_000_000
"""Most pairs of a frame and an item near to it in one lookup: an hour that 5000 items show."""

_SAME_BITS = 6
"""Distance within which a frame is not searched, since a searched one stands for it."""

_RECENT = 64
"""Latest searched frames that a new one is compared with for that."""


@dataclass(slots=True)
class _Candidate:
    """A media item of the index, and the frames that propose it, ascending."""

    item_id: bytes
    bank: int
    kind: MediaKind
    assurance: int
    frames: array[int] = field(default_factory=lambda: array("I"))


class VideoLookup:
    """One lookup by video, whose frames are added as they come. For one thread at a time.

    Its methods raise DeadlineExceededError once the allowance is over.
    """

    def __init__(
        self, index: LiveIndex, scope: Scope, options: VideoOptions, allowance: Allowance
    ) -> None:
        self._index = index
        self._scope = scope
        self._options = options
        self._allowance = allowance
        self._frames: list[NDArray[np.void]] = []
        self._searched: list[tuple[int, int]] = []
        self._like: list[int] = []
        self._cut_off: set[int] = set()
        self._candidates: dict[int, _Candidate] = {}
        self._hashes = 0
        self._proposals = 0
        self._compared_at = 0
        self.hashed = 0
        """Number of frames that were added."""

    @property
    def low_quality(self) -> int:
        """Number of added frames that are too featureless or too regular to be searched."""
        return self.hashed - len(self._frames)

    def add(self, frames: Iterable[NDArray[np.void]]) -> None:
        """Add frames, each as its versions (dtype FRAME), ascending in time."""
        self._allowance.check()
        versions: list[NDArray[np.uint8]] = []
        of_frame: list[int] = []
        for rows in frames:
            self.hashed += 1
            usable = rows[rows["usable"] != 0]
            if not len(usable):
                continue
            self._hashes += len(usable)
            if self._hashes > _MOST_HASHES:
                raise LimitExceededError(
                    f"At most {_MOST_HASHES} hashes of frames in one lookup. Send the video in"
                    " parts, or with larger intervals.",
                    limit=str(_MOST_HASHES),
                )
            frame = len(self._frames)
            self._frames.append(usable)
            self._like.append(self._known(usable[0], frame))
            if self._like[-1] == frame:
                versions.append(usable["hash"])
                of_frame += [frame] * len(usable)
        if versions and self._scope.limits:
            self._search(np.concatenate(versions), of_frame)

    def certain(self) -> bool:
        """Tell whether the frames added so far are a match, whatever follows."""
        most = max((len(candidate.frames) for candidate in self._candidates.values()), default=0)
        # Comparing is dear: after one that did not suffice, wait for half as many frames again.
        if most < CERTAIN_FRAMES or 2 * most <= 3 * self._compared_at:
            return False
        self._compared_at = most
        return any(evidence.frames >= CERTAIN_FRAMES for _, evidence in self._weighed())

    def matches(self) -> VideoMatches:
        """Return the media items that match, those that most frames show first."""
        weighed = sorted(
            self._weighed(),
            key=lambda pair: (-pair[1].frames, pair[1].distance_bits, pair[0].item_id),
        )
        most = self._options.lookup.max_matches
        places = answered_places([candidate.bank for candidate, *_ in weighed], most)
        return VideoMatches(
            tuple(_match(*weighed[place]) for place in places),
            truncated=len(weighed) > most
            or len(self._candidates) > _MOST_CANDIDATES
            or bool(self._cut_off),
        )

    def _known(self, row: np.void, frame: int) -> int:
        """Return a searched frame near enough to stand for this one, or this one's own number."""
        value = int.from_bytes(row["hash"].tobytes())
        for searched, place in self._searched[-_RECENT:]:
            if (value ^ searched).bit_count() <= _SAME_BITS:
                return place
        self._searched.append((value, frame))
        return frame

    def _search(self, queries: NDArray[np.uint8], of_frame: list[int]) -> None:
        for start in range(0, len(queries), BLOCK_QUERIES):
            self._allowance.check()
            block = queries[start : start + BLOCK_QUERIES]
            # Videos are spared: their frames have to agree on times, too.
            near = search_near(
                self._index, block, self._scope, _MOST_CANDIDATES, spared=MediaKind.VIDEO
            )
            self._cut_off.update(of_frame[start + query] for query in near.truncated.tolist())
            self._propose(near.hits, of_frame[start : start + BLOCK_QUERIES])

    def _propose(self, hits: Hits, of_frame: list[int]) -> None:
        self._proposals += len(hits)
        if self._proposals > _MOST_PROPOSALS:
            raise LimitExceededError(
                "So many frames of this video are near to so many stored videos and pictures that"
                " comparing all would take too long. Send it in parts, or with larger intervals.",
                limit=str(_MOST_PROPOSALS),
            )
        rows = zip(hits.number.tolist(), hits.query.tolist(), strict=True)
        for at, (number, query) in enumerate(rows):
            if number not in self._candidates:
                self._candidates[number] = _Candidate(
                    hits.item_id[at].tobytes(),
                    int(hits.bank[at]),
                    MediaKind(int(hits.kind[at])),
                    int(hits.assurance[at]),
                )
            frames = self._candidates[number].frames
            if not frames or frames[-1] != of_frame[query]:
                frames.append(of_frame[query])

    def _weighed(self) -> list[tuple[_Candidate, Evidence]]:
        """Return the candidates with enough evidence."""
        numbers = self._likely()[:_MOST_CANDIDATES]
        if not numbers:
            return []
        query = Query.of(self._frames)
        like = np.array(self._like)
        crowded = self._crowded(numbers)
        searched = like == np.arange(len(like))
        searched[sorted(self._cut_off)] = False
        weighed = []
        for number in numbers:
            self._allowance.check()
            columns = self._index.find(number)
            if columns is None:
                continue
            candidate = self._candidates[number]
            limit = self._scope.limits[candidate.bank]
            proposed_by = np.isin(like, candidate.frames)
            apart = np.zeros_like(searched)
            if candidate.kind == MediaKind.VIDEO:
                # A searched frame that has not proposed the video is near to none of its hashes.
                apart = searched & ~proposed_by
            common = None
            if number in crowded:
                common = self._common(columns, max(_LEAST_JUDGED, _MOST_JUDGED // len(crowded)))
            evidence = weigh(
                query, candidate.kind, columns, proposed_by, apart, limit, self._allowance, common
            )
            if evidence is not None and self._suffices(evidence):
                weighed.append((candidate, evidence))
        return weighed

    def _likely(self) -> list[int]:
        """Return the numbers of the candidates in the order in which they are compared."""
        frames = {number: len(candidate.frames) for number, candidate in self._candidates.items()}
        turns: Counter[int] = Counter()
        order = []
        for number in sorted(frames, key=frames.__getitem__, reverse=True):
            bank = self._candidates[number].bank
            turns[bank] += 1
            order.append((turns[bank], number))
        return [number for _, number in sorted(order, key=itemgetter(0))]

    def _suffices(self, evidence: Evidence) -> bool:
        return (
            evidence.query_share_permille >= self._options.min_query_share_permille
            and evidence.stored_share_permille >= self._options.min_stored_share_permille
        )

    def _crowded(self, numbers: list[int]) -> set[int]:
        """Return the videos among these that share a frame of the query with many others."""
        frames = {
            number: np.asarray(self._candidates[number].frames)
            for number in numbers
            if self._candidates[number].kind == MediaKind.VIDEO
        }
        videos = np.zeros(len(self._frames), np.intp)
        for shown in frames.values():
            videos[shown] += 1
        return {number for number, shown in frames.items() if videos[shown].max() >= COMMON_VIDEOS}

    def _common(self, stored: Columns, most_hashes: int) -> NDArray[np.bool_]:
        """Return which moments of a video, shape (n,), are in far more items than the rest of it.

        They are always less than half of its moments, whatever anybody registers. Where the video
        has more than ``most_hashes``, that many evenly spaced ones are searched, including the
        first and the last; a hash between two counts as common as the more common of them.
        """
        scope, limits_bits = self._scope, limits_bits_of(self._scope)
        firsts, moment_of = moments_of(stored)
        in_time = np.argsort(moment_of, kind="stable")
        places = np.arange(len(in_time))
        judged = places
        if len(places) > most_hashes:
            judged = np.linspace(0, len(places) - 1, most_hashes).astype(np.intp)
        queries = stored.codes[in_time[judged]]
        items = np.zeros(len(queries), np.intp)
        for start in range(0, len(queries), BLOCK_QUERIES):
            self._allowance.check()
            block = queries[start : start + BLOCK_QUERIES]
            # Pictures count, too: they could take the places of videos in the answer.
            near = self._index.search_items(block, scope.radius_bits, limits_bits, _MOST_COUNTED)
            items[start : start + len(block)] = np.bincount(near.hits.query, minlength=len(block))
        before = np.searchsorted(judged, places, side="right") - 1
        after = np.searchsorted(judged, places)
        of_moment = np.zeros(len(firsts), np.intp)
        np.maximum.at(of_moment, moment_of[in_time], np.maximum(items[before], items[after]))
        common: NDArray[np.bool_] = of_moment >= max(
            COMMON_VIDEOS, _COMMON_RATIO * np.median(of_moment)
        )
        return common


def _match(candidate: _Candidate, evidence: Evidence) -> VideoMatch:
    return VideoMatch(
        item_id=candidate.item_id,
        bank=candidate.bank,
        assurance=candidate.assurance,
        kind=candidate.kind,
        distance_bits=evidence.distance_bits,
        query_transform=transform_of_frame(evidence.query_row),
        plan=int(evidence.stored_entry["plan"]),
        ordinal=int(evidence.stored_entry["ordinal"]),
        segments=evidence.segments,
        query_share_permille=evidence.query_share_permille,
        stored_share_permille=evidence.stored_share_permille,
    )
