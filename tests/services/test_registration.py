"""The use cases of registrations on a real registry."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest

from disrupt.core.cases import (
    AgeBand,
    CaseStatus,
    case_number,
    new_case_number,
    parse_case_number,
)
from disrupt.core.policy import ADULTS, MINORS, BankPolicy
from disrupt.core.registrations import (
    CaseAccess,
    Receipt,
)
from disrupt.errors import (
    CaseClosedError,
    CaseRefusedError,
    NotFoundError,
    RequestIdReusedError,
)
from disrupt.registry.sql import SqlRegistryWriter
from disrupt.services.registration import Registrar
from disrupt.services.throttle import REFUSED_AFTER_S, Asked, NotYetError, Throttle
from tests.registry.examples import ACT
from tests.services.registrations import DAY, PEPPER, PIN, PINS, item, request


def test_a_registration_opens_an_active_case_of_the_minors_bank_when_unsure(
    registrar: Registrar, registry: SqlRegistryWriter
) -> None:
    receipt = registrar.register(request(item(90, 40), item(80)), caller="k", now_s=0, day=DAY)
    assert parse_case_number(receipt.case_number) == receipt.case_number
    assert receipt.status == CaseStatus.ACTIVE
    assert [(registered.index, registered.hashes) for registered in receipt.items] == [
        (0, 1),
        (1, 1),
    ]
    assert receipt.cursor == registry.head()
    record = registry.case(receipt.case_number)
    assert record is not None
    assert {recorded.bank for recorded in record.items} == {MINORS.number}
    assert PIN not in record.pin_hash


def test_the_age_of_each_registration_decides_the_bank_of_its_items(
    registrar: Registrar, registry: SqlRegistryWriter
) -> None:
    ages = (AgeBand.ADULT, AgeBand.MINOR, AgeBand.UNSURE, AgeBand.ADULT)
    case = ""
    for age in ages:
        asked = request(case=case, age=age)
        case = registrar.register(asked, caller="k", now_s=0, day=DAY).case_number
    record = registry.case(case)
    assert record is not None
    expected = [ADULTS.number, MINORS.number, MINORS.number, ADULTS.number]
    assert [recorded.bank for recorded in record.items] == expected
    shown = registrar.show(CaseAccess(case, PIN), caller="k", now_s=0, day=DAY)
    assert [shown_item.age_band for shown_item in shown.items] == [
        AgeBand.ADULT,
        AgeBand.MINOR,
        AgeBand.MINOR,
        AgeBand.ADULT,
    ]


def test_a_person_who_said_adult_is_not_shown_as_a_minor_in_a_bank_that_operators_made(
    registrar: Registrar, registry: SqlRegistryWriter
) -> None:
    receipt = registrar.register(request(age=AgeBand.ADULT), caller="k", now_s=0, day=DAY)
    bank = registry.add_bank("partners", BankPolicy(), act=ACT)
    item_ids = [item.item_id for item in receipt.items]
    registry.move_items(item_ids, bank.number, act=ACT)
    shown = registrar.show(CaseAccess(receipt.case_number, PIN), caller="k", now_s=0, day=DAY)
    assert [shown_item.age_band for shown_item in shown.items] == [AgeBand.UNSURE]


def test_a_new_case_has_the_number_that_follows_from_its_request_id(
    registrar: Registrar,
) -> None:
    asked = request()
    receipt = registrar.register(asked, caller="k", now_s=0, day=DAY)
    assert receipt.case_number == new_case_number(asked.request_id)
    # A request that registered nothing does not use up its id: the next one opens that case.
    rejected = request(item(10))
    assert registrar.register(rejected, caller="k", now_s=0, day=DAY).case_number == ""
    later = replace(request(), request_id=rejected.request_id)
    opened = registrar.register(later, caller="k", now_s=0, day=DAY)
    assert opened.case_number == new_case_number(rejected.request_id)


def test_a_request_id_ground_to_lead_to_a_known_case_opens_nothing_and_counts_as_a_wrong_pin(
    registrar: Registrar, registry: SqlRegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = registrar.register(request(), caller="k", now_s=0, day=DAY).case_number
    before = registry.head(), registry.case(case)
    monkeypatch.setattr("disrupt.services.registration.new_case_number", lambda _request_id: case)
    checks = count_checks(registrar, monkeypatch)
    answers = []
    for pin in ("87654321", PIN):
        with pytest.raises(RequestIdReusedError) as refused:
            registrar.register(request(pin=pin), caller="other", now_s=0, day=DAY)
        answers.append(refused.value.message)
    assert len(checks) == 2
    assert (registry.head(), registry.case(case)) == before
    used = request()
    monkeypatch.undo()
    registrar.register(used, caller="k", now_s=0, day=DAY)
    with pytest.raises(RequestIdReusedError) as refused:
        registrar.register(
            replace(request(), request_id=used.request_id), caller="k", now_s=0, day=DAY
        )
    assert answers == [refused.value.message] * 2


def test_attempts_of_one_registration_at_one_time_get_one_answer(
    registrar: Registrar, registry: SqlRegistryWriter
) -> None:
    asked = request()
    together = Barrier(4)

    def attempt(_: int) -> Receipt:
        together.wait()
        return registrar.register(asked, caller="k", now_s=0, day=DAY)

    with ThreadPoolExecutor(4) as threads:
        receipts = list(threads.map(attempt, range(4)))
    assert receipts.count(receipts[0]) == 4
    assert registry.head().sequence == 1


def test_featureless_items_are_rejected_by_place_and_score(
    registrar: Registrar, registry: SqlRegistryWriter
) -> None:
    mixed = registrar.register(request(item(10, 49), item(50)), caller="k", now_s=0, day=DAY)
    assert [(rejection.index, rejection.low_quality.quality) for rejection in mixed.rejected] == [
        (0, 49)
    ]
    assert [registered.index for registered in mixed.items] == [1]
    before = registry.head()
    nothing = registrar.register(request(item(49)), caller="k", now_s=0, day=DAY)
    assert (nothing.case_number, nothing.status, nothing.items) == ("", None, ())
    assert registry.head() == before


def test_the_same_request_replays_and_any_other_under_its_id_is_refused(
    registrar: Registrar, registry: SqlRegistryWriter
) -> None:
    first = request(item(90), item(10))
    receipt = registrar.register(first, caller="k", now_s=0, day=DAY)
    before = registry.head()
    assert registrar.register(first, caller="other", now_s=0, day=DAY) == receipt
    for changed in (
        replace(first, access=replace(first.access, pin="87654321")),
        replace(first, age_band=AgeBand.ADULT),
        replace(first, items=first.items[:1]),
        replace(first, items=(item(90), first.items[1])),
        replace(first, access=replace(first.access, case_number=receipt.case_number)),
    ):
        with pytest.raises(RequestIdReusedError):
            registrar.register(changed, caller="k", now_s=0, day=DAY)
    assert registry.head() == before


def test_items_are_added_and_withdrawn_with_number_and_pin(registrar: Registrar) -> None:
    case = registrar.register(request(), caller="k", now_s=0, day=DAY).case_number
    added = registrar.register(request(case=case), caller="k", now_s=0, day=DAY)
    access = CaseAccess(case, PIN)
    assert len(registrar.show(access, caller="k", now_s=0, day=DAY).items) == 2
    gone = (added.items[0].item_id,)
    for _ in range(2):  # repeating it is safe
        shown, _ = registrar.withdraw(access, gone, caller="k", now_s=0, day=DAY)
        assert (len(shown.items), shown.status) == (1, CaseStatus.ACTIVE)
    with pytest.raises(NotFoundError):
        registrar.withdraw(access, (bytes(16),), caller="k", now_s=0, day=DAY)
    for _ in range(2):
        shown, _ = registrar.withdraw(access, None, caller="k", now_s=0, day=DAY)
        assert (shown.items, shown.status, shown.closed_on) == ((), CaseStatus.WITHDRAWN, DAY)
    with pytest.raises(CaseClosedError):
        registrar.register(request(case=case), caller="k", now_s=0, day=DAY)


def test_an_unknown_case_and_a_wrong_pin_get_one_and_the_same_answer_after_the_same_time(
    registry: SqlRegistryWriter,
) -> None:
    registrar = Registrar(registry, PINS, Throttle(PINS.verify), PEPPER)
    case = registrar.register(request(), caller="k", now_s=0, day=DAY).case_number
    answers = []
    for caller, number in (("k", case), ("l", case_number(12345))):
        access = CaseAccess(number, "00000000")
        with pytest.raises(NotYetError) as early:
            registrar.show(access, caller=caller, now_s=0, day=DAY)
        registrar.throttle.work(lambda: 0)
        with pytest.raises(NotYetError) as later:
            registrar.show(access, caller=caller, now_s=REFUSED_AFTER_S - 0.1, day=DAY)
        with pytest.raises(CaseRefusedError) as refused:
            registrar.show(access, caller=caller, now_s=REFUSED_AFTER_S, day=DAY)
        waits = (early.value.wait_s, round(later.value.wait_s, 3))
        answers.append((waits, refused.value.message, refused.value.metadata))
    assert answers[0] == answers[1]
    assert answers[0][0] == (1.0, 0.1)


def count_checks(registrar: Registrar, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the case number of every PIN check is added."""
    checks: list[str] = []
    ask = registrar.throttle.ask

    def ask_counting(asked: Asked, pin_hash: str | None, now_s: float) -> bool:
        checks.append(asked.case_number)
        return ask(asked, pin_hash, now_s)

    monkeypatch.setattr(registrar.throttle, "ask", ask_counting)
    return checks


