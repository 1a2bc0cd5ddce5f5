"""The promises of every search engine: each engine's tests subclass these."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from disrupt.core.hashes import distances_bits
from disrupt.index.nearest import Neighbours
from tests.index.examples import Codes, flipped, near_codes, random_codes, thresholds


class Engine(Protocol):
    def search(self, queries: Codes, max_distance_bits: int) -> Neighbours: ...


def triples(neighbours: Neighbours) -> list[tuple[int, int, int]]:
    return sorted(
        zip(
            neighbours.query.tolist(),
            neighbours.entry.tolist(),
            neighbours.distance.tolist(),
            strict=True,
        )
    )


def compared(codes: Codes, queries: Codes, max_distance_bits: int) -> list[tuple[int, int, int]]:
    distances = distances_bits(queries[:, None], codes[None])
    return sorted(
        (int(query), int(entry), int(distances[query, entry]))
        for query, entry in np.argwhere(distances <= max_distance_bits)
    )


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
        engine = self.build(np.concatenate([random_codes(500, seed=99), planted]), folder)
        below = engine.search(queries, distance - 1)
        at = engine.search(queries, distance)
        above = engine.search(queries, distance + 1)
        expected = [(place, 500 + place, distance) for place in range(20)]
        assert triples(below) == []
        assert triples(at) == expected
        assert triples(above) == expected

    @settings(
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(codes=near_codes(40), queries=near_codes(6), max_distance_bits=thresholds)
    def test_answers_equal_brute_force(
        self, codes: Codes, queries: Codes, max_distance_bits: int, folder: Path
    ) -> None:
        neighbours = self.build(codes, folder).search(queries, max_distance_bits)
        assert triples(neighbours) == compared(codes, queries, max_distance_bits)

    def test_answers_equal_brute_force_over_many_codes(self, folder: Path) -> None:
        codes = random_codes(3000)
        queries = np.concatenate(
            [random_codes(5, seed=1), *(flipped(codes[at], 20, at)[None] for at in range(60))]
        )
        engine = self.build(codes, folder)
        for max_distance_bits in (0, 19, 20, 21, 63, 110):
            neighbours = engine.search(queries, max_distance_bits)
            assert triples(neighbours) == compared(codes, queries, max_distance_bits)

    def test_every_code_is_within_256_bits_and_none_within_minus_one(self, folder: Path) -> None:
        codes = np.concatenate([random_codes(3), ~random_codes(3)])
        engine = self.build(codes, folder)
        assert triples(engine.search(codes[:1], 256)) == compared(codes, codes[:1], 256)
        assert len(engine.search(codes[:1], 256).entry) == 6
        assert triples(engine.search(codes[:1], 255)) == compared(codes, codes[:1], 255)
        assert len(engine.search(codes[:1], 255).entry) == 5
        assert len(engine.search(codes, -1).entry) == 0

    def test_equal_codes_are_all_found(self, folder: Path) -> None:
        engine = self.build(np.repeat(random_codes(1), 50, axis=0), folder)
        assert len(engine.search(random_codes(1), 0).entry) == 50

    def test_an_empty_index_and_an_empty_batch_find_nothing(self, folder: Path) -> None:
        nothing = np.empty((0, 32), np.uint8)
        assert triples(self.build(nothing, folder).search(random_codes(2), 256)) == []
        assert triples(self.build(random_codes(2), folder).search(nothing, 256)) == []

    def test_columns_have_their_types_and_ascend_by_query(self, folder: Path) -> None:
        codes = random_codes(40)
        neighbours = self.build(codes, folder).search(codes, 120)
        assert neighbours.query.dtype == np.uint32
        assert neighbours.entry.dtype == np.int64
        assert neighbours.distance.dtype == np.uint16
        assert np.all(np.diff(neighbours.query.astype(np.int64)) >= 0)

    def test_queries_may_be_read_only_and_strided(self, folder: Path) -> None:
        codes = random_codes(20)
        packed = np.frombuffer(codes.tobytes(), np.uint8).reshape(-1, 32)
        engine = self.build(codes, folder)
        assert triples(engine.search(packed[::-2], 0)) == compared(codes, packed[::-2], 0)

    @pytest.mark.usefixtures("python_never_switches_by_itself")
    def test_other_threads_run_while_it_searches(self, folder: Path) -> None:
        engine = self.build(random_codes(200_000), folder)
        queries = random_codes(8, seed=1)
        steps = 0
        outcome: list[bool] = []

        def search() -> None:
            # Unless threads switch inside the search, `steps` cannot change between the two reads.
            for _ in range(200):
                before = steps
                engine.search(queries, 31)
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
        wrong: list[int] = []

        def search(seed: int) -> None:
            rng = np.random.default_rng(seed)
            for _ in range(30):
                chosen = rng.integers(0, len(codes), 5)
                if engine.search(codes[chosen], 31).entry.tolist() != chosen.tolist():
                    wrong.append(seed)

        threads = [threading.Thread(target=search, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
