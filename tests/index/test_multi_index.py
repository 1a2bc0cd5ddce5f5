from __future__ import annotations

import weakref
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from disrupt.core.hashes import distances_bits
from disrupt.errors import SnapshotRefusedError
from disrupt.index.flat import FlatIndex
from disrupt.index.multi_index import engine
from disrupt.index.multi_index.engine import MultiIndex
from disrupt.index.multi_index.tables import NARROW, WIDE, Cut, Tables, file_name, layout
from disrupt.index.nearest import ItemColumns, NearestItems, nearest_items
from disrupt.index.writing import CodesWriter
from tests.index.conformance import SearchConformance, compared, triples
from tests.index.examples import Codes, flipped, near_codes, random_codes, thresholds

CUTS = (NARROW, Cut(14, 18, 32), Cut(28, 9, 32))
"""The second equals WIDE but for tables of 100 MB; the third has chunks shorter than tags."""


def in_memory(codes: Codes, cut: Cut = NARROW) -> MultiIndex:
    return MultiIndex(FlatIndex.of(codes), Tables.of(codes, 2, cut))


@pytest.fixture
def tables_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search every distance up to 63 through the tables, however few codes there are."""
    monkeypatch.setattr(engine, "CODE_NS", 1e12)


@pytest.mark.usefixtures("tables_always")
class TestTablesInMemory(SearchConformance):
    def build(self, codes: Codes, folder: Path) -> MultiIndex:  # noqa: ARG002
        return in_memory(codes)


@pytest.mark.usefixtures("tables_always")
class TestOtherTablesInMemory(SearchConformance):
    def build(self, codes: Codes, folder: Path) -> MultiIndex:  # noqa: ARG002
        return in_memory(codes, CUTS[2])


@pytest.mark.usefixtures("tables_always")
class TestTablesMapped(SearchConformance):
    """Tables as served: mapped read-only, with codes at an odd address, as in FAISS's file."""

    def build(self, codes: Codes, folder: Path) -> MultiIndex:
        with closing(CodesWriter(folder / "codes.faiss")) as writer:
            writer.append(codes)
        Tables.write(folder, codes, NARROW)
        flat = FlatIndex.map(folder / "codes.faiss")
        return MultiIndex(flat, Tables.map(folder, len(codes), NARROW))


def around(codes: Codes, seed: int) -> Codes:
    """Return queries at each distance from 0 to 66 from some code, and two near to none."""
    chosen = np.random.default_rng(seed).integers(0, len(codes), 67)
    near = [flipped(codes[at], bits, bits + seed) for bits, at in enumerate(chosen)]
    return np.concatenate([np.stack(near), random_codes(2, seed + 1)])


@pytest.mark.slow
@pytest.mark.usefixtures("tables_always")
@pytest.mark.parametrize(("seed", "cut"), [(1, NARROW), (2, NARROW), *enumerate(CUTS)])
def test_answers_are_exact_at_every_distance(seed: int, cut: Cut) -> None:
    codes = random_codes(2000, seed)
    queries = around(codes, seed)
    index = in_memory(codes, cut)
    for max_distance_bits in range(64):
        assert index.plan(max_distance_bits).engine == "multi_index"
        neighbours = index.search(queries, max_distance_bits)
        assert triples(neighbours) == compared(codes, queries, max_distance_bits)


