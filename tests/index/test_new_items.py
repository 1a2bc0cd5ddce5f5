"""Searches of what is new since a day, in each engine, against brute force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from disrupt.core.media import ALWAYS_NEW, StoredItem
from disrupt.core.policy import COMMON
from disrupt.index import part
from disrupt.index.columns import NOTHING_NEAR
from disrupt.index.nearest import same_limits
from disrupt.index.part import Part
from rig.media.codes import Answer, Codes, answers, brute_force, flipped, item, random_codes

TODAY = 20_000
BITS = 31


@pytest.fixture(params=[False, True], ids=["flat", "multi_index"])
def tables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(part, "_TABLES_FROM_HASHES", 8)
    return bool(request.param)


def aged(number: int, age: int, codes: Codes | None = None, bank: int = 1) -> StoredItem:
    codes = random_codes(4, number) if codes is None else codes
    return replace(item(number, codes, bank), new_day=TODAY - age)


def found(whole: Part, queries: Codes, day: int) -> list[Answer]:
    searched = whole.since(whole.item_columns, day)
    if searched is None:
        return []
    some, items = searched
    near = some.search(items, queries, BITS, same_limits(BITS), 10**6)
    return [] if near is NOTHING_NEAR else answers(near.hits)


def wanted(items: Sequence[StoredItem], queries: Codes, day: int) -> list[Answer]:
    return brute_force([stored for stored in items if stored.new_day >= day], queries, BITS)


def test_only_what_is_new_is_answered_for_every_day(tables: bool) -> None:
    near = random_codes(1)[0]
    items = [
        aged(number, age, np.stack([flipped(near, BITS + number % 3 - 1, number)]))
        for number, age in enumerate([40, 33, 32, 31, 9, 8, 7, 4, 3, 2, 1, 1, 0, 0], 500)
    ]
    old = [aged(number, 300) for number in range(1, 200)]
    whole = Part.of([*items, *old], tables=tables)
    queries = np.stack([near, flipped(near, 1), *random_codes(2, 7)])
    for age in range(-2, 45):
        assert found(whole, queries, TODAY - age) == wanted(items, queries, TODAY - age)


def test_few_new_items_are_searched_without_the_others(tables: bool) -> None:
    old = [aged(number, 90) for number in range(1, 400)]
    new = [aged(number, age) for number, age in enumerate([9, 5, 2, 0], 400)]
    whole = Part.of([*old, *new], tables=tables)
    searched = [whole.since(whole.item_columns, TODAY - age) for age in (0, 1, 3, 7, 10, 90)]
    assert [some and len(some[0].index) for some in searched] == [4, 4, 8, 12, 16, 1612]


def test_a_copy_is_made_once_and_old_items_of_it_are_left_out(
    tables: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [aged(number, 90) for number in range(1, 400)]
    new = [aged(number, age) for number, age in enumerate([3, 2, 0], 400)]
    whole = Part.of([*old, *new], tables=tables)
    queries = np.concatenate([stored.fingerprints["hash"] for stored in new])
    assert found(whole, queries, TODAY - 3) == wanted(new, queries, TODAY - 3)
    monkeypatch.delattr(Part, "from_columns")
    assert found(whole, queries, TODAY - 2) == wanted(new, queries, TODAY - 2)


def test_a_withdrawn_item_is_gone_from_a_copy_that_was_made_before(tables: bool) -> None:
    old = [aged(number, 90) for number in range(1, 400)]
    new = [aged(number, 1) for number in (400, 401)]
    whole = Part.of([*old, *new], tables=tables)
    queries = np.concatenate([stored.fingerprints["hash"] for stored in new])
    before = whole.item_columns
    assert len(found(whole, queries, TODAY - 1)) == len(queries)
    whole.bury([400])
    assert found(whole, queries, TODAY - 1) == wanted(new[1:], queries, TODAY - 1)
    still = whole.since(before, TODAY - 1)
    assert still is not None
    assert not still[1].dead.any()


def test_pictures_in_common_use_are_always_new(tables: bool) -> None:
    common = aged(1, 300, bank=COMMON.number)
    whole = Part.of([common, *(aged(number, 200) for number in range(2, 100))], tables=tables)
    queries = common.fingerprints["hash"]
    for age in (-1, 0, 250):
        assert found(whole, queries, TODAY - age) == brute_force([common], queries, BITS)


def test_where_the_day_of_an_item_is_not_known_it_is_new(tables: bool) -> None:
    unknown = item(1, random_codes(2, 1))
    assert unknown.new_day == ALWAYS_NEW
    whole = Part.of([unknown, *(aged(number, 9) for number in range(2, 50))], tables=tables)
    queries = unknown.fingerprints["hash"]
    assert found(whole, queries, TODAY) == brute_force([unknown], queries, BITS)
