"""Look up videos: frames propose media items, then all frames of both are compared."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES
from disrupt.core.lookups import (
    MATCHED_VERSIONS_MAX,
    Extent,
    VideoMatch,
    VideoMatches,
    VideoOptions,
    answered_places,
    extent_of,
)
from disrupt.core.media import MediaKind
from disrupt.core.outcomes import MatchedVersion
from disrupt.core.own_disputes import OwnDisputes, undisputed
from disrupt.core.policy import MINORS, Scope
from disrupt.core.videos import FRAME, HELD_BYTES_MAX, transform_of_frame
from disrupt.errors import LimitExceededError
from disrupt.index.columns import Hits
from disrupt.index.live import LiveIndex
from disrupt.services.common_moments import COMMON_VIDEOS, common_moments
from disrupt.services.matching import BLOCK_QUERIES, STEP, Allowance, search_near
from disrupt.services.video_evidence import Evidence, Query, Work, weigh

CERTAIN_FRAMES = 4
"""Number of frames that must agree before a match is certain while the query still comes."""

_MOST_JUDGED = 1024
"""Stored hashes of all videos that a lookup searches to find common frames: some 20 ms."""

_LEAST_JUDGED = 8
"""Least such hashes of each video: an intro and an outro then make 2 of 7 parts common."""

_MOST_CANDIDATES = 1000
"""Most media items that are compared in one lookup.