@pytest.mark.usefixtures("tables_always")
@pytest.mark.parametrize("cut", CUTS)
def test_answers_are_exact_where_differences_lie_in_one_place(cut: Cut) -> None:
    # The worst cases of the pigeonhole: all differences in few chunks, or one more in each.
    queries = random_codes(1)
    masks = [np.zeros(256, np.uint8) for _ in range(600)]
    rng = np.random.default_rng(5)
    for place, mask in enumerate(masks):
        width = 1 + place % cut.chunks
        chunks = rng.permutation(cut.chunks)[:width]
        for chunk in chunks:
            bits = rng.integers(0, cut.bits + 1) if width < 4 else rng.integers(0, 1 + 64 // width)
            mask[cut.bits * chunk + rng.permutation(cut.bits)[:bits]] = 1
    # Chunks begin at the lowest bit of the first byte.
    codes = queries ^ np.packbits(np.stack(masks), axis=1, bitorder="little")
    index = in_memory(codes, cut)
    for max_distance_bits in range(64):
        neighbours = index.search(queries, max_distance_bits)
        assert triples(neighbours) == compared(codes, queries, max_distance_bits)


@pytest.mark.slow
@pytest.mark.usefixtures("tables_always")
@pytest.mark.parametrize("cut", [NARROW, WIDE])
def test_answers_are_exact_on_skewed_codes_numbered_beyond_16_bits(cut: Cut) -> None:
    codes = random_codes(150_000)
    codes[:, :16] &= 1  # eight chunks with four keys each
    codes[::3, 16:] = 0  # eight with one very long posting list
    queries = np.concatenate([around(codes, 3)[::4], codes[-3:], np.zeros((1, 32), np.uint8)])
    index = in_memory(codes, cut)
    for max_distance_bits in (0, 14, 15, 31, 33):
        neighbours = index.search(queries, max_distance_bits)
        assert triples(neighbours) == compared(codes, queries, max_distance_bits)


def columns(codes: Codes, seed: int = 0) -> tuple[ItemColumns, NDArray[np.int16]]:
    """Return items of one to three codes in five banks, some dead, and limits of the banks."""
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(len(codes)), rng.integers(1, 4, len(codes)))[: len(codes)]
    bank = rng.integers(0, 5, row[-1] + 1).astype(np.uint16)
    limits_bits = np.full(65536, -1, np.int16)
    limits_bits[:4] = [31, 256, 12, 40]
    return ItemColumns(row.astype(np.uint32), bank, rng.random(len(bank)) < 0.2), limits_bits


def nearest(
    codes: Codes,
    queries: Codes,
    max_distance_bits: int,
    items: ItemColumns,
    limits_bits: NDArray[np.int16],
    most_items: int,
) -> tuple[list[tuple[int, int, int]], list[int]]:
    """Return what search_items must answer, one query and one code at a time."""
    answer: list[tuple[int, int, int]] = []
    truncated = []
    for query, distances in enumerate(distances_bits(queries[:, None], codes[None]).tolist()):
        best: dict[int, tuple[int, int, int]] = {}
        for entry, distance in enumerate(distances):
            row = int(items.row[entry])
            limit = min(max_distance_bits, int(limits_bits[items.bank[row]]))
            if not items.dead[row] and distance <= limit:
                best[row] = min(best.get(row, (257, 0, 0)), (distance, row, entry))
        ranked = sorted(best.values())
        answer += [(query, entry, distance) for distance, _, entry in ranked[:most_items]]
        if len(ranked) > most_items:
            truncated.append(query)
    return answer, truncated


def in_order(answer: NearestItems) -> tuple[list[tuple[int, int, int]], list[int]]:
    rows = zip(answer.query.tolist(), answer.entry.tolist(), answer.distance.tolist(), strict=True)
    return list(rows), answer.truncated.tolist()


@pytest.mark.usefixtures("tables_always")
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    codes=near_codes(40),
    queries=near_codes(6),
    max_distance_bits=thresholds,
    most_items=st.integers(1, 6),
    seed=st.integers(0, 9),
)
def test_nearest_items_equal_brute_force(
    codes: Codes, queries: Codes, max_distance_bits: int, most_items: int, seed: int
) -> None:
    items, limits_bits = columns(codes, seed)
    wanted = nearest(codes, queries, max_distance_bits, items, limits_bits, most_items)
    arguments = (max_distance_bits, items, limits_bits, most_items)
    assert in_order(in_memory(codes).search_items(queries, *arguments)) == wanted
    near = FlatIndex.of(codes).search(queries, max_distance_bits)
    assert in_order(nearest_items(near, len(queries), items, limits_bits, most_items)) == wanted


