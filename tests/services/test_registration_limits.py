"""What a registration may hold: items of a case, hashes of a moment, pictures registered again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from disrupt.core.cases import (
    AgeBand,
    CaseStatus,
)
from disrupt.core.changes import Addition, Cursor
from disrupt.core.media import MediaKind
from disrupt.core.registrations import (
    CaseAccess,
    MediaItem,
    Outcome,
    Receipt,
)
from disrupt.errors import (
    LimitExceededError,
    NotFoundError,
    QuotaExceededError,
)
from disrupt.registry.contract import Registered
from disrupt.registry.sql import SqlRegistryWriter
from disrupt.services.quotas import Quota
from disrupt.services.registration import Registrar, RegistrationLimits
from tests.services.patient import Patient
from tests.services.registrations import DAY, PEPPER, PIN, PINS, item, request, with_crops


@pytest.mark.parametrize(
    ("items", "limit"),
    [((item(90),) * 5, "4 items in one registration"), ((item(*[90] * 11),), "10 hashes of one")],
)
def test_caps_are_named(registrar: Registrar, items: tuple[MediaItem, ...], limit: str) -> None:
    with pytest.raises(LimitExceededError, match=limit):
        registrar.register(request(*items), caller="k", now_s=0, day=DAY)


def shown(*times_ms: tuple[int, int], equal: bool = False) -> MediaItem:
    """Return a video of hashes that are seen at these times."""
    array = item(*[90] * len(times_ms)).fingerprints
    if equal:
        array["hash"] = array["hash"][0]
    array["start_ms"], array["end_ms"] = np.array(times_ms).T
    return MediaItem(MediaKind.VIDEO, array)


def test_equal_hashes_of_one_moment_are_stored_once(
    registrar: Registrar, registry: SqlRegistryWriter
) -> None:
    still = shown((0, 4000), (2000, 9000), (9000, 9500), (60_000, 61_000), equal=True)
    asked = request(still, item(90, 90))
    receipt = registrar.register(asked, caller="k", now_s=0, day=DAY)
    assert [registered.hashes for registered in receipt.items] == [2, 2]
    assert registrar.register(asked, caller="k", now_s=0, day=DAY) == receipt, "a replay"
    stored = [
        change.item.fingerprints
        for change in registry.changes(Cursor(registry.head().epoch, 0), 10)[0]
        if isinstance(change, Addition)
    ]
    assert stored[0][["start_ms", "end_ms"]].tolist() == [(0, 9500), (60_000, 61_000)]


def test_a_moment_has_so_many_hashes_at_most(registry: SqlRegistryWriter) -> None:
    registrar = Registrar(
        registry,
        PINS,
        Patient(PINS.verify),
        PEPPER,
        RegistrationLimits(4, 10, 6, hashes_at_once=3),
    )
    later = [(at, at + 999) for at in range(0, 10_000, 1000)]
    for allowed in (item(90, 90, 90), item(90, 90, 90, 10), shown(*later), shown(*[(5, 5)] * 3)):
        assert registrar.register(request(allowed), caller="k", now_s=0, day=DAY).items
    before = registry.head()
    for refused in (
        item(90, 90, 90, 90),
        shown(*[(5, 5)] * 4),
        shown(*later[:7], (0, 5), (1, 3000), (2, 3)),
    ):
        with pytest.raises(LimitExceededError, match="3 hashes of a picture, or of one moment"):
            registrar.register(request(item(90), refused), caller="k", now_s=0, day=DAY)
    assert registry.head() == before


def test_a_case_has_room_for_so_many_items(registrar: Registrar) -> None:
    pictures = [item(90) for _ in range(7)]
    first = registrar.register(request(*pictures[:4]), caller="k", now_s=0, day=DAY)
    case = first.case_number
    with pytest.raises(LimitExceededError, match="6 items in one case"):
        registrar.register(request(*pictures[4:], case=case), caller="k", now_s=0, day=DAY)
    registrar.register(request(*pictures[3:6], case=case), caller="k", now_s=0, day=DAY)
    again = registrar.register(
        request(with_crops(pictures[0], 1), pictures[5], case=case), caller="k", now_s=0, day=DAY
    )
    assert outcomes(again) == [Outcome.RENEWED, Outcome.KEPT]
    assert len(registrar.show(CaseAccess(case, PIN), caller="k", now_s=0, day=DAY).items) == 6


def test_what_a_full_case_refuses_is_charged(registry: SqlRegistryWriter) -> None:
    limits = RegistrationLimits(9, 10, 6)
    registrar = Registrar(registry, PINS, Patient(PINS.verify), PEPPER, limits, Quota(9))
    case = registrar.register(request(item(90)), caller="k", now_s=0, day=DAY).case_number
    refused = request(*(item(90) for _ in range(6)), case=case)
    with pytest.raises(LimitExceededError, match="6 items in one case"):
        registrar.register(refused, caller="k", now_s=0, day=DAY)
    with pytest.raises(QuotaExceededError):
        registrar.register(refused, caller="k", now_s=0, day=DAY)


def outcomes(receipt: Receipt) -> list[Outcome]:
    return [registered.outcome for registered in receipt.items]


def test_a_picture_registered_again_is_in_its_case_once_under_the_age_said_last(
    registrar: Registrar,
) -> None:
    poor = item(90)
    rich = with_crops(poor, 3)
    first = registrar.register(request(poor, item(90)), caller="k", now_s=0, day=DAY)
    access = CaseAccess(first.case_number, PIN)

    def again(*pictures: MediaItem, age: AgeBand = AgeBand.UNSURE) -> Receipt:
        asked = request(*pictures, case=first.case_number, age=age)
        receipt = registrar.register(asked, caller="k", now_s=0, day=DAY)
        assert registrar.register(asked, caller="k", now_s=0, day=DAY) == receipt, "a replay"
        return receipt

    renewed = again(item(30), rich)
    assert [(at.index, at.hashes, at.outcome) for at in renewed.items] == [(1, 4, Outcome.RENEWED)]
    kept = again(poor, poor)
    assert outcomes(kept) == [Outcome.KEPT] * 2
    assert {named.item_id for named in kept.items} == {renewed.items[0].item_id}
    assert kept.cursor == renewed.cursor
    grown = again(poor, age=AgeBand.ADULT)
    assert [(at.hashes, at.outcome) for at in grown.items] == [(4, Outcome.RENEWED)]
    shown = registrar.show(access, caller="k", now_s=0, day=DAY)
    assert shown.status == CaseStatus.ACTIVE
    assert [(at.item_id, at.hashes, at.age_band) for at in shown.items] == [
        (first.items[1].item_id, 1, AgeBand.MINOR),
        (grown.items[0].item_id, 4, AgeBand.ADULT),
    ]


@pytest.mark.slow
def test_additions_at_one_time_share_that_room(
    registrar: Registrar, registry: SqlRegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = registry.register

    def store_late(*args: Any, **kwargs: Any) -> Registered:
        time.sleep(0.5)
        return store(*args, **kwargs)

    monkeypatch.setattr(registry, "register", store_late)
    case = registrar.register(request(item(90)), caller="k", now_s=0, day=DAY).case_number
    together = Barrier(8)

    def add(at: int) -> bool:
        asked = request(item(90), item(90), case=case)
        together.wait()
        try:
            registrar.register(asked, caller=f"k{at}", now_s=0, day=DAY)
        except LimitExceededError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(add, range(8))) == 2
    assert len(registrar.show(CaseAccess(case, PIN), caller="k", now_s=0, day=DAY).items) == 5


def test_a_withdrawal_names_no_more_items_than_a_case_has(registrar: Registrar) -> None:
    case = registrar.register(request(item(90)), caller="k", now_s=0, day=DAY).case_number
    ids = tuple(number.to_bytes(16) for number in range(7))
    with pytest.raises(LimitExceededError, match="6 items in one withdrawal"):
        registrar.withdraw(CaseAccess(case, PIN), ids, caller="k", now_s=0, day=DAY)
    with pytest.raises(NotFoundError):
        registrar.withdraw(CaseAccess(case, PIN), ids[:6], caller="k", now_s=0, day=DAY)
