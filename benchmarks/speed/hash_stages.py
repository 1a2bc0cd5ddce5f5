"""Measure the stages of MatchHashes in one process: decoding, search, rules, answer, encoding.

It takes the stages of the server one after the other over the same calls, without gRPC, on one
core, in µs of processor time a call: the fastest of several passes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

from disrupt.core.hashes import HASH_BITS, MAX_DISTANCE_BITS
from disrupt.core.lookups import HashLookup, Matches
from disrupt.core.policy import FIRST_BANKS, Scope
from disrupt.index.columns import NearestHits
from disrupt.index.live import LiveIndex
from disrupt.services.matching import UNBOUNDED, complete, hash_steps, limits_bits_of
from disrupt.services.nearness import near_enough
from disrupt.services.probing import NOTHING, Noted, Probing, sightings
from disrupt.services.tokens import MatchTokens
from disrupt.v1 import match_pb2
from disrupt.wire import match as wire
from rig.model.brute_force import Codes

_T = TypeVar("_T")

_SCOPE = Scope({bank.number: MAX_DISTANCE_BITS for bank in FIRST_BANKS})
_BANK_NAMES = {bank.number: bank.name for bank in FIRST_BANKS}
_MOST_MATCHES = 10
_CALLS_MAX = 2048
_CURSOR = "c" * 76


@dataclass(frozen=True, slots=True)
class Row:
    """Stages of a call with ``hashes`` hashes, in µs; ``hits`` on average.

    ``matches_us`` is what the lookup takes beside its search and its rule for near hashes.
    """

    hashes: int
    hits: float
    decode_us: float
    search_us: float
    near_rule_us: float
    matches_us: float
    probing_us: float
    match_ids_us: float
    answer_us: float
    encode_us: float


def measure(live: LiveIndex, asked: Codes, hashes: int, passes: int) -> Row:
    """Measure the stages of calls of so many hashes, over all of ``asked``."""
    limits_bits, tokens = limits_bits_of(_SCOPE), MatchTokens(bytes(32))
    probing = Probing(HASH_BITS, 0)
    parts = [asked[at : at + hashes] for at in range(0, len(asked) - hashes + 1, hashes)]
    parts = parts[:_CALLS_MAX]
    messages = [
        match_pb2.MatchHashesRequest(hashes=part.tobytes()).SerializeToString() for part in parts
    ]

    def decode(message: bytes) -> HashLookup:
        return wire.hash_lookup(match_pb2.MatchHashesRequest.FromString(message), most=len(asked))

    def search(part: Codes) -> NearestHits:
        return live.search(part, MAX_DISTANCE_BITS, limits_bits, _MOST_MATCHES)

    def judge(found: tuple[NearestHits, Codes]) -> NearestHits:
        return near_enough(*found, _SCOPE, compiled=live.compiled)

    def look_up(part: Codes) -> Matches:
        steps = hash_steps(
            live, part, _SCOPE, _MOST_MATCHES, most_matches=10**6, allowance=UNBOUNDED
        )
        return complete(steps)

    def note(call: tuple[Matches, Codes]) -> Noted:
        if not len(call[0]):
            return NOTHING
        matches, part = call
        return probing.note("platform", sightings(matches, part, matches.query, ()))

    def seal(matches: Matches) -> list[bytes]:
        item_ids = [item_id.tobytes() for item_id in matches.item_ids]
        return tokens.seal(item_ids, matches.matched_versions(), "00000000", 0)

    def answer(call: tuple[HashLookup, Matches, list[bytes]]) -> match_pb2.MatchHashesResponse:
        return wire.hashes_answer(*call, _BANK_NAMES, _CURSOR)

    timed = partial(_timed, passes=passes)
    lookups, decode_us = timed(decode, messages)
    found, search_us = timed(search, parts)
    _, near_rule_us = timed(judge, list(zip(found, parts, strict=True)))
    matches, look_up_us = timed(look_up, parts)
    _, probing_us = timed(note, list(zip(matches, parts, strict=True)))
    match_ids, match_ids_us = timed(seal, matches)
    answers, answer_us = timed(answer, list(zip(lookups, matches, match_ids, strict=True)))
    _, encode_us = timed(match_pb2.MatchHashesResponse.SerializeToString, answers)
    return Row(
        hashes,
        sum(map(len, matches)) / len(parts),
        decode_us,
        search_us,
        near_rule_us,
        max(0.0, look_up_us - search_us - near_rule_us),
        probing_us,
        match_ids_us,
        answer_us,
        encode_us,
    )


def stages(live: LiveIndex, asked: Codes, passes: int) -> list[dict[str, object]]:
    """Return a row for calls of each size."""
    return [asdict(measure(live, asked, hashes, passes)) for hashes in (1, 64, 1000)]


def _timed(
    stage: Callable[[Any], _T], calls: Sequence[Any], *, passes: int
) -> tuple[list[_T], float]:
    """Return the results of a stage over all calls, and its time, in µs a call."""
    results, fastest_s = list[_T](), math.inf
    for _ in range(passes):
        began_s = time.thread_time()
        results = [stage(call) for call in calls]
        fastest_s = min(fastest_s, time.thread_time() - began_s)
    return results, 1e6 * fastest_s / len(calls)