@pytest.fixture(scope="module")
def crowd() -> Codes:
    """Return 20 000 codes within 40 bits of one, some equal, between codes far away."""
    rng = np.random.default_rng(1)
    codes = random_codes(70_000)
    order = np.argsort(rng.random((20_000, 256)), axis=1)
    masks = (order < rng.integers(0, 41, (20_000, 1))).astype(np.uint8)
    codes[30_000:50_000] = codes[0] ^ np.packbits(masks, axis=1)
    return codes


@pytest.mark.usefixtures("tables_always")
@pytest.mark.parametrize("bits_away", [0, 5, 20, 45])
@pytest.mark.parametrize("cut", CUTS[:2])
def test_a_crowd_of_near_duplicates_is_answered_exactly(
    crowd: Codes, bits_away: int, cut: Cut
) -> None:
    index = in_memory(crowd, cut)
    items, limits_bits = columns(crowd)
    # The second query shows that the first left nothing over.
    queries = np.stack([flipped(crowd[0], bits_away), crowd[5], flipped(crowd[0], bits_away, 1)])
    for max_distance_bits in (15, 31, 50):
        neighbours = index.search(queries, max_distance_bits)
        assert triples(neighbours) == compared(crowd, queries, max_distance_bits)
        near = FlatIndex.of(crowd).search(queries, max_distance_bits)
        for most_items in (1, 100, 20_000):
            bounds = (items, limits_bits, most_items)
            bounded = index.search_items(queries, max_distance_bits, *bounds)
            expected = nearest_items(near, len(queries), *bounds)
            assert in_order(bounded) == in_order(expected)


@pytest.mark.usefixtures("tables_always")
def test_an_item_as_near_as_a_whole_crowd_is_not_lost_to_it() -> None:
    # All are 20 bits away. The crowd shows in the first chunk, and tightens the search; the one
    # that comes first in order shows in the eleventh, the last that is still searched.
    query = random_codes(1)
    masks = np.zeros((6000, 256), np.uint8)
    masks[1:, 160:] = np.argsort(np.random.default_rng(1).random((5999, 96)), axis=1) < 20
    masks[0, :160].reshape(10, 16)[:, 3:5] = 1
    codes = query ^ np.packbits(masks, axis=1)
    items = ItemColumns(
        np.arange(6000, dtype=np.uint32), np.zeros(6000, np.uint16), np.zeros(6000, np.bool_)
    )
    answer = in_memory(codes).search_items(query, 31, items, np.full(65536, 31, np.int16), 3)
    assert in_order(answer) == ([(0, 0, 20), (0, 1, 20), (0, 2, 20)], [0])


@pytest.mark.usefixtures("tables_always")
def test_a_batch_over_several_threads_is_answered_as_by_one() -> None:
    codes = random_codes(5000)
    queries = np.concatenate([around(codes, 1), around(codes, 2)])
    items, limits_bits = columns(codes)
    index = in_memory(codes)
    single, three = index.search(queries, 31), index.search(queries, 31, threads=3)
    assert triples(single) == triples(three) == compared(codes, queries, 31)
    assert np.all(np.diff(three.query.astype(np.int64)) >= 0)
    bounds = (31, items, limits_bits, 2)
    assert in_order(index.search_items(queries, *bounds, threads=3)) == in_order(
        index.search_items(queries, *bounds)
    )


def test_items_that_die_between_lookups_are_not_answered() -> None:
    codes = random_codes(5000)
    items = ItemColumns(
        np.arange(5000, dtype=np.uint32), np.zeros(5000, np.uint16), np.zeros(5000, np.bool_)
    )
    limits_bits = np.full(65536, 31, np.int16)
    index = in_memory(codes)
    assert index.plan(31).engine == "multi_index"
    for expected in ([7], []):
        answer = index.search_items(codes[7:8], 31, items, limits_bits, 5)
        assert answer.entry.tolist() == expected
        items.dead[7] = True


def test_radii_lose_nothing_and_waste_nothing() -> None:
    index = in_memory(random_codes(2000))
    for max_distance_bits in range(64):
        radii = index.plan(max_distance_bits).radii
        assert sum(radii) == max_distance_bits - 15
        assert max(radii) - min(radii) <= 1


