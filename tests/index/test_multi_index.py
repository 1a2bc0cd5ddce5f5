from __future__ import annotations

import weakref
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from disrupt.core.media import NOT_NARROWED
from disrupt.errors import SnapshotRefusedError
from disrupt.index.flat import FlatIndex
from disrupt.index.multi_index import engine
from disrupt.index.multi_index.engine import MultiIndex
from disrupt.index.multi_index.layout import FINE, NARROW, WIDE, Cut, array_shapes, file_name
from disrupt.index.multi_index.tables import Tables
from disrupt.index.nearest import ItemColumns, same_limits
from disrupt.index.writing import CodesWriter
from rig.media.codes import Codes, flipped, random_codes
from tests.index.conformance import (
    SearchConformance,
    compared,
    in_order,
    near,
    some_items,
)

CUTS = (NARROW, Cut(14, 18, 32), Cut(28, 9, 32), FINE)
"""The second equals WIDE but for tables of 100 MB; others have chunks shorter than tags."""


def in_memory(codes: Codes, cut: Cut = NARROW) -> MultiIndex:
    return MultiIndex(FlatIndex.of(codes), Tables.of(codes, 2, cut))


@pytest.fixture
def tables_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search every distance up to 63 through the tables, however few codes there are."""
    monkeypatch.setattr(engine, "CODE_NS", 1e12)


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


@pytest.mark.usefixtures("tables_always")
@pytest.mark.parametrize(("seed", "cut"), [(1, NARROW), (2, NARROW), *enumerate(CUTS)])
def test_answers_are_exact_at_every_distance(seed: int, cut: Cut) -> None:
    codes = random_codes(2000, seed)
    queries = around(codes, seed)
    index = in_memory(codes, cut)
    for max_distance_bits in range(64):
        assert index.plan(max_distance_bits).engine == "multi_index"
        expected = compared(codes, queries, max_distance_bits)
        assert near(index, codes, queries, max_distance_bits) == expected


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
        expected = compared(codes, queries, max_distance_bits)
        assert near(index, codes, queries, max_distance_bits) == expected


@pytest.mark.usefixtures("tables_always")
@pytest.mark.parametrize("cut", [NARROW, WIDE])
def test_answers_are_exact_on_skewed_codes_numbered_beyond_16_bits(cut: Cut) -> None:
    codes = random_codes(150_000)
    codes[:, :16] &= 1  # eight chunks with four keys each
    codes[::3, 16:] = 0  # eight with one very long posting list
    queries = np.concatenate([around(codes, 3)[::4], codes[-3:], np.zeros((1, 32), np.uint8)])
    index = in_memory(codes, cut)
    for max_distance_bits in (0, 14, 15, 31, 33):
        expected = compared(codes, queries, max_distance_bits)
        assert near(index, codes, queries, max_distance_bits) == expected


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
    index, flat = in_memory(crowd, cut), FlatIndex.of(crowd)
    items, limits_bits = some_items(crowd)
    # The second query shows that the first left nothing over.
    queries = np.stack([flipped(crowd[0], bits_away), crowd[5], flipped(crowd[0], bits_away, 1)])
    for max_distance_bits in (15, 31, 50):
        expected = compared(crowd, queries, max_distance_bits)
        assert near(index, crowd, queries, max_distance_bits) == expected
        for most_items in (1, 100, 20_000):
            bounds = (max_distance_bits, items, limits_bits, most_items)
            answer, by_faiss = index.search(queries, *bounds), flat.search(queries, *bounds)
            assert in_order(answer) == in_order(by_faiss)
            assert answer.truncated.tolist() == by_faiss.truncated.tolist()


@pytest.mark.usefixtures("tables_always")
def test_an_item_as_near_as_a_whole_crowd_is_not_lost_to_it() -> None:
    # All are 20 bits away. The crowd shows in the first chunk, and tightens the search; the one
    # that comes first in order shows in the eleventh, the last that is still searched.
    query = random_codes(1)
    masks = np.zeros((6000, 256), np.uint8)
    masks[1:, 160:] = np.argsort(np.random.default_rng(1).random((5999, 96)), axis=1) < 20
    masks[0, :160].reshape(10, 16)[:, 3:5] = 1
    codes = query ^ np.packbits(masks, axis=1)
    answer = in_memory(codes).search(query, 31, ItemColumns.one_code_each(6000), same_limits(31), 3)
    assert in_order(answer) == [(0, 0, 20), (0, 1, 20), (0, 2, 20)]
    assert answer.truncated.tolist() == [0]


@pytest.mark.usefixtures("tables_always")
@pytest.mark.parametrize("crowd_code_ns", [150.0, 1e15])
def test_a_crowd_of_narrowed_codes_hides_no_farther_code(
    monkeypatch: pytest.MonkeyPatch, crowd_code_ns: float
) -> None:
    # At the second cost the crowd makes the search compare all codes.
    monkeypatch.setattr(engine, "_CROWD_CODE_NS", crowd_code_ns)
    query = random_codes(1)
    masks = np.argsort(np.random.default_rng(1).random((6000, 256)), axis=1)
    distances = np.full(6000, 20)
    distances[5000:5003] = 30
    codes = query ^ np.packbits(masks < distances[:, None], axis=1)
    below_bits = np.full(6000, 20, np.uint8)
    below_bits[5000:5003] = NOT_NARROWED
    items = replace(ItemColumns.one_code_each(6000), below_bits=below_bits)
    for most_items in (2, 3):
        answer = in_memory(codes).search(query, 31, items, same_limits(31), most_items)
        assert in_order(answer) == [(0, at, 30) for at in (5000, 5001, 5002)][:most_items]
        assert answer.truncated.tolist() == [0][most_items - 2 :]


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
    for name in array_shapes(100, cut):
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
    for name in array_shapes(len(codes), cut):
        assert np.array_equal(getattr(written, name), getattr(in_memory_tables, name))
