"""Banks are made, changed, seen by whom both key and bank allow; the test bank is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from disrupt.core.examples import EXAMPLE_IDS
from disrupt.core.policy import ADULTS, COMMON, FIRST_BANKS, MINORS, TEST_BANK, BankPolicy, Right
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.errors import (
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    UnauthenticatedError,
)
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryWriter
from disrupt.services.banks import BANKS_MAX, create_bank, create_test_bank, set_bank
from disrupt.services.keys import KeyRing, create_key
from disrupt.services.registration import Registrar
from disrupt.services.review import Reviewer
from rig.media.registrations import ACT, DAY, NEXT_DAY, all_changes
from tests.services.patient import Patient
from tests.services.test_registration import PEPPER, PINS, item, request

AS_IT_IS = BankPolicy()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryWriter]:
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        yield writer


def key_of(registry: RegistryWriter, organisation: str) -> str:
    """Make a key of an organisation that may search every bank; return its secret."""
    rights = [Right.MATCH]
    return create_key(registry, "k", rights, [], day=DAY, act=ACT, organisation=organisation)[1]


def test_what_is_not_named_of_a_bank_stays(registry: RegistryWriter) -> None:
    key_of(registry, "some")
    made = create_bank(registry, "strict", BankPolicy(0), act=ACT)
    assert (made.max_distance_bits, made.goes_live, made.organisations) == (0, True, frozenset())
    waiting = set_bank(registry, "strict", BankPolicy(None, goes_live=False), act=ACT)
    assert waiting == replace(made, goes_live=False)
    some = frozenset({"some"})
    assert set_bank(registry, "strict", BankPolicy(31, organisations=some), act=ACT) == replace(
        waiting, max_distance_bits=31, organisations=some
    )
    everybody = BankPolicy(organisations=frozenset())
    assert not set_bank(registry, "strict", everybody, act=ACT).organisations
    reasons = [record.act.reason for record in reversed(registry.acts(3))]
    assert reasons == ["review", "distance_organisations", "organisations"]


def test_a_policy_out_of_range_an_unknown_name_and_a_taken_one_are_refused(
    registry: RegistryWriter,
) -> None:
    for bits in (-1, 32):
        for call in (create_bank, set_bank):
            with pytest.raises(InvalidRequestError, match=f"{bits} is outside 0-31"):
                call(registry, "adults", BankPolicy(bits), act=ACT)
    for name in ("", "Adults", "1st", "a" * 33, "a b", "adults", "é"):
        with pytest.raises(InvalidRequestError):
            create_bank(registry, name, AS_IT_IS, act=ACT)
    with pytest.raises(NotFoundError, match="nowhere"):
        set_bank(registry, "nowhere", BankPolicy(1), act=ACT)
    nobody = BankPolicy(organisations=frozenset({"nobody"}))
    with pytest.raises(NotFoundError, match="nobody"):
        set_bank(registry, "adults", nobody, act=ACT)
    first = (*FIRST_BANKS, COMMON)
    assert registry.banks() == first
    for at in range(BANKS_MAX - len(first)):
        create_bank(registry, f"bank{at}", AS_IT_IS, act=ACT)
    with pytest.raises(LimitExceededError):
        create_bank(registry, "more", AS_IT_IS, act=ACT)


def test_a_key_sees_a_bank_that_it_names_and_that_is_for_its_organisation(
    registry: RegistryWriter,
) -> None:
    some, other = key_of(registry, "some"), key_of(registry, "other")
    set_bank(registry, "minors", BankPolicy(organisations=frozenset({"some"})), act=ACT)
    ring = KeyRing(registry.keys(), registry.banks(), day=DAY)
    assert ring.authenticate(some).banks == {ADULTS.number, MINORS.number}
    assert ring.authenticate(other).banks == {ADULTS.number}


def test_staff_see_a_bank_likewise_and_move_nothing_into_the_fixed_banks(
    registry: RegistryWriter,
) -> None:
    create_test_bank(registry, AS_IT_IS, day=DAY, act=ACT)
    names = ("adults", "minors", TEST_BANK)
    made, _ = create_key(registry, "k", [Right.REVIEW], names, day=DAY, act=ACT)
    key_of(registry, "other")
    set_bank(registry, "minors", BankPolicy(organisations=frozenset({"other"})), act=ACT)
    reviewer = Reviewer(registry)
    key = reviewer.key(made.key_id, day=DAY)
    assert key.banks == made.banks - {MINORS.number}
    with pytest.raises(InvalidRequestError, match="move none there"):
        reviewer.move(key, [bytes(16)], TEST_BANK, ACT)
    with pytest.raises(InvalidRequestError, match="move none there"):
        reviewer.move(key, [bytes(16)], COMMON.name, ACT)


def test_a_key_reviews_until_it_expires_or_is_revoked(registry: RegistryWriter) -> None:
    rights, names, reviewer = [Right.REVIEW], ("adults",), Reviewer(registry)
    made, _ = create_key(registry, "k", rights, names, day=DAY, expires_on=NEXT_DAY, act=ACT)
    assert reviewer.key(made.key_id, day=DAY).organisation == made.organisation
    with pytest.raises(UnauthenticatedError):
        reviewer.key(made.key_id, day=NEXT_DAY)
    registry.revoke_key(made.key_id, day=DAY, act=ACT)
    with pytest.raises(UnauthenticatedError):
        reviewer.key(made.key_id, day=DAY)


def test_registrations_of_a_bank_wait_for_a_review_if_it_says_so(
    registry: RegistryWriter,
) -> None:
    registrar = Registrar(registry, PINS, Patient(PINS.verify), PEPPER)

    def states() -> list[ItemState]:
        """Register a picture, and return the states of its case."""
        receipt = registrar.register(request(item(90)), caller="k", now_s=0, day=DAY)
        record = registry.case(receipt.case_number)
        assert record is not None
        return [each.state for each in record.items]

    assert states() == [ItemState.LIVE]
    for bank in FIRST_BANKS:
        set_bank(registry, bank.name, BankPolicy(goes_live=False), act=ACT)
    assert states() == [ItemState.WAITING]


def test_the_test_bank_is_made_once_and_completed(registry: RegistryWriter) -> None:
    create_bank(registry, TEST_BANK, AS_IT_IS, act=ACT)  # as a crash leaves it
    banks = {create_test_bank(registry, AS_IT_IS, day=DAY, act=ACT) for _ in range(3)}
    (bank,) = banks
    assert registry.banks() == (*FIRST_BANKS, COMMON, bank)
    items = registry.items_for_review(ItemFilter(frozenset({bank.number})), 9).items
    assert {listed.item_id for listed in items} == EXAMPLE_IDS
    assert len(all_changes(registry)) == len(EXAMPLE_IDS)


def test_nothing_is_set_of_the_fixed_banks_and_no_new_key_gets_them_unnamed(
    registry: RegistryWriter,
) -> None:
    fixed = "the same on every server"
    with pytest.raises(InvalidRequestError, match=fixed):
        create_test_bank(registry, BankPolicy(1), day=DAY, act=ACT)
    bank = create_test_bank(registry, AS_IT_IS, day=DAY, act=ACT)
    for name in (TEST_BANK, COMMON.name):
        with pytest.raises(InvalidRequestError, match=fixed):
            set_bank(registry, name, BankPolicy(1), act=ACT)
    with pytest.raises(InvalidRequestError, match="no bank is named 'common'"):
        create_key(registry, "k", [Right.REVIEW], [COMMON.name], day=DAY, act=ACT)
    for names, numbers in (((), {1, 2}), ((TEST_BANK,), {bank.number})):
        key, _ = create_key(registry, "k", [Right.MATCH], names, day=DAY, act=ACT)
        assert key.banks == numbers
