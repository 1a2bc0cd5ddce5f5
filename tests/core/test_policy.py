"""Who may search what, and how far."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.cases import AgeBand
from disrupt.core.policy import (
    ADULTS,
    COMMON,
    MINORS,
    TEST_BANK,
    ApiKey,
    Bank,
    Right,
    age_of,
    scope,
)
from disrupt.errors import InvalidRequestError, PermissionDeniedError

STRICT = Bank(4, "strict", 20)
TEST = Bank(5, TEST_BANK)
BANKS = (ADULTS, MINORS, COMMON, STRICT)


def key(*banks: Bank, operator: bool = False) -> ApiKey:
    rights = {Right.MATCH, Right.OPERATOR} if operator else {Right.MATCH}
    numbers = frozenset(bank.number for bank in banks)
    return ApiKey("k", "platform", "platform", bytes(32), frozenset(rights), numbers, "2026-11-24")


def test_items_are_treated_as_of_a_minor_in_every_bank_but_that_of_adults() -> None:
    assert age_of(ADULTS.number) == AgeBand.ADULT
    assert age_of(MINORS.number) == age_of(STRICT.number) == AgeBand.MINOR


def test_key_without_the_right_is_denied_by_name() -> None:
    key(ADULTS).require(Right.MATCH)
    with pytest.raises(PermissionDeniedError, match="OPERATOR"):
        key(ADULTS).require(Right.OPERATOR)


def test_no_names_mean_every_bank_of_the_key_at_its_own_distance() -> None:
    searched = scope(key(ADULTS, STRICT), BANKS, (), None)
    assert searched.limits == {ADULTS.number: 31, STRICT.number: 20}
    assert searched.radius_bits == 31


def test_nobody_searches_the_bank_of_pictures_in_common_use() -> None:
    for caller in (key(ADULTS, COMMON), key(ADULTS, COMMON, operator=True)):
        assert scope(caller, BANKS, (), None).limits == {ADULTS.number: 31}
        with pytest.raises(InvalidRequestError, match="no bank is named 'common'"):
            scope(caller, BANKS, ("common",), None)


def test_names_narrow_the_search() -> None:
    searched = scope(key(ADULTS, STRICT), BANKS, ("strict",), None)
    assert searched.limits == {STRICT.number: 20}
    assert searched.radius_bits == 20


@pytest.mark.parametrize("caller", [key(ADULTS), key(ADULTS, TEST)], ids=["without", "with"])
def test_every_key_searches_the_test_bank_by_its_name_and_none_otherwise(caller: ApiKey) -> None:
    banks = (*BANKS, TEST)
    assert scope(caller, banks, (), None).limits == {ADULTS.number: 31}
    assert scope(caller, banks, ("test",), None).limits == {TEST.number: 31}


def test_a_key_of_the_test_bank_alone_searches_it_without_naming_it() -> None:
    banks = (*BANKS, TEST)
    assert scope(key(TEST), banks, (), None).limits == {TEST.number: 31}
    with pytest.raises(PermissionDeniedError):
        scope(key(TEST), banks, ("adults",), None)


def test_key_without_banks_searches_nothing() -> None:
    searched = scope(key(), BANKS, (), None)
    assert searched.limits == {}
    assert searched.radius_bits == -1
    assert scope(key(), BANKS, (), 31).limits == {}


def test_bank_of_another_key_is_denied_and_an_unknown_one_is_invalid() -> None:
    with pytest.raises(PermissionDeniedError, match="minors"):
        scope(key(ADULTS), BANKS, ("adults", "minors"), None)
    with pytest.raises(InvalidRequestError, match="nowhere"):
        scope(key(ADULTS), BANKS, ("nowhere",), None)


@given(
    asked=st.integers(-300, 300),
    operator=st.booleans(),
    names=st.sampled_from([(), ("adults",), ("strict",)]),
)
def test_threshold_is_taken_as_asked_or_refused(
    *, asked: int, operator: bool, names: tuple[str, ...]
) -> None:
    most = 63 if operator else 31 if names == ("adults",) else 20
    caller = key(ADULTS, STRICT, operator=operator)
    searched = {"adults": ADULTS, "strict": STRICT}
    wanted = [searched[name] for name in names] or [ADULTS, STRICT]
    if 0 <= asked <= most:
        narrowed = scope(caller, BANKS, names, asked)
        assert narrowed.limits == {bank.number: asked for bank in wanted}
        assert narrowed.radius_bits == asked
    else:
        with pytest.raises(InvalidRequestError, match=f"0-{most}"):
            scope(caller, BANKS, names, asked)