def test_chunks_with_long_posting_lists_get_the_smaller_radii() -> None:
    codes = random_codes(20_000)
    codes[:, 6:10] &= 3
    radii = in_memory(codes).plan(29).radii
    assert radii == tuple(0 if chunk in (3, 4) else 1 for chunk in range(16))


def test_a_plan_keeps_what_its_address_leads_to() -> None:
    """Check that a plan keeps its flips, though another thread's copy may replace them."""
    engine._flips.cache_clear()  # plans of other tests may keep others
    index = in_memory(random_codes(20_000))
    plan = index.plan(31)
    flips = weakref.ref(engine._flips(16, max(plan.radii)))
    engine._flips.cache_clear()
    assert flips() is not None
    del plan, index
    assert flips() is None


def test_few_codes_and_large_distances_are_compared_one_by_one() -> None:
    few, many = in_memory(random_codes(50)), in_memory(random_codes(20_000))
    assert [few.plan(bits).engine for bits in (15, 31)] == ["flat", "flat"]
    assert [many.plan(bits).engine for bits in (0, 15, 31)] == ["multi_index"] * 3
    assert [many.plan(bits).engine for bits in (-1, 63, 64, 256)] == ["flat"] * 4
    assert (few.name, many.name) == ("flat", "multi_index")


def test_one_crowd_does_not_change_the_choice_for_all() -> None:
    codes = random_codes(30_000)
    codes[:5000] = codes[0]
    assert in_memory(codes).plan(31).engine == "multi_index"


@pytest.mark.parametrize("cut", CUTS[:2])
def test_tables_of_another_length_or_missing_are_refused(tmp_path: Path, cut: Cut) -> None:
    Tables.write(tmp_path, random_codes(100), cut)
    for length, other_cut in ((101, cut), (100, CUTS[2])):
        with pytest.raises(SnapshotRefusedError, match="search-"):
            Tables.map(tmp_path, length, other_cut)
    for name in layout(100, cut):
        path = tmp_path / file_name(name)
        content = path.read_bytes()
        for damaged in (b"", content[:50], content[:-1]):
            path.write_bytes(damaged)
            with pytest.raises(SnapshotRefusedError, match=file_name(name)):
                Tables.map(tmp_path, 100, cut)
        path.unlink()
        with pytest.raises(SnapshotRefusedError, match=file_name(name)):
            Tables.map(tmp_path, 100, cut)
        path.write_bytes(content)
    assert len(Tables.map(tmp_path, 100, cut).low) == cut.chunks


@pytest.mark.parametrize("cut", CUTS[:2])
def test_tables_are_the_same_in_memory_and_in_files(tmp_path: Path, cut: Cut) -> None:
    codes = random_codes(70_000)
    written, in_memory_tables = Tables.write(tmp_path, codes, cut), Tables.of(codes, 2, cut)
    names = layout(len(codes), cut)
    for name in names:
        assert np.array_equal(getattr(written, name), getattr(in_memory_tables, name))
    assert in_memory_tables.size_bytes == sum(
        getattr(in_memory_tables, name).nbytes for name in names
    )


def test_faiss_answers_the_same_from_the_same_codes() -> None:
    codes = random_codes(20_000)
    stock = faiss.IndexBinaryFlat(256)
    stock.add(codes)
    queries = around(codes, 4)
    limits, distances, labels = stock.range_search(queries, 32)
    query = np.repeat(np.arange(len(queries)), np.diff(limits.astype(np.int64)))
    expected = sorted(zip(query.tolist(), labels.tolist(), distances.tolist(), strict=True))
    assert triples(in_memory(codes).search(queries, 31)) == expected


def test_skew_is_measured_by_the_posting_list_of_the_median_code() -> None:
    lists = [[0, 4, 5, 6, 10, 11, 12], [0, 2, 4, 6, 8, 10, 12], [0, 12, 12, 12, 12, 12, 12]]
    tables: Any = SimpleNamespace(starts=np.array(lists))
    assert engine._postings(tables, 12).tolist() == [4, 2, 12]
