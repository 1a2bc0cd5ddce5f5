"""Exact search by multi-index hashing: tables over the codes, so that few of them are compared.

A code of 256 bits is 16 chunks of 16, or where there are very many codes 12 of 21, which keeps the
lists of codes that share a chunk short. If two codes are within t bits, and radii r of the m chunks
sum to t - m + 1, then going round the ring of chunks there is one, i, from which on every partial
sum of distances stays within that of r + 1 (the "pigeonring", Qin and Xiao, VLDB 2018); in
particular d[i] <= r[i] and d[i] + d[i + 1] <= r[i] + r[i + 1] + 1. So for each chunk its codes are
sorted by that chunk, and 16 bits of the following one, its tag, stand beside each. A lookup
enumerates the keys within r[i] of the query's and compares their tags, 32 at once; only codes that
pass (about one in 450 at t = 31) are compared in full. Norouzi, Punjani and Fleet (CVPR 2012)
describe the method without the ring, with which nearly all the time went into comparing codes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import cache
from math import comb

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES, MAX_DISTANCE_BITS, OPERATOR_MAX_DISTANCE_BITS
from disrupt.index.flat import CODE_NS, FlatIndex
from disrupt.index.multi_index.layout import (
    TAG_BITS,
    AnswersAt,
    BudgetAt,
    Cut,
    ItemsAt,
    PlanAt,
    TablesAt,
    cut_array,
    packed,
    tag_chunks,
)
from disrupt.index.multi_index.tables import NO_TABLES, Tables, address
from disrupt.index.nearest import (
    NOTHING,
    UNLIMITED,
    Budget,
    ItemColumns,
    NearestItems,
)

# Nanoseconds on a core of an AMD EPYC with 1 MB of L2. Only their ratios matter.
_PROBE_NS = 4.0
_TAG_NS = 0.5
_COMPARED_CODE_NS = 60.0
_CROWD_CODE_NS = 150.0
"""Codes of a crowd of near-duplicates are hits, whose items are read, too."""

_FIRST_QUERIES = 64
_FIRST_ANSWERS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The engine of lookups at one distance, and its parameters.

    ``engine`` is "multi_index" or "flat"; ``expected_us`` what a lookup by multi-index hashing is
    estimated to take; ``radii`` of the chunks, -1 where one is skipped.
    """

    engine: str
    expected_us: float
    radii: tuple[int, ...]
    address: int
    _kept: tuple[NDArray[np.int64], NDArray[np.uint32]]
    """The arrays at ``address``: numbers, and the flips that one of them points to."""


class MultiIndex:
    """Tables over the codes of a FlatIndex. Fixed once made: any number of threads may search."""

    def __init__(self, flat: FlatIndex, tables: Tables) -> None:
        """``tables`` are sorted from the codes of ``flat``, or NO_TABLES."""
        self.flat = flat
        self.tables = tables
        self.postings = _postings(tables, len(flat))
        self._codes = flat.view()
        self._rooms = threading.local()
        self._plans: dict[int, Plan] = {}

    def __len__(self) -> int:
        """Return the number of codes."""
        return len(self._codes)

    @property
    def name(self) -> str:
        """Engine of a lookup at the recommended distance."""
        return self.plan(MAX_DISTANCE_BITS).engine

    def plan(self, max_distance_bits: int) -> Plan:
        """Return the plan of lookups at this distance, made once."""
        plan = self._plans.get(max_distance_bits)
        if plan is None:
            plan = _planned(max_distance_bits, len(self), self.tables, self.postings)
            self._plans[max_distance_bits] = plan
        return plan

    def view(self) -> NDArray[np.uint8]:
        """Return all codes, see ``FlatIndex.view``."""
        return self._codes

    def expected_us(self, max_distance_bits: int) -> float:
        """Estimate the time that a lookup takes, by the engine that it uses."""
        plan = self.plan(max_distance_bits)
        if plan.engine == "flat":
            return self.flat.expected_us(max_distance_bits)
        return plan.expected_us

    def search(
        self,
        queries: NDArray[np.uint8],
        max_distance_bits: int,
        items: ItemColumns,
        limits_bits: NDArray[np.int16],
        most_items: int,
        budget: Budget = UNLIMITED,
    ) -> NearestItems:
        """Find the nearest code of each item, and of those the nearest ``most_items``.

        ``queries`` are uint8 (n, 32); ``max_distance_bits`` is inclusive, and -1 finds nothing;
        ``most_items`` is at least 1. ``limits_bits`` i16 (65536,): the largest distance that is
        answered from each bank, -1 for nothing at all. Time and memory stay small when one query
        has very many neighbours: it is compared with all codes, once following the tables would
        take longer. Does not hold the GIL.
        """
        if max_distance_bits < 0:
            return NOTHING
        plan = self.plan(max_distance_bits)
        try:
            room: _Room = self._rooms.room
        except AttributeError:
            room = self._rooms.room = _Room(self.tables, self._codes)
        n_queries = len(queries)
        if n_queries > room.n_queries:
            room.resize(n_queries, room.n_answers)
        room.queries[:n_queries] = queries
        items_at = room.receive(items, limits_bits, most_items)
        room.limit(budget)
        hits = room.search(room.tables_at, plan.address, items_at, room.answers_at, n_queries)
        while hits > room.n_answers:
            room.resize(room.n_queries, hits)
            room.queries[:n_queries] = queries
            hits = room.search(room.tables_at, plan.address, items_at, room.answers_at, n_queries)
        left = 0 if budget is UNLIMITED else int(room.budget[BudgetAt.LEFT])
        if not hits:
            return replace(NOTHING, left=left) if left else NOTHING
        truncated = np.flatnonzero(room.truncated[: n_queries - left])
        return NearestItems(
            room.query[:hits].copy(),
            room.entry[:hits].copy(),
            room.distance[:hits].copy(),
            truncated.astype(np.uint32),
            left,
        )