Banks take turns, so that none crowds another out; the items of a bank that most frames propose come
first.
"""

_FRAME_BYTES = 64
"""Most memory that a frame takes beside its versions."""

_CANDIDATE_BYTES = 400
"""Memory that a candidate takes beside the frames that propose it."""

_MOST_WORK = 30_000_000
"""Most near pairs that one lookup aligns, so that it ends in some 5 s of processor time."""

_SAME_BITS = 6
"""Distance within which a version proposes the items of a searched one, and is not searched."""

_AT_ONCE = 16
"""Number of frames that are added at once where all are searched again."""

_RECENT = 64
"""Number of the latest searched versions that a new one is compared with for that."""


_NONE_DISPUTED: OwnDisputes = {}


@dataclass(slots=True)
class _Searched:
    """A version of a frame that is searched, and whether it proposed an item."""

    value: int
    frame: int
    proposed: bool = False


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
        self,
        index: LiveIndex,
        scope: Scope,
        options: VideoOptions,
        allowance: Allowance,
        own: OwnDisputes = _NONE_DISPUTED,
    ) -> None:
        """Look up in ``index``; ``own`` is what the caller's organisation disputes."""
        self._own = own
        self._index = index
        self._scope = scope
        self._options = options
        self._allowance = allowance
        self._rows = bytearray()
        self._versions = array("I")
        self._searched: defaultdict[int, deque[_Searched]] = defaultdict(
            lambda: deque(maxlen=_RECENT)
        )
        # Pairs of frames: one with a version that is not searched, and the earlier frame whose
        # nearly equal version proposes items for both.
        self._stand_ins = array("I")
        self._cut_off: set[int] = set()
        self._candidates: dict[int, _Candidate] = {}
        self._proposals = 0
        self._compared_at = 0
        self._early_work = Work(allowance, _MOST_WORK)
        self._matching: list[tuple[_Candidate, Evidence]] | None = None
        self._unfinished = False
        self.hashed = 0
        """Number of frames that were added."""

    @property
    def low_quality(self) -> int:
        """Number of added frames that are too featureless or too regular to be searched."""
        return self.hashed - len(self._versions)

    @property
    def held_bytes(self) -> int:
        """Memory that the lookup holds between two calls, roughly."""
        return (
            len(self._rows)
            + len(self._versions) * _FRAME_BYTES
            + len(self._candidates) * _CANDIDATE_BYTES
            + (self._proposals + len(self._stand_ins)) * self._versions.itemsize
        )

    def add(self, frames: Iterable[NDArray[np.void]]) -> None:
        """Add frames, each as its versions (dtype FRAME), ascending in time."""
        deque(self.adding(frames), maxlen=0)

    def adding(self, frames: Iterable[NDArray[np.void]]) -> Iterator[bool]:
        """Add frames as ``add`` does; pause after each search, whose work is bounded."""
        self._allowance.check()
        queries: list[_Searched] = []
        for rows in frames:
            self.hashed += 1
            usable = rows[rows["usable"] != 0]
            if not len(usable):
                continue
            frame = len(self._versions)
            self._rows += usable.tobytes()
            self._versions.append(len(usable))
            queries += self._unlike(usable["hash"], frame)
            self._check_size()
        if queries and self._scope.limits:
            yield from self._search(queries)

    def certain(self) -> Iterator[bool]:
        """Compare in steps; yield whether a match is certain, whatever frames still follow."""
        most = max((len(candidate.frames) for candidate in self._candidates.values()), default=0)
        # comparing is dear, and what did not suffice needs more frames, half as many again
        if most < CERTAIN_FRAMES or 2 * most <= 3 * self._compared_at:
            return
        self._compared_at = most
        for match in self._weighed(self._early_work):
            yield (
                match is not None
                and not match[1].common_only
                and match[1].frames >= CERTAIN_FRAMES
                and bool(self._undisputed(*match))
            )

    def weigh(self) -> Iterator[bool]:
        """Compare the candidates in steps, so that ``matches`` only has to rank them.

        All in one state of the index. Where that lacks a candidate, which may have been renewed
        since its frames were searched, all frames are searched again in it.
        """
        self._index = self._index.fixed()
        if not all(map(self._index.holds, self._likely()[:_MOST_CANDIDATES])):
            yield from self._search_again()
        self._matching = []
        work = Work(self._allowance, _MOST_WORK)
        for match in self._weighed(work):
            if match is not None:
                self._matching.append(match)
            yield match is not None
        self._unfinished = work.cut

    def matches(self) -> VideoMatches:
        """Return the media items that match: first those that most frames of the query show.

        Those whose evidence is common only come after them, and those last that are disputed.
        """
        if self._matching is None:
            deque(self.weigh(), maxlen=0)
        weighed = sorted(
            self._matching or (),
            key=lambda pair: (
                not self._undisputed(*pair),
                pair[1].common_only,
                -pair[1].frames,
                pair[1].distance_bits,
                pair[0].bank != MINORS.number,
                pair[0].item_id,
            ),
        )
        most = self._options.lookup.max_matches
        ranks = answered_places([candidate.bank for candidate, *_ in weighed], most)
        return VideoMatches(
            tuple(self._match(*weighed[rank]) for rank in ranks),
            truncated=len(weighed) > most
            or len(self._candidates) > _MOST_CANDIDATES
            or bool(self._cut_off)
            or self._unfinished,
        )

    def _unlike(self, hashes: NDArray[np.uint8], frame: int) -> list[_Searched]:
        """Return the versions to search: those unlike every searched version of earlier frames."""
        unlike = []
        stand_ins = set()
        for version, code in enumerate(hashes):
            value, recent = int.from_bytes(code.tobytes()), self._searched[version]
            like = next(
                (
                    each
                    for each in recent
                    if each.value == value
                    # Where nothing is near to it, this one may still be nearer to something.
                    or (each.proposed and (each.value ^ value).bit_count() <= _SAME_BITS)
                ),
                None,
            )
            if like:
                stand_ins.add(like.frame)
            else:
                unlike.append(_Searched(value, frame))
                recent.append(unlike[-1])
        for stand_in in stand_ins:
            self._stand_ins.extend((frame, stand_in))
        return unlike

    def _search(self, queries: list[_Searched]) -> Iterator[bool]:
        codes = b"".join(query.value.to_bytes(HASH_BYTES) for query in queries)
        hashes = np.frombuffer(codes, np.uint8).reshape(-1, HASH_BYTES)
        start = 0
        while start < len(queries):
            self._allowance.check()
            block = hashes[start : start + BLOCK_QUERIES]
            # Videos are spared: their frames have to agree on times, too.
            near = search_near(
                self._index, block, self._scope, _MOST_CANDIDATES, MediaKind.VIDEO, STEP
            )
            self._cut_off.update(queries[start + at].frame for at in near.truncated.tolist())
            self._propose(near.hits, queries[start : start + BLOCK_QUERIES])
            start += len(block) - near.left
            yield start < len(queries)

    def _search_again(self) -> Iterator[bool]:
        """Propose candidates anew, by all frames that were added, in steps."""
        again = VideoLookup(self._index, self._scope, self._options, self._allowance)
        rows, lengths = np.frombuffer(self._rows, FRAME), np.asarray(self._versions)
        frames = np.split(rows, np.cumsum(lengths.astype(np.intp))[:-1])
        for first in range(0, len(frames), _AT_ONCE):
            for _ in again.adding(frames[first : first + _AT_ONCE]):
                yield False
        self._searched, self._stand_ins = again._searched, again._stand_ins
        self._cut_off, self._candidates = again._cut_off, again._candidates
        self._proposals = again._proposals

    def _propose(self, hits: Hits, queries: list[_Searched]) -> None:
        rows = zip(hits.number.tolist(), hits.query.tolist(), strict=True)
        for at, (number, asked) in enumerate(rows):
            if number not in self._candidates:
                self._candidates[number] = _Candidate(
                    hits.item_id[at].tobytes(),
                    int(hits.bank[at]),
                    MediaKind(int(hits.kind[at])),
                    int(hits.assurance[at]),
                )
            query, frames = queries[asked], self._candidates[number].frames
            query.proposed = True
            if not frames or frames[-1] != query.frame:
                frames.append(query.frame)
                self._proposals += 1
        self._check_size()

    def _check_size(self) -> None:
        if self.held_bytes > HELD_BYTES_MAX:
            raise LimitExceededError(
                "The frames of this video, and what they are near to, take more memory than one"
                " lookup may have. Send it in parts, or with larger intervals.",
                limit=str(HELD_BYTES_MAX),
            )

    def _weighed(self, work: Work) -> Iterator[tuple[_Candidate, Evidence] | None]:
        """Yield the candidates with enough evidence, and None after each other step.

        Each may take its share of the work that those before it left.
        """
        numbers = self._likely()[:_MOST_CANDIDATES]
        if not numbers:
            return
        query = Query.of(
            np.frombuffer(self._rows, FRAME), np.asarray(self._versions).astype(np.intp)
        )
        crowded = self._crowded(numbers)
        like, stand_ins = np.asarray(self._stand_ins).astype(np.intp).reshape(-1, 2).T
        searched = np.ones(len(self._versions), np.bool_)
        searched[like] = False
        searched[sorted(self._cut_off)] = False
        for compared, number in enumerate(numbers):
            share = Work(self._allowance, work.left // (len(numbers) - compared))
            if share.left <= 0:
                work.cut = True
                return
            work.left -= share.left
            self._allowance.check()
            columns = self._index.find(number)
            if columns is None:
                work.left += share.left
                continue
            candidate = self._candidates[number]
            limit = self._scope.limits[candidate.bank]
            proposed_by = np.zeros_like(searched)
            proposed_by[candidate.frames] = True
            proposed_by[like[proposed_by[stand_ins]]] = True
            apart = np.zeros_like(searched)
            if candidate.kind == MediaKind.VIDEO:
                # A searched frame that has not proposed the video is near to none of its hashes.
                apart = searched & ~proposed_by
            left_out: list[NDArray[np.bool_] | None] = [None]
            if number in crowded:
                most_hashes = max(_LEAST_JUDGED, _MOST_JUDGED // len(crowded))
                bank = Scope({candidate.bank: limit})
                counting = common_moments(self._index, columns, bank, most_hashes, self._allowance)
                common = yield from counting
                if common.any():
                    left_out = [common, None]
            match = None
            for moments in left_out:
                evidence = weigh(
                    query, candidate.kind, columns, proposed_by, apart, limit, share, moments
                )
                if evidence and self._suffices(evidence):
                    common_only = moments is not left_out[0]
                    match = candidate, replace(evidence, common_only=common_only)
                    break
            work.left += share.left
            work.cut |= share.cut
            yield match

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
        areas = evidence.query_area_permille, evidence.stored_area_permille
        return (
            evidence.query_share_permille >= self._options.min_query_share_permille
            and evidence.stored_share_permille >= self._options.min_stored_share_permille
            and (not self._options.lookup.whole_only or extent_of(*areas) == Extent.WHOLE)
        )

    def _crowded(self, numbers: list[int]) -> set[int]:
        """Return the videos among these that share a query frame with many others of their bank."""
        frames = {
            number: np.asarray(self._candidates[number].frames)
            for number in numbers
            if self._candidates[number].kind == MediaKind.VIDEO
        }
        videos: defaultdict[int, NDArray[np.intp]] = defaultdict(
            lambda: np.zeros(len(self._versions), np.intp)
        )
        for number, shown in frames.items():
            videos[self._candidates[number].bank][shown] += 1
        return {
            number
            for number, shown in frames.items()
            if videos[self._candidates[number].bank][shown].max() >= COMMON_VIDEOS
        }

    def _undisputed(self, candidate: _Candidate, evidence: Evidence) -> tuple[MatchedVersion, ...]:
        return undisputed(evidence.versions, self._own.get(candidate.item_id, {}))

    def _match(self, candidate: _Candidate, evidence: Evidence) -> VideoMatch:
        left = self._undisputed(candidate, evidence)
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
            common_only=evidence.common_only,
            query_area_permille=evidence.query_area_permille,
            stored_area_permille=evidence.stored_area_permille,
            versions=(left or evidence.versions)[:MATCHED_VERSIONS_MAX],
            is_disputed=not left,
            queried=evidence.query_row["hash"].tobytes(),
            stored_start_ms=int(evidence.stored_entry["start_ms"]),
        )
