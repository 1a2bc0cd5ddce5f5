"""Decide what a lookup asks, and what its answer is; without I/O, so for threads and asyncio alike.

A lookup is a generator of steps. Each step is a list of calls, which the client makes at once on
all connections. It sends back what ``Call.answer`` makes of their responses, in the order of the
calls; the lookup's own answer is what the generator returns::

    steps = lookups.hashes(batch, options, Profile.PDQ_512)
    calls = next(steps)
    steps.send([call.answer(make(call)) for call in calls])  # StopIteration has the answers
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from disrupt.client import requests, results
from disrupt.client.requests import HashBatch
from disrupt.client.results import HashAnswer, ImageAnswer, IndexStatus
from disrupt.core.media import LowQuality, Profile
from disrupt.core.outcomes import MatchOutcome
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


def hashes(
    batch: HashBatch,
    options: match_pb2.MatchOptions,
    profile: Profile,
    qualities: Sequence[int] | None = None,
    uploads: int | None = None,
    since: str | None = None,
) -> Steps[tuple[HashAnswer, ...]]:
    """Look up hashes, in as many calls as their number makes necessary."""
    parts = requests.match_hashes(
        requests.pack(batch),
        profile=profile,
        qualities=qualities,
        options=options,
        uploads=uploads,
        since=since,
    )
    answers = yield [
        Call("MatchHashes", part, partial(results.hash_answers, count=requests.count(part)))
        for part in parts
    ]
    return results.in_order(answers)


def image(
    prepared: bytes | ImageQuery | LowQuality, options: match_pb2.MatchOptions
) -> Steps[ImageAnswer]:
    """Look up a picture: its bytes, or what hashing it here gave."""
    if isinstance(prepared, LowQuality):
        return results.low_quality(prepared)
    if isinstance(prepared, bytes):
        request = match_pb2.MatchImageRequest(image=prepared, options=options)
        answered: list[ImageAnswer] = yield [Call("MatchImage", request, results.image_answer)]
        return answered[0]
    values = [value for value, _ in prepared.hashes]
    answers = yield from hashes(values, options, Profile.PDQ_512, uploads=1)
    return results.merged(
        prepared, answers, max_matches=options.max_matches, whole_only=options.whole_only
    )


def index_status(cursor: str) -> Steps[IndexStatus]:
    """Ask for the state of the index and the limits."""
    request = requests.index_status(cursor)
    answered: list[IndexStatus] = yield [Call("GetIndexStatus", request, results.index_status)]
    return answered[0]


def report_outcome(match_id: bytes, outcome: MatchOutcome) -> Steps[None]:
    """Say what came of a match."""
    request = requests.report_outcome(match_id, outcome)
    yield [Call("ReportOutcome", request, lambda _answer: None)]
