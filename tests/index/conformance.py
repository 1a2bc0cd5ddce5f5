"""The promises of every search engine: each engine's tests subclass these."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from disrupt.core.hashes import distances_bits
from disrupt.core.media import NOT_NARROWED
from disrupt.index.nearest import Budget, ItemColumns, NearestItems, same_limits
from rig.media.codes import Codes, flipped, near_codes, random_codes, some_below_bits, thresholds


class Engine(Protocol):
    def search(
        self,
        queries: Codes,
        max_distance_bits: int,
        items: ItemColumns,
        limits_bits: NDArray[np.int16],
        most_items: int,
        budget: Budget = ...,
    ) -> NearestItems: ...


Hits = list[tuple[int, int, int]]
"""(query, entry, distance in bits), ordered by query, distance, then item."""


def in_order(answer: NearestItems) -> Hits:
    columns = (answer.query, answer.entry, answer.distance)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def near(engine: Engine, codes: Codes, queries: Codes, max_distance_bits: int) -> Hits:
    """Search for all codes within a distance: each is an item of its own."""
    items, limits_bits = ItemColumns.one_code_each(len(codes)), same_limits(max_distance_bits)
    most_items = max(1, len(codes))
    return in_order(engine.search(queries, max_distance_bits, items, limits_bits, most_items))


def compared(codes: Codes, queries: Codes, max_distance_bits: int) -> Hits:
    """Return what ``near`` must answer, by comparing every code."""
    distances = distances_bits(queries[:, None], codes[None])
    return sorted(
        (
            (int(query), int(entry), int(distances[query, entry]))
            for query, entry in np.argwhere(distances <= max_distance_bits)
        ),
        key=itemgetter(0, 2, 1),
    )


def some_items(codes: Codes, seed: int = 0) -> tuple[ItemColumns, NDArray[np.int16]]:
    """Return items of one to three codes in five banks, some dead, and limits of the banks.

    Half of the codes are narrowed.
    """
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(len(codes)), rng.integers(1, 4, len(codes)))[: len(codes)]
    bank = rng.integers(0, 5, row[-1] + 1).astype(np.uint16)
    limits_bits = np.full(65536, -1, np.int16)
    limits_bits[:4] = [31, 256, 12, 40]
    below_bits = some_below_bits(len(codes), rng)
    dead = rng.random(len(bank)) < 0.2
    return ItemColumns(row.astype(np.uint32), below_bits, bank, dead), limits_bits


def nearest(
    codes: Codes,
    queries: Codes,
    max_distance_bits: int,
    items: ItemColumns,
    limits_bits: NDArray[np.int16],
    most_items: int,
) -> tuple[Hits, list[int]]:
    """Return what a search must answer, and its truncated queries, one code at a time."""
    answer: Hits = []
    truncated = []
    for query, distances in enumerate(distances_bits(queries[:, None], codes[None]).tolist()):
        best: dict[int, tuple[int, int, int]] = {}
        for entry, distance in enumerate(distances):
            row = int(items.row[entry])
            limit = min(max_distance_bits, int(limits_bits[items.bank[row]]))
            below_bits = int(items.below_bits[entry])
            if below_bits != NOT_NARROWED and distance >= below_bits:
                continue
            if not items.dead[row] and distance <= limit:
                best[row] = min(best.get(row, (257, 0, 0)), (distance, row, entry))
        ranked = sorted(best.values())
        answer += [(query, entry, distance) for distance, _, entry in ranked[:most_items]]
        if len(ranked) > most_items:
            truncated.append(query)
    return answer, truncated


class SearchConformance:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path

    def build(self, codes: Codes, folder: Path) -> Engine:
        raise NotImplementedError

    @pytest.mark.parametrize("distance", [0, 1, 2, 15, 16, 30, 31, 32, 47, 62, 63])
    def test_neighbour_is_found_from_its_own_distance_on(self, distance: int, folder: Path) -> None:
        queries = random_codes(20, seed=distance)
        planted = np.stack([flipped(query, distance, seed) for seed, query in enumerate(queries)])
        codes = np.concatenate([random_codes(500, seed=99), planted])
        engine = self.build(codes, folder)
        expected = [(place, 500 + place, distance) for place in range(20)]
        assert near(engine, codes, queries, distance - 1) == []
        assert near(engine, codes, queries, distance) == expected
        assert near(engine, codes, queries, distance + 1) == expected

    @settings(
        max_examples=80,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(
        codes=near_codes(40),
        queries=near_codes(6),
        max_distance_bits=thresholds,
        most_items=st.integers(1, 6),
        seed=st.integers(0, 9),
    )
    def test_answers_equal_brute_force(
        self,
        codes: Codes,
        queries: Codes,
        max_distance_bits: int,
        most_items: int,
        seed: int,
        folder: Path,
    ) -> None:
        engine = self.build(codes, folder)
        assert near(engine, codes, queries, max_distance_bits) == compared(
            codes, queries, max_distance_bits
        )
        bounds = (max_distance_bits, *some_items(codes, seed), most_items)
        answer = engine.search(queries, *bounds)
        assert (in_order(answer), answer.truncated.tolist()) == nearest(codes, queries, *bounds)

    def test_every_code_is_within_256_bits_and_none_within_minus_one(self, folder: Path) -> None:
        codes = np.concatenate([random_codes(3), ~random_codes(3)])
        engine = self.build(codes, folder)
        for max_distance_bits, hits in ((256, 6), (255, 5), (-1, 0)):
            answer = near(engine, codes, codes[:1], max_distance_bits)
            assert answer == compared(codes, codes[:1], max_distance_bits)
            assert len(answer) == hits

    def test_equal_codes_are_all_found_and_of_one_item_the_first(self, folder: Path) -> None:
        codes = np.repeat(random_codes(1), 50, axis=0)
        engine = self.build(codes, folder)
        assert len(near(engine, codes, random_codes(1), 0)) == 50
        row = np.arange(50, dtype=np.uint32) // 25
        items = replace(ItemColumns.one_code_each(50), row=row)
        answer = engine.search(random_codes(1), 0, items, same_limits(0), 50)
        assert in_order(answer) == [(0, 0, 0), (0, 25, 0)]

    @pytest.mark.parametrize("below_bits", [0, 1, 2, 12, 31, 32, 62, 254, NOT_NARROWED])
    def test_a_narrowed_code_is_answered_only_at_smaller_distances(
        self, below_bits: int, folder: Path
    ) -> None:
        query = random_codes(1)
        distances = [bits for bits in range(below_bits - 1, below_bits + 2) if bits >= 0]
        planted = np.stack([flipped(query[0], bits, bits) for bits in distances])
        codes = np.concatenate([planted, random_codes(500, seed=99)])
        narrowed = np.full(len(codes), below_bits, np.uint8)
        items = replace(ItemColumns.one_code_each(len(codes)), below_bits=narrowed)
        engine = self.build(codes, folder)
        for max_distance_bits in range(below_bits - 2, min(below_bits + 3, 257)):
            bounds = (max_distance_bits, items, same_limits(max_distance_bits), 3)
            answer = engine.search(query, *bounds)
            assert (in_order(answer), answer.truncated.tolist()) == nearest(codes, query, *bounds)

    def test_a_narrowed_code_hides_neither_its_item_nor_another(self, folder: Path) -> None:
        query = random_codes(1)
        distances = [5, 6, 5, 7, 20]
        codes = np.stack([flipped(query[0], bits, seed) for seed, bits in enumerate(distances)])
        items = ItemColumns(
            row=np.array([0, 1, 2, 2, 3], np.uint32),
            below_bits=np.array([5, 0, 5, NOT_NARROWED, 12], np.uint8),
            bank=np.zeros(4, np.uint16),
            dead=np.zeros(4, np.bool_),
        )
        answer = self.build(codes, folder).search(query, 31, items, same_limits(31), 1)
        assert in_order(answer) == [(0, 3, 7)]
        assert answer.truncated.tolist() == []

    def test_an_empty_index_and_an_empty_batch_find_nothing(self, folder: Path) -> None:
        nothing, codes = np.empty((0, 32), np.uint8), random_codes(2)
        assert near(self.build(nothing, folder), nothing, codes, 256) == []
        assert near(self.build(codes, folder), codes, nothing, 256) == []

    def test_columns_have_their_types(self, folder: Path) -> None:
        codes = random_codes(40)
        bounds = (120, ItemColumns.one_code_each(40), same_limits(120), 1)
        answer = self.build(codes, folder).search(codes, *bounds)
        assert answer.query.dtype == answer.truncated.dtype == np.uint32
        assert answer.entry.dtype == np.int64
        assert answer.distance.dtype == np.uint16

    def test_queries_may_be_read_only_and_strided(self, folder: Path) -> None:
        codes = random_codes(20)
        packed = np.frombuffer(codes.tobytes(), np.uint8).reshape(-1, 32)
        engine = self.build(codes, folder)
        assert near(engine, codes, packed[::-2], 0) == compared(codes, packed[::-2], 0)

    @pytest.mark.usefixtures("python_never_switches_by_itself")
    def test_other_threads_run_while_it_searches(self, folder: Path) -> None:
        engine = self.build(random_codes(200_000), folder)
        queries = random_codes(64, seed=1)
        bounds = (31, ItemColumns.one_code_each(200_000), same_limits(31), 1)
        steps = 0
        outcome: list[bool] = []

        def search() -> None:
            # Unless threads switch inside the search, `steps` cannot change between the two reads.
            # On a busy machine the other thread may wait longer for a core than one search takes.
            last = time.monotonic() + 60
            while time.monotonic() < last:
                before = steps
                engine.search(queries, *bounds)
                if steps > before:
                    break
            outcome.append(steps > before)

        thread = threading.Thread(target=search)
        thread.start()
        while not outcome:
            time.sleep(0)  # the only place where this thread releases the GIL
            steps += 1
        thread.join()
        assert outcome == [True]

    @pytest.fixture
    def python_never_switches_by_itself(self) -> Iterator[None]:
        usual_s = sys.getswitchinterval()
        sys.setswitchinterval(1000)
        yield
        sys.setswitchinterval(usual_s)

    def test_threads_that_search_at_once_get_their_own_answers(self, folder: Path) -> None:
        codes = random_codes(2000)
        engine = self.build(codes, folder)
        bounds = (31, ItemColumns.one_code_each(2000), same_limits(31), 5)
        wrong: list[int] = []

        def search(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(30):
                chosen = rng.integers(0, len(codes), 5)
                answer = engine.search(codes[chosen], *bounds)
                if answer.entry.tolist() != chosen.tolist():
                    wrong.append(seed)

        threads = [threading.Thread(target=search, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
