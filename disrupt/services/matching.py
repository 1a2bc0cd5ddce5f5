"""Look up hashes: from all hits within the radius to complete answers per media item."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from disrupt.core import cover
from disrupt.core.lookups import (
    MATCHED_VERSIONS_MAX,
    NO_VERSION,
    Matches,
    answered_places,
    are_whole,
    area_ranks,
)
from disrupt.core.media import MediaKind
from disrupt.core.policy import MINORS, Scope
from disrupt.core.transforms import Transform, areas_permille
from disrupt.errors import DeadlineExceededError, LimitExceededError
from disrupt.index.columns import NO_HITS, NOTHING_NEAR, Hits, NearestHits, merge, merge_nearest
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import UNLIMITED, Budget
from disrupt.services.common_pictures import is_common, real_bits, with_common
from disrupt.services.nearness import near_enough

BLOCK_QUERIES = 1024
"""Most queries searched at once, fewer in a crowd of near-duplicates: so a batch takes one search
and one step of its answer. Between blocks, the lookup checks whether its call still waits."""

INLINE_QUERIES = 2
"""Most hashes of a lookup whose first step is short, so that an event loop may take it: where
something is near, each takes some ms more (see nearness)."""

_INLINE = Budget(4096, strict=True)
"""Half a ms."""

STEP = Budget(1 << 15)
"""Some ms, and the last of their queries."""

_BANKS = 2**16

_T = TypeVar("_T")

Steps: TypeAlias = Generator[None, None, _T]
"""Work that pauses between blocks of queries, and returns a value in the end.