def test_a_replay_is_an_attempt_like_others_whatever_its_pin_and_content(
    registry: SqlRegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrar = Registrar(registry, PINS, Throttle(PINS.verify), PEPPER)
    first = request()
    receipt = registrar.register(first, caller="k", now_s=0, day=DAY)
    checks = count_checks(registrar, monkeypatch)
    wrong = replace(first, access=replace(first.access, pin="87654321"))
    changed = replace(first, items=(item(90),))
    for asked in (first, wrong, changed):
        with pytest.raises(NotYetError):
            registrar.register(asked, caller=asked.access.pin, now_s=0, day=DAY)
    assert checks == [receipt.case_number] * 3
    registrar.throttle.work(lambda: 0)
    assert registrar.register(first, caller=PIN, now_s=0.1, day=DAY) == receipt
    with pytest.raises(NotYetError):
        registrar.register(wrong, caller="87654321", now_s=0.1, day=DAY)
    with pytest.raises(RequestIdReusedError):
        registrar.register(wrong, caller="87654321", now_s=REFUSED_AFTER_S, day=DAY)
    # The answer before used the check up.
    with pytest.raises(NotYetError):
        registrar.register(changed, caller=PIN, now_s=4, day=DAY)
    registrar.throttle.work(lambda: 4)
    with pytest.raises(RequestIdReusedError):
        registrar.register(changed, caller=PIN, now_s=4, day=DAY)


def test_a_registration_that_comes_with_another_pin_while_the_first_is_stored_is_refused(
    registrar: Registrar, registry: SqlRegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = request()
    late = replace(first, access=replace(first.access, pin="87654321"))
    hash_pin = PINS.hash

    def hash_late(pin: str) -> str:
        if pin == late.access.pin:
            registrar.register(first, caller="k", now_s=0, day=DAY)
        return hash_pin(pin)

    monkeypatch.setattr(PINS, "hash", hash_late)
    checks = count_checks(registrar, monkeypatch)
    with pytest.raises(RequestIdReusedError):
        registrar.register(late, caller="g", now_s=0, day=DAY)
    assert checks
    assert registry.head().sequence == 1


def test_what_is_stored_of_a_request_does_not_depend_on_its_pin(
    registrar: Registrar, registry: SqlRegistryWriter
) -> None:
    asked = request()
    digests = set()
    for pin in (PIN, "87654321", "123456789012"):
        again = replace(
            asked, request_id=secrets.token_bytes(16), access=replace(asked.access, pin=pin)
        )
        registrar.register(again, caller="k", now_s=0, day=DAY)
        stored = registry.registered(again.request_id)
        assert stored is not None
        digests.add(stored[0])
    assert len(digests) == 1
