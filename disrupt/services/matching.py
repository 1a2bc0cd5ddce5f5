"""Look up hashes: from all hits within the radius to complete answers per media item."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Matches, answered_places
from disrupt.core.media import MediaKind
from disrupt.core.policy import Held, Scope
from disrupt.distinctiveness.nearness import near_enough
from disrupt.errors import DeadlineExceededError, LimitExceededError
from disrupt.index.columns import (
    NO_HITS,
    NOTHING_NEAR,
    Columns,
    Hits,
    NearestHits,
    merge,
    merge_nearest,
)
from disrupt.index.nearest import UNLIMITED, Budget

BLOCK_QUERIES = 64
"""Most queries searched at once, fewer in a crowd of near-duplicates. Between blocks, the lookup
checks whether its call still waits."""

_FIRST_BLOCK = Budget(4096, strict=True)
"""Half a ms: the first block may be searched on the event loop."""

STEP = Budget(1 << 15)
"""Some ms, and the last of their queries."""

_BANKS = 2**16

_T = TypeVar("_T")

Steps: TypeAlias = Generator[None, None, _T]
"""Work that pauses between blocks of queries, and returns a value in the end.

The first step is short, whatever is near.
"""


class Index(Protocol):
    """What lookups search: the live index, or the test bank."""

    def search_items(
        self,
        queries: NDArray[np.uint8],
        max_distance_bits: int,
        limits_bits: NDArray[np.int16],
        most_items: int,
        threads: int = 1,
        kind: MediaKind | None = None,
        held: Held | None = None,
        budget: Budget = UNLIMITED,
    ) -> NearestHits:
        """Find the nearest items of each query; see ``LiveIndex.search_items``."""

    def find(self, number: int) -> Columns | None:
        """Return what the index holds of one item; None if it cannot match."""

    def expected_us(self, max_distance_bits: int) -> float:
        """Estimate the time that a lookup takes."""


class Allowance:
    """Time for one lookup. Its call may end it at any moment, from another thread."""

    __slots__ = ("_until_s",)

    def __init__(self, until_s: float) -> None:
        """End at ``until_s`` of time.monotonic."""
        self._until_s = until_s

    def end(self) -> None:
        """End it now: nobody waits for the answer any more."""
        self._until_s = -1.0

    def check(self) -> None:
        """Raise DeadlineExceededError once it is over."""
        if time.monotonic() > self._until_s:
            raise DeadlineExceededError(
                "The lookup took longer than the call may. Send fewer hashes in one call."
            )


UNBOUNDED = Allowance(float("inf"))
"""Allowance of a lookup that nobody ends."""


def advance(steps: Steps[_T], turn_s: float) -> _T | None:
    """Take steps for ``turn_s``, at least a step; return their value, or None before the end."""
    ends_s = time.monotonic() + turn_s
    try:
        next(steps)
        while time.monotonic() < ends_s:
            next(steps)
    except StopIteration as end:
        value: _T = end.value
        return value
    return None


def complete(steps: Steps[_T]) -> _T:
    """Take all steps at once, and return their value."""
    while (value := advance(steps, float("inf"))) is None:
        pass
    return value


def hash_steps(
    index: Index,
    queries: NDArray[np.uint8],
    scope: Scope,
    max_matches: int,
    *,
    most_matches: int,
    allowance: Allowance,
) -> Steps[Matches]:
    """Find media items near each of ``queries``, uint8 (n, 32), that ``near_enough`` keeps.

    Raises LimitExceededError once there are more than ``most_matches`` in all, and
    DeadlineExceededError once the allowance is over.
    """
    parts, count = [], 0
    for start, near, more_blocks in _blocks(index, queries, scope, max_matches, allowance):
        if more_blocks:
            yield
        if not len(near.hits):
            continue
        parts.append(_of_hashes(near, start))
        count += len(near.hits)
        if count > most_matches:
            raise LimitExceededError(
                f"The answer would hold more than {most_matches} matches. Send fewer hashes in one"
                " call, or ask for a smaller max_matches.",
                limit=str(most_matches),
            )
    return _joined(parts) if parts else NO_MATCHES


def picture_steps(
    index: Index,
    versions: NDArray[np.uint8],
    scope: Scope,
    max_matches: int,
    allowance: Allowance,
) -> Steps[Matches]:
    """Find media items near one picture, of which ``versions``, uint8 (n, 32), are the hashes.

    ``near_enough`` decides for each version. All matches are of query 0; ``Matches.version`` says
    which version was nearest, the first of those that are equally near. Raises
    DeadlineExceededError once the allowance is over.
    """
    hits, more = NO_HITS, False
    for start, near, more_blocks in _blocks(index, versions, scope, max_matches, allowance):
        if more_blocks:
            yield
        if not len(near.hits):
            continue
        # The nearest items of the picture are among the nearest of each version.
        hits = merge([hits, replace(near.hits, query=near.hits.query + np.uint32(start))])
        nearest_first = np.lexsort((hits.query, hits.number, hits.distance))
        _, first = np.unique(hits.number[nearest_first], return_index=True)
        best = nearest_first[np.sort(first)]
        more = more or len(best) > max_matches or bool(len(near.truncated))
        hits = hits.take(best[answered_places(hits.bank[best], max_matches)])
    if not len(hits):
        return NO_MATCHES
    return _of_hits(hits, np.zeros(len(hits), np.uint32), np.zeros(int(more), np.uint32))


def _blocks(
    index: Index,
    queries: NDArray[np.uint8],
    scope: Scope,
    max_matches: int,
    allowance: Allowance,
) -> Iterator[tuple[int, NearestHits, bool]]:
    """Yield the index of each block's first query, the block's hits, and whether more follow."""
    start, budget = 0, _FIRST_BLOCK
    while start < len(queries):
        allowance.check()
        block = queries[start : start + BLOCK_QUERIES]
        near = search_near(index, block, scope, max_matches, budget=budget)
        end = start + len(block) - near.left
        yield start, near, end < len(queries)
        start, budget = end, STEP


def search_near(
    index: Index,
    queries: NDArray[np.uint8],
    scope: Scope,
    most_items: int,
    spared: MediaKind | None = None,
    budget: Budget = UNLIMITED,
) -> NearestHits:
    """Search for the ``most_items`` nearest items of each query, and the nearest of each bank.

    ``queries`` are uint8 (n, 32). Hits that ``near_enough`` drops take no place among those. The
    ``budget`` is of each search that this takes: one, and one for each bank.
    """
    near = _search_kept(index, queries, scope, scope, most_items, spared, budget)
    if not len(near.truncated):  # as nearly always
        return near
    parts, end = [near.hits], len(queries) - near.left
    for bank, limit_bits in scope.limits.items():
        # A bank with hits can be missing only where items were cut off.
        without = np.setdiff1d(near.truncated, near.hits.query[near.hits.bank == bank])
        if len(without):
            only = Scope({bank: limit_bits}, scope.held)
            best = _search_kept(index, queries[without], only, scope, 1, spared, budget)
            parts.append(replace(best.hits, query=without[best.hits.query]))
            if best.left:
                end = min(end, int(without[-best.left]))
    if len(parts) == 1:
        return near
    return NearestHits(merge(parts), near.truncated).until(end, len(queries) - end)


def _search_kept(
    index: Index,
    queries: NDArray[np.uint8],
    searched: Scope,
    scope: Scope,
    most_items: int,
    spared: MediaKind | None,
    budget: Budget,
) -> NearestHits:
    """Search ``searched`` for the ``most_items`` nearest items that ``near_enough`` keeps.

    ``scope`` is that of the whole lookup, which decides what is kept.
    """
    near = _search_shown(index, queries, searched, most_items, budget)
    if near is NOTHING_NEAR:
        return near
    kept = near_enough(near, queries, scope, spared)
    if spared is None or not len(near.truncated):
        return kept
    # Dropped items have taken the places of spared ones: search for these again.
    again = np.setdiff1d(near.truncated, kept.truncated)
    if not len(again):
        return kept
    stays = ~np.isin(kept.hits.query, again) | (kept.hits.kind != spared)
    wanted = (searched.radius_bits, limits_bits_of(searched), most_items)
    more = index.search_items(queries[again], *wanted, kind=spared, held=scope.held)
    hits = replace(more.hits, query=again[more.hits.query])
    parts = [
        NearestHits(kept.hits.take(stays), kept.truncated),
        NearestHits(hits, again[more.truncated]),
    ]
    return replace(merge_nearest(parts, most_items), left=kept.left)


def _search_shown(
    index: Index, queries: NDArray[np.uint8], searched: Scope, most_items: int, budget: Budget
) -> NearestHits:
    """Search for the ``most_items`` nearest items of those that are not held back.

    Held items cost only lookups that are near to something: they are dropped afterwards, and what
    was cut off, which may be for them, is searched again without them.
    """
    wanted = (searched.radius_bits, limits_bits_of(searched), most_items)
    near = index.search_items(queries, *wanted, budget=budget)
    held = searched.held
    if held is None or near is NOTHING_NEAR or not len(near.hits):
        return near
    shown = ~held.holds(near.hits.item_id, near.hits.bank)
    again = near.truncated
    if not len(again):
        kept = near if shown.all() else NearestHits(near.hits.take(shown), again, near.left)
        return kept if len(kept.hits) or kept.left else NOTHING_NEAR
    if budget.strict:
        # Not on the event loop: to know what is held back may take a while.
        return NearestHits(NO_HITS, NO_HITS.query, len(queries))
    more = index.search_items(queries[again], *wanted, held=held, budget=budget)
    parts = [
        NearestHits(near.hits.take(shown & ~np.isin(near.hits.query, again)), NO_HITS.query),
        NearestHits(replace(more.hits, query=again[more.hits.query]), again[more.truncated]),
    ]
    best = replace(merge_nearest(parts, most_items), left=near.left)
    end = int(again[-more.left]) if more.left else 0
    return best.until(end, len(queries) - end) if more.left else best


def limits_bits_of(scope: Scope) -> NDArray[np.int16]:
    """Return the largest distance that matches in each bank, int16 (65536,); -1 where none does."""
    return _limits_bits(tuple(scope.limits.items()))


@lru_cache(maxsize=64)
def _limits_bits(limits: tuple[tuple[int, int], ...]) -> NDArray[np.int16]:
    limits_bits = np.full(_BANKS, -1, np.int16)
    for bank, most in limits:
        limits_bits[bank] = most
    limits_bits.flags.writeable = False  # shared
    return limits_bits


def _of_hashes(near: NearestHits, start: int) -> Matches:
    hits = replace(near.hits, query=near.hits.query + np.uint32(start))
    return _of_hits(hits, hits.query, near.truncated + np.uint32(start))


def _of_hits(hits: Hits, query: NDArray[np.uint32], truncated: NDArray[np.uint32]) -> Matches:
    return Matches(
        query=query,
        version=hits.query,
        distance_bits=hits.distance,
        item_ids=hits.item_id,
        bank=hits.bank,
        kind=hits.kind,
        assurance=hits.assurance,
        plan=hits.plan,
        ordinal=hits.ordinal,
        truncated=truncated,
    )


def _joined(parts: Sequence[Matches]) -> Matches:
    if len(parts) == 1:
        return parts[0]
    return Matches(
        **{
            column.name: np.concatenate([getattr(part, column.name) for part in parts])
            for column in fields(Matches)
        }
    )


NO_MATCHES = Matches(
    query=np.empty(0, np.uint32),
    version=np.empty(0, np.uint32),
    distance_bits=np.empty(0, np.uint16),
    item_ids=np.empty((0, 16), np.uint8),
    bank=np.empty(0, np.uint16),
    kind=np.empty(0, np.uint8),
    assurance=np.empty(0, np.uint8),
    plan=np.empty(0, np.uint16),
    ordinal=np.empty(0, np.uint16),
    truncated=np.empty(0, np.uint32),
)
"""The answer to nearly every lookup."""