With at most INLINE_QUERIES the first step is short, whatever is near.
"""


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
    index: LiveIndex,
    queries: NDArray[np.uint8],
    scope: Scope,
    max_matches: int,
    *,
    most_matches: int,
    allowance: Allowance,
    leave_out_common: bool = False,
) -> Steps[Matches]:
    """Find media items near each of ``queries``, uint8 (n, 32), that ``near_enough`` keeps.

    Common ones come last, or are left out (``with_common``). Raises LimitExceededError once there
    are more than ``most_matches`` in all, and DeadlineExceededError once the allowance is over.
    """
    parts, count = [], 0
    blocks = _blocks(
        index, queries, scope, max_matches, allowance, leave_out_common=leave_out_common
    )
    for start, near, more_blocks in blocks:
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
    return joined(parts) if parts else NO_MATCHES


def picture_steps(
    index: LiveIndex,
    versions: NDArray[np.uint8],
    transforms: Sequence[Transform],
    scope: Scope,
    max_matches: int,
    allowance: Allowance,
    *,
    whole_only: bool = False,
    leave_out_common: bool = False,
) -> Steps[Matches]:
    """Find media items near one picture, of which ``versions``, uint8 (n, 32), are the hashes.

    ``transforms`` (n,) say what each version shows. ``whole_only`` leaves out, of the items to
    answer, those of which no pair of versions shows the whole of either side. An item is answered
    by its hits that are not common (``with_common``), if it has any. Others come last, or are left
    out.

    ``near_enough`` decides for each version. All matches are of query 0; ``Matches.version`` says
    which version was nearest, the first of those that are equally near. Raises
    DeadlineExceededError once the allowance is over.
    """
    hits, areas, stored, more = NO_HITS, _NO_AREAS, _NO_STORED, False
    pending: list[Hits] = []
    blocks = _blocks(
        index, versions, scope, max_matches, allowance, leave_out_common=leave_out_common
    )
    for start, near, more_blocks in blocks:
        if more_blocks:
            yield
        if not len(near.hits):
            continue
        # The nearest items of the picture are among the nearest of each version.
        of_block = replace(near.hits, query=near.hits.query + np.uint32(start))
        pending.append(of_block)
        hits = merge([hits, of_block])
        nearest_first = np.lexsort((hits.query, hits.number, hits.distance))
        _, first = np.unique(hits.number[nearest_first], return_index=True)
        best = nearest_first[np.sort(first)]
        more = more or len(best) > max_matches or bool(len(near.truncated))
        hits = hits.take(best[answered_places(hits.bank[best], max_matches)])
        if sum(map(len, pending)) > _MOST_PENDING:
            areas = areas.joined(pending, transforms).of_items(hits.number)
            stored = stored.joined(pending).of_items(hits.number)
            pending = []
    if not len(hits):
        return NO_MATCHES
    if pending:
        areas = areas.joined(pending, transforms).of_items(hits.number)
        stored = stored.joined(pending)
    if cover.is_of_a_picture(transforms):
        areas = areas.with_cover()
    if whole_only:
        whole = are_whole(areas.query_permille, areas.stored_permille)
        hits, areas = hits.take(whole), areas.take(whole)
    query, truncated = np.zeros(len(hits), np.uint32), np.zeros(int(more), np.uint32)
    return _of_hits(hits, query, truncated, areas, stored.columns(hits.number))


@dataclass(frozen=True, slots=True, eq=False)
class _Areas:
    """Areas of the pair of versions that ``area_ranks`` puts highest, of each item by its number.

    They are taken of all hits, before all but an item's nearest are dropped: of those that are not
    common, if there are any. ``cells`` u64 are those of the regions of all these, see ``cover``.
    """

    number: NDArray[np.uint64]
    query_permille: NDArray[np.uint16]
    stored_permille: NDArray[np.uint16]
    is_common: NDArray[np.bool_]
    cells: NDArray[np.uint64]

    def joined(self, blocks: Sequence[Hits], transforms: Sequence[Transform]) -> _Areas:
        """Return these and those of the hits of ``blocks``, ascending by number.

        The ``query`` of a hit is an index into ``transforms``.
        """
        versions, plans, ordinals = (
            np.concatenate([getattr(hits, name) for hits in blocks])
            for name in ("query", "plan", "ordinal")
        )
        queries = versions.tolist()
        of_version = {at: transforms[at].area_permille for at in set(queries)}
        shown = np.array([of_version[at] for at in queries], np.uint16)
        number = np.concatenate([self.number, *(hits.number for hits in blocks)])
        query = np.concatenate([self.query_permille, shown])
        stored = np.concatenate([self.stored_permille, areas_permille(plans, ordinals)])
        distance = np.concatenate([hits.distance for hits in blocks])
        common = np.concatenate([self.is_common, is_common(distance)])
        covered = {at: cover.cells(transforms[at]) for at in of_version}
        cells = np.array([covered[at] for at in queries], np.uint64)
        cells = np.concatenate([self.cells, np.where(is_common(distance), np.uint64(0), cells)])
        order = np.lexsort((area_ranks(query, stored), ~common, number))
        begins = _begins(number[order])
        highest = order[np.append(begins[1:], True)]
        together = np.bitwise_or.reduceat(cells[order], np.flatnonzero(begins))
        return _Areas(number[highest], query[highest], stored[highest], common[highest], together)

    def with_cover(self) -> _Areas:
        """Return these, of the query at least what regions cover of it together."""
        covered = np.array([cover.covered_permille(cells) for cells in self.cells.tolist()])
        query_permille = np.maximum(self.query_permille, covered.astype(np.uint16))
        return replace(self, query_permille=query_permille)

    def of_items(self, number: NDArray[np.uint64]) -> _Areas:
        """Return those of some items, in the order of ``number``; of what ``joined`` returned."""
        return self.take(np.searchsorted(self.number, number))

    def take(self, rows: NDArray[Any]) -> _Areas:
        """Return some of them, by their indices or by a mask."""
        return _Areas(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class _StoredVersions:
    """The nearest stored versions of each item, at most MATCHED_VERSIONS_MAX.

    Ascending by ``number`` u64, then distance, which ``with_common`` made; ``place`` u32 is the
    plan and, in its lower half, the ordinal.
    """

    number: NDArray[np.uint64]
    place: NDArray[np.uint32]
    distance: NDArray[np.uint16]

    def joined(self, blocks: Sequence[Hits]) -> _StoredVersions:
        """Return the nearest of these and of the hits of ``blocks``."""
        number = np.concatenate([self.number, *(hits.number for hits in blocks)])
        distance = np.concatenate([self.distance, *(hits.distance for hits in blocks)])
        places = (hits.plan.astype(np.uint32) << 16 | hits.ordinal for hits in blocks)
        place = np.concatenate([self.place, *places])
        order = np.lexsort((distance, place, number))
        nearest = order[_begins(number[order], place[order])]
        nearest = nearest[np.lexsort((place[nearest], distance[nearest], number[nearest]))]
        kept = nearest[_ranks(number[nearest]) < MATCHED_VERSIONS_MAX]
        return _StoredVersions(number[kept], place[kept], distance[kept])

    def of_items(self, number: NDArray[np.uint64]) -> _StoredVersions:
        """Return those of some items."""
        kept = np.isin(self.number, number)
        return _StoredVersions(self.number[kept], self.place[kept], self.distance[kept])

    def columns(self, number: NDArray[np.uint64]) -> NDArray[np.uint16]:
        """Return those of each item of ``number``, in its order, as ``Matches.versions``.

        Common ones only of items that have no others.
        """
        columns = np.full((len(number), MATCHED_VERSIONS_MAX, 3), NO_VERSION, np.uint16)
        own = self.of_items(number)
        common = is_common(own.distance)
        answered = common == common[np.searchsorted(own.number, own.number)]
        own = _StoredVersions(own.number[answered], own.place[answered], own.distance[answered])
        order = np.argsort(number)
        rows, ranks = order[np.searchsorted(number[order], own.number)], _ranks(own.number)
        columns[rows, ranks] = np.stack(
            [own.place >> 16, own.place & 0xFFFF, real_bits(own.distance)], axis=1
        ).astype(np.uint16)
        return columns


def _begins(*ascending: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell where another row of sorted columns of one length begins, bool (n,)."""
    begins = np.ones(len(ascending[0]), np.bool_)
    begins[1:] = np.any([column[1:] != column[:-1] for column in ascending], axis=0)
    return begins


