"""Exact search by multi-index hashing: tables over the codes, so that few of them are compared.

A code of 256 bits is 16 chunks of 16. If two codes are within t bits, and radii r of the chunks sum
to t - 15, then going round the ring of chunks there is one, i, from which on every partial sum of
distances stays within that of r + 1 (the "pigeonring", Qin and Xiao, VLDB 2018); in particular
d[i] <= r[i] and d[i] + d[i + 1] <= r[i] + r[i + 1] + 1. So for each chunk its codes are sorted by
that chunk, and the following chunk, its tag, stands beside each. A lookup enumerates the keys
within r[i] of the query's and compares their tags, 32 at once; only codes that pass (about one in
450 at t = 31) are compared in full. Norouzi, Punjani and Fleet (CVPR 2012) describe the method
without the ring, with which nearly all the time went into comparing codes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property, partial
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES, MAX_DISTANCE_BITS, OPERATOR_MAX_DISTANCE_BITS
from disrupt.index import kernels
from disrupt.index.flat import FlatIndex, Neighbours
from disrupt.index.kernels import CHUNK_BITS, CHUNKS, KEYS
from disrupt.index.tables import Tables, address

__all__ = ["ItemColumns", "MultiIndex", "NearestItems", "Plan", "Tables", "nearest_items"]

# Nanoseconds on the machine of docs/performance.md. Only their ratios matter.
_FLAT_CODE_NS = 1.25
_PROBE_NS = 4.0
_TAG_NS = 0.5
_COMPARED_CODE_NS = 60.0

_LEAST_SHARE = 8
"""Queries for which handing them to another thread takes less time than searching."""

_FIRST_QUERIES = 64
_FIRST_ANSWERS = 1024


@dataclass(frozen=True, slots=True, eq=False)
class ItemColumns:
    """Of which item each code is, and what says whether an item may be answered.

    ``row`` u32 (n,): item of each code; ``bank`` u16 (items,); ``dead`` bool (items,): marked items
    are not answered, also when they are marked while others search.
    """

    row: NDArray[np.uint32]
    bank: NDArray[np.uint16]
    dead: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class NearestItems:
    """The nearest code of each item found, ordered by query, distance, then item row.

    ``query`` u32, ``entry`` i64, ``distance`` u16; ``truncated`` bool (queries,): whether more
    items are within the radius of a query than were wanted.
    """

    query: NDArray[np.uint32]
    entry: NDArray[np.int64]
    distance: NDArray[np.uint16]
    truncated: NDArray[np.bool_]


_NOTHING = NearestItems(
    np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0, np.uint16), np.empty(0, np.bool_)
)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How lookups at one distance go.

    ``engine`` is "multi_index" or "flat"; ``expected_us`` what a lookup by multi-index hashing is
    estimated to take; ``radii`` of the chunks, -1 where one is skipped.
    """

    engine: str
    expected_us: float
    radii: tuple[int, ...]
    address: int
    _layout: NDArray[np.int64]