def _postings(tables: Tables, length: int) -> NDArray[np.int64]:
    """Return per chunk the length of the posting list that the median code is in.

    The measure of skew: n / keys, rounded up, where codes are uniformly random. A mean would be
    that of one crowd of near-duplicates.
    """
    if tables is NO_TABLES:
        return np.full(tables.cut.chunks, length)
    medians = []
    for starts in tables.starts:  # One chunk at a time: wide ones take 50 MB.
        sizes = np.sort(np.diff(starts))
        medians.append(sizes[np.searchsorted(np.cumsum(sizes, dtype=np.int64), length // 2)])
    return np.array(medians, np.int64)


def _planned(
    max_distance_bits: int, length: int, tables: Tables, postings: NDArray[np.int64]
) -> Plan:
    cut = tables.cut
    every, larger = divmod(max_distance_bits - cut.chunks + 1, cut.chunks)
    radii = np.full(cut.chunks, every)
    radii[np.argsort(postings, kind="stable")[:larger]] += 1
    expected_us, flat_us = float("inf"), length * CODE_NS / 1000
    if tables is not NO_TABLES and 0 <= max_distance_bits <= OPERATOR_MAX_DISTANCE_BITS:
        expected_us = _expected_us(radii.tolist(), postings.tolist(), cut)
    engine, probes, most_compared = "flat", [0] * cut.chunks, 0
    scanned = int(1000 * flat_us / _CROWD_CODE_NS)
    if expected_us < flat_us:
        engine = "multi_index"
        probes = [_ball(radius, cut.bits) for radius in radii.tolist()]
        most_compared = scanned
    flips = _flips(cut.bits, int(radii.max()) if engine == "multi_index" else 0)
    ends = packed(
        PlanAt,
        limit_bits=max_distance_bits,
        most_probes=max(probes),
        flips=address(flips),
        most_compared=most_compared,
        scanned=scanned,
    )
    layout = np.array([*radii, *probes, *ends], np.int64)
    return Plan(engine, expected_us, tuple(radii.tolist()), address(layout), (layout, flips))


def _expected_us(radii: list[int], postings: list[int], cut: Cut) -> float:
    ns = 0.0
    tags = tag_chunks(cut.bits)
    tag_bits = min(tags * cut.bits, TAG_BITS)
    for chunk, radius in enumerate(radii):
        bound = radius + sum(radii[(chunk + 1 + tag) % cut.chunks] + 1 for tag in range(tags))
        for flipped in range(radius + 1):
            passing = _ball(bound - flipped, tag_bits) / (1 << tag_bits)
            probe_ns = _PROBE_NS + postings[chunk] * (_TAG_NS + passing * _COMPARED_CODE_NS)
            ns += comb(cut.bits, flipped) * probe_ns
    return ns / 1000


def _ball(radius: int, bits: int) -> int:
    """Count the values of so many bits within ``radius`` of one."""
    return sum(comb(bits, flipped) for flipped in range(radius + 1))


@cache
def _flips(bits: int, radius: int) -> NDArray[np.uint32]:
    """List the values of so many bits with up to ``radius`` of them set, fewest first."""
    values = np.arange(1 << bits, dtype=np.uint32)
    counts = np.bitwise_count(values)
    within = np.flatnonzero(counts <= radius)
    return values[within[np.argsort(counts[within], kind="stable")]]


class _Room:
    """Buffers of one thread's lookups. Pages that are never touched cost nothing."""

    def __init__(self, tables: Tables, codes: NDArray[np.uint8]) -> None:
        from disrupt.index.multi_index.search_kernels import search

        self.search = search
        seen = np.zeros((len(codes) >> 6) + 1, np.int64)
        starts, tags, low, high = tables.arrays
        self._kept = (tables, codes, seen)
        self._tables = packed(
            TablesAt,
            length=len(codes),
            starts=address(starts),
            tags=address(tags),
            low=address(low),
            high=address(high),
            codes=address(codes),
            seen=address(seen),
            cut=address(cut_array(tables.cut)),
        )
        self.tables_at = address(self._tables)
        self._items_at = 0
        self._items: ItemColumns | None = None
        self._limits_bits: NDArray[np.int16] | None = None
        self._most_items = 0
        self._budget = UNLIMITED
        self.budget = packed(BudgetAt, codes=UNLIMITED.codes, strict=UNLIMITED.strict, left=0)
        self.resize(_FIRST_QUERIES, _FIRST_ANSWERS)

    def resize(self, n_queries: int, n_answers: int) -> None:
        self.n_queries = n_queries
        self.n_answers = n_answers
        self.query = np.empty(n_answers, np.uint32)
        self.entry = np.empty(n_answers, np.int64)
        self.distance = np.empty(n_answers, np.uint16)
        self.queries = np.empty((n_queries, HASH_BYTES), np.uint8)
        self.truncated = np.empty(n_queries, np.bool_)
        self._answers = packed(
            AnswersAt,
            room=n_answers,
            query=address(self.query),
            entry=address(self.entry),
            distance=address(self.distance),
            queries=address(self.queries),
            truncated=address(self.truncated),
            budget=address(self.budget),
        )
        self.answers_at = address(self._answers)

    def limit(self, budget: Budget) -> None:
        """Lay out what the search may take."""
        if self._budget is not budget:
            self.budget[BudgetAt.CODES] = budget.codes
            self.budget[BudgetAt.STRICT] = budget.strict
            self._budget = budget

    def receive(self, items: ItemColumns, limits_bits: NDArray[np.int16], most_items: int) -> int:
        """Lay out the search's limits for the kernel and return their address."""
        before, self._items = self._items, items
        if before is None or before.row is not items.row:
            length = len(items.bank)
            best, best_entry, touched = self._best = (
                np.zeros(length, np.uint16),
                np.empty(length, np.uint32),
                np.empty(length, np.uint32),
            )
            self._layout = packed(
                ItemsAt,
                length=length,
                most_items=most_items,
                row=address(items.row),
                below_bits=address(items.below_bits),
                bank=address(items.bank),
                dead=address(items.dead),
                limits=address(limits_bits),
                best=address(best),
                best_entry=address(best_entry),
                touched=address(touched),
                row_stride=items.row.strides[0],
                below_stride=items.below_bits.strides[0],
                bank_stride=items.bank.strides[0],
            )
            self._items_at = address(self._layout)
            self._limits_bits, self._most_items = limits_bits, most_items
        elif before.dead is not items.dead:
            self._layout[ItemsAt.DEAD] = address(items.dead)
        if self._most_items != most_items:
            self._layout[ItemsAt.MOST_ITEMS] = self._most_items = most_items
        if self._limits_bits is not limits_bits:
            self._limits_bits = limits_bits
            self._layout[ItemsAt.LIMITS] = address(limits_bits)
        return self._items_at
