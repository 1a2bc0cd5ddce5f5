"""Banded answers keep 0 and the limit, and tell no two distances of a band apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.lookups import Matches
from disrupt.core.policy import BAND_ENDS_BITS, ApiKey, Bank, Right, Scope, scope
from disrupt.errors import InvalidRequestError
from disrupt.services.distance_bands import banded
from disrupt.services.matching import NO_MATCHES

KEY = ApiKey(
    *("0a1b2c3d", "p", "o", bytes(32), frozenset([Right.MATCH]), frozenset([1, 2]), "2026-01-01"),
    distance_bands=True,
)
BANKS = (Bank(1, "one", 31), Bank(2, "two", 20))
SEARCHED = Scope({bank.number: bank.max_distance_bits for bank in BANKS})
ITEMS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 2), st.integers(0, 31), st.booleans()), max_size=8
)
"""Query, bank, distance, and whether it is common."""


def matches(items: list[tuple[int, int, int, bool]]) -> Matches:
    count = len(items)
    query, bank, bits, is_common = (np.asarray(column) for column in zip(*items, strict=True))
    others = (
        *("version", "item_ids", "kind", "assurance", "plan", "ordinal", "versions"),
        *("query_area_permille", "stored_area_permille", "start_ms", "is_disputed"),
    )
    empty = {name: getattr(NO_MATCHES, name) for name in others}
    columns = {
        name: np.zeros((count, *column.shape[1:]), column.dtype) for name, column in empty.items()
    }
    return replace(
        NO_MATCHES,
        query=query.astype(np.uint32),
        bank=bank.astype(np.uint16),
        distance_bits=np.minimum(bits, [SEARCHED.limits[each] for each in bank]).astype(np.uint16),
        number=np.arange(count, dtype=np.uint64),
        is_common=is_common,
        **columns,
    )


@given(ITEMS.filter(bool))
def test_a_distance_is_the_end_of_its_band_or_the_limit(
    items: list[tuple[int, int, int, bool]],
) -> None:
    exact = matches(items)
    answered = banded(exact, SEARCHED)
    assert sorted(answered.number.tolist()) == exact.number.tolist()
    for number, bank, bits in zip(
        answered.number.tolist(),
        answered.bank.tolist(),
        answered.distance_bits.tolist(),
        strict=True,
    ):
        own, limit = int(exact.distance_bits[number]), SEARCHED.limits[bank]
        assert own <= bits <= limit
        assert bits in BAND_ENDS_BITS or bits == limit
        assert not any(own <= end < bits for end in BAND_ENDS_BITS)


@given(ITEMS.filter(bool))
def test_what_is_answered_says_no_more_than_bands_do(
    items: list[tuple[int, int, int, bool]],
) -> None:
    exact = matches(items)
    ends = banded(exact, SEARCHED)
    known = dict(zip(ends.number.tolist(), ends.distance_bits.tolist(), strict=True))
    rounded = replace(
        exact, distance_bits=np.asarray([known[at] for at in range(len(items))], np.uint16)
    )
    again = banded(rounded, SEARCHED)
    assert again.number.tolist() == ends.number.tolist()
    assert again.distance_bits.tolist() == ends.distance_bits.tolist()


@pytest.mark.parametrize("bits", range(32))
def test_a_threshold_within_a_band_is_refused_to_a_key_with_bands(bits: int) -> None:
    exact = replace(KEY, distance_bands=False)
    assert scope(exact, BANKS, ("one",), bits).limits == {1: bits}
    if bits in BAND_ENDS_BITS:
        assert scope(KEY, BANKS, ("one",), bits).limits == {1: bits}
        return
    with pytest.raises(InvalidRequestError):
        scope(KEY, BANKS, ("one",), bits)
