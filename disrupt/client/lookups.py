"""Decide what a lookup asks, and what its answer is; without I/O, so for threads and asyncio alike.

A lookup is a generator of steps. Each step is a list of calls, which are made at once on all
connections; what ``Call.answer`` makes of their responses is sent back, in the order of the calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from disrupt.client import requests, results
from disrupt.client.requests import Batch
from disrupt.client.results import HashAnswer, ImageAnswer, IndexStatus
from disrupt.core.media import LowQuality, Profile
from disrupt.errors import DisruptError, InvalidRequestError, LimitExceededError, NotFoundError
from disrupt.hashing import ImageQuery
from disrupt.v1 import match_pb2

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of MatchService; ``answer`` converts its response, or refuses it by DisruptError."""

    method: str
    request: object
    answer: Callable[[Any], object]


Steps: TypeAlias = Generator[list[Call], Any, _Answer]


OF_ONE_REPORT = (InvalidRequestError, LimitExceededError, NotFoundError)
"""Refusals of one report, which say nothing of others."""


@dataclass(slots=True)
class Reporting:
    """Failures of several reports: once one meets what all would meet, the rest are not sent."""

    failure: DisruptError | None = None

    def failed(self, error: DisruptError) -> DisruptError:
        """Note the failure of a report, and return it."""
        if not isinstance(error, OF_ONE_REPORT):
            self.failure = error
        return error


def report(request: match_pb2.ReportOutcomeRequest) -> Call:
    """Return the call that reports what came of a match."""
    return Call("ReportOutcome", request, lambda _: None)


class Lookups:
    """Make the steps of each kind of lookup. Knows the server's limit, which large batches need."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hashes_per_lookup = 0
        self._limit_until_s = 0.0

    def hashes(
        self, batch: Batch, options: match_pb2.MatchOptions, profile: Profile
    ) -> Steps[tuple[HashAnswer, ...]]:
        """Look up a batch, in as many parts as the server's limit makes necessary."""
        parts = yield from self.parts(batch, options, profile)
        answers = yield [
            Call("MatchHashes", part, partial(results.hash_answers, count=requests.count(part)))
            for part in parts
        ]
        return results.in_order(answers)

    def parts(
        self, batch: Batch, options: match_pb2.MatchOptions, profile: Profile
    ) -> Steps[list[match_pb2.MatchHashesRequest]]:
        """Split a batch into requests of at most as many hashes as the server accepts."""
        packed = requests.pack(batch.hashes)
        return requests.match_hashes(
            packed,
            most=(yield from self._most_hashes(len(packed))),
            profile=profile,
            qualities=batch.qualities,
            options=options,
        )

    def image(
        self, prepared: bytes | ImageQuery | LowQuality, options: match_pb2.MatchOptions
    ) -> Steps[ImageAnswer]:
        """Look up a picture: its bytes, or what hashing it here gave."""
        if isinstance(prepared, LowQuality):
            return results.low_quality(prepared)
        if isinstance(prepared, bytes):
            request = match_pb2.MatchImageRequest(image=prepared, options=options)
            answered: list[ImageAnswer] = yield [Call("MatchImage", request, results.image_answer)]
            return answered[0]
        batch = Batch([value for value, _ in prepared.hashes])
        answers = yield from self.hashes(batch, options, Profile.PDQ_512)
        return results.merged(prepared, answers, max_matches=options.max_matches)

    def index_status(self, cursor: str) -> Steps[IndexStatus]:
        """Ask for the state of the index and the limits."""
        request = requests.index_status(cursor)
        answered: list[IndexStatus] = yield [Call("GetIndexStatus", request, results.index_status)]
        return answered[0]

    def _most_hashes(self, packed_bytes: int) -> Steps[int]:
        if packed_bytes <= requests.SMALL_BATCH_BYTES:
            return requests.SMALL_BATCH
        if self._clock() >= self._limit_until_s:
            status = yield from self.index_status("")
            self._hashes_per_lookup = status.limits.hashes_per_lookup
            self._limit_until_s = self._clock() + requests.LIMIT_HOLDS_S
        return self._hashes_per_lookup or requests.SMALL_BATCH
