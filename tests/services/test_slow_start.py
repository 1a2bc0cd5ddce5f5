"""A share of a bank answers the same items each time, and a larger one more of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.policy import ADULTS, MINORS, Bank
from disrupt.services.slow_start import SlowStart, draw_key

ITEMS = 2000
KEYS = st.binary(min_size=32, max_size=32)
SHARES = st.integers(1, 100)


def ids(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (ITEMS, 16), np.uint8)


def held(key: bytes, share: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    banks = np.full(ITEMS, 2, np.uint16)
    start = SlowStart.of(key, [Bank(2, "two", share_percent=share)])
    return np.zeros(ITEMS, np.bool_) if start is None else start.holds(ids(seed), banks)


@given(KEYS, SHARES, SHARES, st.integers(0, 2**32))
def test_raising_the_share_only_adds_items(key: bytes, one: int, other: int, seed: int) -> None:
    less, more = sorted((one, other))
    assert not (held(key, more, seed) & ~held(key, less, seed)).any()
    assert (held(key, less, seed) == held(key, less, seed)).all()


@given(KEYS, SHARES, st.integers(0, 2**32))
def test_the_share_is_that_of_the_items(key: bytes, share: int, seed: int) -> None:
    answered = 1 - held(key, share, seed).mean()
    # Six standard deviations, which one in a thousand million draws exceeds.
    bound = 6 * math.sqrt(share / 100 * (1 - share / 100) / ITEMS)
    assert abs(answered - share / 100) <= bound


def test_whether_an_item_is_answered_depends_on_the_key_and_on_nothing_beside_it() -> None:
    key, other = draw_key(bytes(32)), draw_key(bytes([1] * 32))
    assert (held(key, 50) != held(other, 50)).mean() == pytest.approx(1 / 2, abs=0.1)
    start = SlowStart.of(key, [Bank(2, "two", share_percent=50)])
    assert start is not None
    some = np.random.default_rng(1).permutation(ITEMS)[:100]
    alone = start.holds(ids(0)[some], np.full(100, 2, np.uint16))
    assert (alone == held(key, 50)[some]).all()
    # What a server of this release answers, the next has to answer, too.
    assert start.draws(ids(0)[:8]).tolist() == KNOWN
    assert held(key, 35)[:8].tolist() == [draw >= 35 for draw in KNOWN]


KNOWN = [89, 58, 4, 35, 68, 53, 67, 62]


def test_only_items_of_banks_with_a_share_are_held() -> None:
    start = SlowStart.of(bytes(32), [ADULTS, Bank(2, "two", share_percent=1)])
    assert start is not None
    assert start.banks == {2}
    banks = np.arange(ITEMS, dtype=np.uint16) % 4
    holds = start.holds(ids(0), banks)
    assert not holds[banks != 2].any()
    assert holds[banks == 2].mean() > 9 / 10
    assert SlowStart.of(bytes(32), [ADULTS, MINORS]) is None


def test_the_same_shares_are_equal_so_that_what_is_known_of_them_stays_so() -> None:
    two = Bank(2, "two", share_percent=50)
    assert SlowStart.of(bytes(32), [ADULTS, two]) == SlowStart.of(bytes(32), [two, ADULTS])
    assert "key" not in repr(SlowStart.of(bytes(32), [two]))