class MultiIndex:
    """Tables over the codes of a FlatIndex. Fixed once made: any number of threads may search."""

    def __init__(self, flat: FlatIndex, codes: NDArray[np.uint8], tables: Tables) -> None:
        """``codes`` are those of ``flat``, as a view, and ``tables`` are sorted from them."""
        self.flat = flat
        self.tables = tables
        self._codes = codes
        self._rooms = threading.local()
        self._plans: dict[int, Plan] = {}

    def __len__(self) -> int:
        """Number of codes."""
        return len(self._codes)

    @property
    def name(self) -> str:
        """Which way a lookup at the recommended distance goes."""
        return self.plan(MAX_DISTANCE_BITS).engine

    def plan(self, max_distance_bits: int) -> Plan:
        """How lookups at this distance go."""
        plan = self._plans.get(max_distance_bits)
        if plan is None:
            plan = _planned(max_distance_bits, len(self), self.postings)
            self._plans[max_distance_bits] = plan
        return plan

    @cached_property
    def postings(self) -> NDArray[np.int64]:
        """Per chunk, length of the posting list that the median code is in.

        The measure of skew: n / 65536, rounded up, where codes are uniformly random. A mean would
        be that of one crowd of near-duplicates.
        """
        sizes = np.sort(np.diff(self.tables.starts).astype(np.int64), axis=1)
        before = np.cumsum(sizes, axis=1)
        return np.array(
            [
                row[np.searchsorted(at, len(self) // 2)]
                for row, at in zip(sizes, before, strict=True)
            ]
        )

    def search(
        self, queries: NDArray[np.uint8], max_distance_bits: int, threads: int = 1
    ) -> Neighbours:
        """All codes within ``max_distance_bits`` of each of ``queries``, shape (n, 32).

        The distance is inclusive, -1 finds nothing. A batch is spread over ``threads``; none holds
        the GIL.
        """
        plan = self.plan(max_distance_bits)
        if plan.engine == "flat":
            return self.flat.search(queries, max_distance_bits)
        if threads == 1:
            query, entry, distance, _ = self._search(plan, None, queries, 0)
        else:
            query, entry, distance, _ = _spread(partial(self._search, plan, None), queries, threads)
        return Neighbours(query, entry, distance)

    def search_items(
        self,
        queries: NDArray[np.uint8],
        max_distance_bits: int,
        items: ItemColumns,
        limits_bits: NDArray[np.int16],
        most_items: int,
        threads: int = 1,
    ) -> NearestItems:
        """As ``search``, but of each item its nearest code only, and the nearest ``most_items``.

        ``limits_bits`` i16 (65536,): the largest distance that is answered from each bank, -1 for
        nothing at all. Time and memory stay small when one query has very many neighbours.
        """
        plan = self.plan(max_distance_bits)
        if plan.engine == "flat":
            near = self.flat.search(queries, max_distance_bits)
            return nearest_items(near, len(queries), items, limits_bits, most_items)
        wanted = _Wanted(items, limits_bits, most_items)
        return NearestItems(*_spread(partial(self._search, plan, wanted), queries, threads))

    def _search(
        self, plan: Plan, wanted: _Wanted | None, queries: NDArray[np.uint8], first: int
    ) -> tuple[NDArray[Any], ...]:
        try:
            room: _Room = self._rooms.room
        except AttributeError:
            room = self._rooms.room = _Room(self.tables, self._codes)
        n_queries = len(queries)
        if n_queries > room.n_queries:
            room.resize(n_queries, room.n_answers)
        room.queries[:n_queries] = queries
        if wanted:
            room.receive(wanted)
        items_at = room.items_at if wanted else 0
        hits = kernels.search(room.tables_at, plan.address, items_at, room.answers_at, n_queries)
        while hits > room.n_answers:
            room.resize(room.n_queries, hits)
            room.queries[:n_queries] = queries
            hits = kernels.search(
                room.tables_at, plan.address, items_at, room.answers_at, n_queries
            )
        truncated = room.truncated[:n_queries].copy() if wanted else _NOTHING.truncated
        if not hits:
            return _NOTHING.query, _NOTHING.entry, _NOTHING.distance, truncated
        return (
            room.query[:hits] + np.uint32(first),
            room.entry[:hits].copy(),
            room.distance[:hits].copy(),
            truncated,
        )


def nearest_items(
    near: Neighbours,
    n_queries: int,
    items: ItemColumns,
    limits_bits: NDArray[np.int16],
    most_items: int,
) -> NearestItems:
    """What ``MultiIndex.search_items`` answers, out of all neighbours."""
    row = items.row[near.entry]
    keep = ~items.dead[row] & (near.distance <= limits_bits[items.bank[row]])
    query, entry, distance, row = near.query[keep], near.entry[keep], near.distance[keep], row[keep]
    order = np.lexsort((entry, distance, row, query))
    first = np.ones(len(order), np.bool_)
    first[1:] = (np.diff(query[order]) != 0) | (np.diff(row[order]) != 0)
    order = order[first]
    order = order[np.lexsort((row[order], distance[order], query[order]))]
    found = np.bincount(query[order], minlength=n_queries)
    begins = np.cumsum(found) - found
    rank = np.arange(len(order)) - np.repeat(begins, found)
    order = order[rank < most_items]
    return NearestItems(query[order], entry[order], distance[order], found > most_items)


def _planned(max_distance_bits: int, length: int, postings: NDArray[np.int64]) -> Plan:
    every, larger = divmod(max_distance_bits - CHUNKS + 1, CHUNKS)
    radii = np.full(CHUNKS, every)
    radii[np.argsort(postings, kind="stable")[:larger]] += 1
    if not (length and 0 <= max_distance_bits <= OPERATOR_MAX_DISTANCE_BITS):
        return Plan("flat", float("inf"), (), 0, np.empty(0, np.int64))
    expected_us = _expected_us(radii.tolist(), postings.tolist())
    probes = [_ball(radius) for radius in radii.tolist()]
    layout = np.array(
        [*radii, *probes, max_distance_bits, max(probes), address(_flips())], np.int64
    )
    engine = "multi_index" if expected_us < length * _FLAT_CODE_NS / 1000 else "flat"
    return Plan(engine, expected_us, tuple(radii.tolist()), address(layout), layout)


def _expected_us(radii: list[int], postings: list[int]) -> float:
    ns = 0.0
    for chunk, radius in enumerate(radii):
        bound = radius + radii[(chunk + 1) % CHUNKS] + 1
        for flipped in range(radius + 1):
            passing = _ball(bound - flipped) / KEYS
            probe_ns = _PROBE_NS + postings[chunk] * (_TAG_NS + passing * _COMPARED_CODE_NS)
            ns += comb(CHUNK_BITS, flipped) * probe_ns
    return ns / 1000


def _ball(radius: int) -> int:
    """Keys within ``radius`` bits of one, which is also how many of _flips have no more bits."""
    return sum(comb(CHUNK_BITS, bits) for bits in range(radius + 1))


@cache
def _flips() -> NDArray[np.uint16]:
    """All keys, those with fewer bits first."""
    keys = np.arange(KEYS, dtype=np.uint16)
    return keys[np.argsort(np.bitwise_count(keys), kind="stable")]


@dataclass(frozen=True, slots=True, eq=False)
class _Wanted:
    items: ItemColumns
    limits_bits: NDArray[np.int16]
    most_items: int


class _Room:
    """Where one thread's lookups put what they find. Pages that are never touched cost nothing."""

    def __init__(self, tables: Tables, codes: NDArray[np.uint8]) -> None:
        seen = np.zeros((len(codes) >> 6) + 1, np.int64)
        arrays = (tables.starts, tables.tags, tables.low, tables.high, codes, seen)
        self._tables = np.array([len(codes), *(address(array) for array in arrays)], np.int64)
        self._kept: tuple[object, ...] = (*arrays, seen)
        self.tables_at = address(self._tables)
        self.items_at = 0
        self._items: ItemColumns | None = None
        self.resize(_FIRST_QUERIES, _FIRST_ANSWERS)

    def resize(self, n_queries: int, n_answers: int) -> None:
        self.n_queries = n_queries
        self.n_answers = n_answers
        self.query = np.empty(n_answers, np.uint32)
        self.entry = np.empty(n_answers, np.int64)
        self.distance = np.empty(n_answers, np.uint16)
        self.queries = np.empty((n_queries, HASH_BYTES), np.uint8)
        self.truncated = np.empty(n_queries, np.bool_)
        arrays = (self.query, self.entry, self.distance, self.queries, self.truncated)
        self._answers = np.array([n_answers, *(address(array) for array in arrays)], np.int64)
        self.answers_at = address(self._answers)

    def receive(self, wanted: _Wanted) -> None:
        items = wanted.items
        if self._items is not items:
            length = len(items.bank)
            self._item_arrays = (
                items.row,
                items.bank,
                items.dead,
                wanted.limits_bits,
                np.zeros(length, np.uint16),
                np.empty(length, np.uint32),
                np.empty(length, np.uint32),
            )
            self._layout = np.array(
                [length, 0, *(address(array) for array in self._item_arrays)], np.int64
            )
            self.items_at = address(self._layout)
            self._items = items
        self._layout[1] = wanted.most_items
        self._layout[5] = address(wanted.limits_bits)


def _spread(
    search: Callable[[NDArray[np.uint8], int], tuple[NDArray[Any], ...]],
    queries: NDArray[np.uint8],
    threads: int,
) -> tuple[NDArray[Any], ...]:
    share = max(_LEAST_SHARE, -(-len(queries) // threads))
    if len(queries) <= share:
        return search(queries, 0)
    firsts = range(0, len(queries), share)
    answers = _pool().map(search, (queries[first : first + share] for first in firsts), firsts)
    return tuple(np.concatenate(columns) for columns in zip(*answers, strict=True))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "search")