def _ranks(ascending: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return the place of each entry among those that equal it, from 0."""
    return np.arange(len(ascending)) - np.searchsorted(ascending, ascending)


_MOST_PENDING = 4096
"""Most hits of a picture, beside those of a block, whose versions are not compared yet."""

_NO_AREAS = _Areas(
    np.empty(0, np.uint64),
    np.empty(0, np.uint16),
    np.empty(0, np.uint16),
    np.empty(0, np.bool_),
    np.empty(0, np.uint64),
)
_NO_STORED = _StoredVersions(np.empty(0, np.uint64), np.empty(0, np.uint32), np.empty(0, np.uint16))


def _blocks(
    index: LiveIndex,
    queries: NDArray[np.uint8],
    scope: Scope,
    max_matches: int,
    allowance: Allowance,
    *,
    leave_out_common: bool = False,
) -> Iterator[tuple[int, NearestHits, bool]]:
    """Yield the index of each block's first query, the block's hits, and whether more follow.

    The hits are those that ``with_common`` returns.
    """
    start, budget = 0, _INLINE if len(queries) <= INLINE_QUERIES else STEP
    while start < len(queries):
        allowance.check()
        block = queries[start : start + BLOCK_QUERIES]
        near = search_near(index, block, scope, max_matches, budget=budget)
        near = with_common(index, block, near, max_matches, leave_out=leave_out_common)
        end = start + len(block) - near.left
        yield start, near, end < len(queries)
        start, budget = end, STEP


def is_near_any(
    index: LiveIndex, hashes: NDArray[np.uint8], scope: Scope, allowance: Allowance
) -> bool:
    """Tell whether any of ``hashes``, uint8 (n, 32), matches an item."""
    return any(len(near.hits) for _, near, _ in _blocks(index, hashes, scope, 1, allowance))


def search_near(
    index: LiveIndex,
    queries: NDArray[np.uint8],
    scope: Scope,
    most_items: int,
    spared: MediaKind | None = None,
    budget: Budget = UNLIMITED,
) -> NearestHits:
    """Search for the ``most_items`` nearest items of each query, and the nearest of each bank.

    ``queries`` are uint8 (n, 32). Hits that ``near_enough`` drops are not among those. The
    ``budget`` is of each search that this takes: one, and one for each bank.
    """
    near = _search_kept(index, queries, scope, scope, most_items, spared, budget)
    if not len(near.truncated):
        return near
    parts, end = [near.hits], len(queries) - near.left
    for bank, limit_bits in scope.limits.items():
        # A bank with hits can be missing only where items were cut off.
        without = np.setdiff1d(near.truncated, near.hits.query[near.hits.bank == bank])
        if len(without):
            only = Scope({bank: limit_bits})
            best = _search_kept(index, queries[without], only, scope, 1, spared, budget)
            parts.append(replace(best.hits, query=without[best.hits.query]))
            if best.left:
                end = min(end, int(without[-best.left]))
    if len(parts) == 1:
        return near
    return NearestHits(merge(parts), near.truncated).until(end, len(queries) - end)


def _search_kept(
    index: LiveIndex,
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
    wanted = (searched.radius_bits, limits_bits_of(searched), most_items)
    near = index.search(queries, *wanted, budget=budget)
    if near is NOTHING_NEAR:
        return near
    kept = near_enough(near, queries, scope, spared, compiled=index.compiled)
    if spared is None or len(kept.truncated) == len(near.truncated):
        return kept
    # Dropped items have displaced spared ones: search for these again.
    again = np.setdiff1d(near.truncated, kept.truncated)
    stays = ~np.isin(kept.hits.query, again) | (kept.hits.kind != spared)
    more = index.search(queries[again], *wanted, kind=spared)
    hits = replace(more.hits, query=again[more.hits.query])
    parts = [
        NearestHits(kept.hits.take(stays), kept.truncated),
        NearestHits(hits, again[more.truncated]),
    ]
    return replace(merge_nearest(parts, most_items), left=kept.left)


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
    stored = areas_permille(hits.plan, hits.ordinal)
    unknown = np.zeros(len(hits), np.uint16)
    no_cells = np.zeros(len(hits), np.uint64)
    areas = _Areas(hits.number, unknown, stored, is_common(hits.distance), no_cells)
    nearest = np.stack([hits.plan, hits.ordinal, real_bits(hits.distance)], axis=1)[:, None]
    return _of_hits(hits, hits.query, near.truncated + np.uint32(start), areas, nearest)


def _of_hits(
    hits: Hits,
    query: NDArray[np.uint32],
    truncated: NDArray[np.uint32],
    areas: _Areas,
    versions: NDArray[np.uint16],
) -> Matches:
    """Return the matches of ``hits``, which are sorted by query and distance; minors lead a tie."""
    order = np.lexsort((hits.bank != MINORS.number, hits.distance, query))
    hits = hits.take(order)
    return Matches(
        query=query,
        version=hits.query,
        distance_bits=real_bits(hits.distance),
        item_ids=hits.item_id,
        bank=hits.bank,
        kind=hits.kind,
        assurance=hits.assurance,
        plan=hits.plan,
        ordinal=hits.ordinal,
        query_area_permille=areas.query_permille[order],
        stored_area_permille=areas.stored_permille[order],
        number=hits.number,
        start_ms=hits.start_ms,
        versions=versions[order],
        is_common=is_common(hits.distance),
        is_disputed=np.zeros(len(hits), np.bool_),
        truncated=truncated,
    )


def joined(parts: Sequence[Matches]) -> Matches:
    """Join the matches of several parts of a lookup."""
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
    query_area_permille=np.empty(0, np.uint16),
    stored_area_permille=np.empty(0, np.uint16),
    number=np.empty(0, np.uint64),
    start_ms=np.empty(0, np.uint32),
    versions=np.empty((0, 1, 3), np.uint16),
    is_common=np.empty(0, np.bool_),
    is_disputed=np.empty(0, np.bool_),
    truncated=np.empty(0, np.uint32),
)
"""The answer to nearly every lookup."""
