"""The use cases of registrations on a real registry."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from disrupt.core.acts import Act, Action
from disrupt.core.cases import (
    AgeBand,
    CaseStatus,
    case_number,
    new_case_number,
    parse_case_number,
)
from disrupt.core.changes import Addition, Cursor
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, OutcomeReport
from disrupt.core.plausibility import PICTURE_HASHES
from disrupt.core.policy import ADULTS, MINORS
from disrupt.core.registrations import (
    CaseAccess,
    MediaItem,
    Outcome,
    Receipt,
    RegistrationRequest,
    ShownState,
)
from disrupt.core.states import ItemState, WaitReason
from disrupt.errors import (
    CaseClosedError,
    CaseRefusedError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    RequestIdReusedError,
)
from disrupt.registry import sqlite
from disrupt.registry.records import Registered
from disrupt.registry.registry import RegistryWriter
from disrupt.services.live_limits import LiveLimits
from disrupt.services.pins import Pins
from disrupt.services.proofs_of_work import ProofsOfWork
from disrupt.services.registration import Registrar, RegistrationLimits
from disrupt.services.throttle import REFUSED_AFTER_S, Asked, NotYetError, Throttle
from rig.media.registrations import ensure_key
from tests.services.patient import Patient
from tests.services.solving import solved

DAY = "2026-11-25"
PIN = "123456789012"
PEPPER = b"p" * 32
PINS = Pins(PEPPER)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryWriter]:
    with ExitStack() as stack:
        yield stack.enter_context(sqlite.open_writer(tmp_path / "registry.db"))


@pytest.fixture
def registrar(registry: RegistryWriter) -> Registrar:
    return Registrar(registry, PINS, Patient(PINS.verify), PEPPER, RegistrationLimits(4, 10, 6))


def item(*qualities: int) -> MediaItem:
    """Return a picture: a hash of the whole, and then of crops."""
    array = np.zeros(len(qualities), FINGERPRINT)
    array["plan"][1:], array["ordinal"][1:] = 1, range(len(qualities) - 1)
    array["quality"] = qualities
    array["profile"] = 1
    array["hash"] = np.frombuffer(secrets.token_bytes(32 * len(qualities)), np.uint8).reshape(
        -1, 32
    )
    return MediaItem(MediaKind.IMAGE, array)


def request(
    *items: MediaItem, case: str = "", pin: str = PIN, age: AgeBand = AgeBand.UNSURE
) -> RegistrationRequest:
    return RegistrationRequest(
        secrets.token_bytes(16), CaseAccess(case, pin), age, items or (item(90),)
    )


def test_a_registration_opens_an_active_case_of_the_minors_bank_when_unsure(
    registrar: Registrar, registry: RegistryWriter
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
    registrar: Registrar, registry: RegistryWriter
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


def test_the_person_sees_a_day_late_what_platforms_blocked_or_left_up(
    registrar: Registrar, registry: RegistryWriter
) -> None:
    receipt = registrar.register(request(item(90), item(90)), caller="k", now_s=0, day=DAY)
    access = CaseAccess(receipt.case_number, PIN)
    first, second = (registered.item_id for registered in receipt.items)

    def shown(day: str) -> list[tuple[str, str]]:
        items = registrar.show(access, caller="k", now_s=0, day=day).items
        return [(each.blocked_on, each.left_up_on) for each in items]

    def report(item_id: bytes, organisation: str, outcome: MatchOutcome, day: str = DAY) -> None:
        ensure_key(registry, organisation)
        versions = (MatchedVersion(0, 0, 9),)
        said = OutcomeReport(item_id, organisation, outcome, b"a match", versions)
        registry.report(said, day=day)

    report(first, "a", MatchOutcome.BLOCKED)
    report(first, "b", MatchOutcome.NOT_BLOCKED)
    report(second, "a", MatchOutcome.PENDING_REVIEW)
    report(second, "b", MatchOutcome.FALSE_POSITIVE)
    assert shown(DAY) == [("", ""), ("", "")]
    assert shown("2026-11-26") == [(DAY, DAY), ("", "")]
    report(first, "a", MatchOutcome.FALSE_POSITIVE, "2026-11-26")
    assert shown("2026-11-26") == [(DAY, DAY), ("", "")]
    assert shown("2026-11-27") == [("", DAY), ("", "")]
    left, _ = registrar.withdraw(access, (second,), caller="k", now_s=0, day="2026-11-27")
    assert [each.left_up_on for each in left.items] == [DAY]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ItemState.LIVE, ShownState.LIVE),
        (ItemState.ENABLED, ShownState.LIVE),
        (ItemState.WAITING, ShownState.WAITING),
        (ItemState.DISABLED, ShownState.OFF),
        (ItemState.REJECTED, ShownState.OFF),
    ],
)
def test_the_person_sees_whether_an_item_matches(
    registrar: Registrar, registry: RegistryWriter, state: ItemState, expected: ShownState
) -> None:
    receipt = registrar.register(request(item(90)), caller="k", now_s=0, day=DAY)
    access = CaseAccess(receipt.case_number, PIN)
    act = Act("0a1b2c3d", "hotline", Action.DISABLE, 1_795_000_000)
    registry.set_states([receipt.items[0].item_id], state, act)
    (shown,) = registrar.show(access, caller="k", now_s=0, day=DAY).items
    assert shown.state == expected


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
    registrar: Registrar, registry: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = registrar.register(request(), caller="k", now_s=0, day=DAY).case_number
    before = registry.head(), registry.case(case)
    monkeypatch.setattr("disrupt.services.registration.new_case_number", lambda _request_id: case)
    checks = count_checks(registrar, monkeypatch)
    answers = []
    for pin in ("210987654321", PIN):
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
    registrar: Registrar, registry: RegistryWriter
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
    registrar: Registrar, registry: RegistryWriter
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
    registrar: Registrar, registry: RegistryWriter
) -> None:
    first = request(item(90), item(10))
    receipt = registrar.register(first, caller="k", now_s=0, day=DAY)
    before = registry.head()
    assert registrar.register(first, caller="other", now_s=0, day=DAY) == receipt
    for changed in (
        replace(first, access=replace(first.access, pin="210987654321")),
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
        assert shown.withdrawn_numbers == (added.items[0].number,)
    with pytest.raises(NotFoundError):
        registrar.withdraw(access, (bytes(16),), caller="k", now_s=0, day=DAY)
    for _ in range(2):
        shown, _ = registrar.withdraw(access, None, caller="k", now_s=0, day=DAY)
        assert (shown.items, shown.status, shown.closed_on) == ((), CaseStatus.WITHDRAWN, DAY)
    with pytest.raises(CaseClosedError):
        registrar.register(request(case=case), caller="k", now_s=0, day=DAY)


def test_an_unknown_case_and_a_wrong_pin_get_one_and_the_same_answer_after_the_same_time(
    registry: RegistryWriter,
) -> None:
    registrar = Registrar(registry, PINS, Throttle(PINS.verify), PEPPER)
    case = registrar.register(request(), caller="k", now_s=0, day=DAY).case_number
    answers = []
    for caller, number in (("k", case), ("l", case_number(12345))):
        access = CaseAccess(number, "000000000000")
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
    registry: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrar = Registrar(registry, PINS, Throttle(PINS.verify), PEPPER)
    first = request()
    receipt = registrar.register(first, caller="k", now_s=0, day=DAY)
    checks = count_checks(registrar, monkeypatch)
    wrong = replace(first, access=replace(first.access, pin="210987654321"))
    changed = replace(first, items=(item(90),))
    for asked in (first, wrong, changed):
        with pytest.raises(NotYetError):
            registrar.register(asked, caller=asked.access.pin, now_s=0, day=DAY)
    assert checks == [receipt.case_number] * 3
    registrar.throttle.work(lambda: 0)
    assert registrar.register(first, caller=PIN, now_s=0.1, day=DAY) == receipt
    with pytest.raises(NotYetError):
        registrar.register(wrong, caller="210987654321", now_s=0.1, day=DAY)
    with pytest.raises(RequestIdReusedError):
        registrar.register(wrong, caller="210987654321", now_s=REFUSED_AFTER_S, day=DAY)
    # The answer before used the check up.
    with pytest.raises(NotYetError):
        registrar.register(changed, caller=PIN, now_s=4, day=DAY)
    registrar.throttle.work(lambda: 4)
    with pytest.raises(RequestIdReusedError):
        registrar.register(changed, caller=PIN, now_s=4, day=DAY)


def test_a_registration_that_comes_with_another_pin_while_the_first_is_stored_is_refused(
    registrar: Registrar, registry: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = request()
    late = replace(first, access=replace(first.access, pin="210987654321"))
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
    registrar: Registrar, registry: RegistryWriter
) -> None:
    asked = request()
    digests = set()
    for pin in (PIN, "210987654321"):
        again = replace(
            asked, request_id=secrets.token_bytes(16), access=replace(asked.access, pin=pin)
        )
        registrar.register(again, caller="k", now_s=0, day=DAY)
        stored = registry.registered(again.request_id)
        assert stored is not None
        digests.add(stored[0])
    assert len(digests) == 1


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
    array["plan"] = array["ordinal"] = 0
    if equal:
        array["hash"] = array["hash"][0]
    array["start_ms"], array["end_ms"] = np.array(times_ms).T
    return MediaItem(MediaKind.VIDEO, array)


def test_equal_hashes_of_one_moment_are_stored_once(
    registrar: Registrar, registry: RegistryWriter
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


def test_what_has_not_the_shape_of_a_picture_or_video_is_refused_whole(
    registrar: Registrar, registry: RegistryWriter
) -> None:
    twice = item(90, 90).fingerprints
    twice["plan"] = twice["ordinal"] = 0
    misfit = MediaItem(MediaKind.IMAGE, twice)
    before = registry.head()
    for refused in (misfit, shown(*[(5, 5)] * 3)):
        with pytest.raises(InvalidRequestError) as caught:
            registrar.register(request(item(90), refused), caller="k", now_s=0, day=DAY)
        assert [each.field for each in caught.value.violations] == ["items[1].fingerprints"]
    assert registry.head() == before
    twice["quality"][1] = 10
    equal = item(90, 90).fingerprints
    equal[:] = equal[0]
    for stored_in_part in (misfit, MediaItem(MediaKind.IMAGE, equal)):
        receipt = registrar.register(request(stored_in_part), caller="k", now_s=0, day=DAY)
        assert [registered.hashes for registered in receipt.items] == [1]


def test_a_challenge_is_for_networks_without_room_and_its_proof_pays_for_what_waits(
    registry: RegistryWriter,
) -> None:
    live = LiveLimits(pictures_per_key=3)
    proofs = ProofsOfWork(attempts=2)
    registrar = Registrar(registry, PINS, Patient(PINS.verify), PEPPER, live=live, proofs=proofs)

    def challenge(pictures: int) -> str:
        return registrar.challenge(b"", (), pictures, caller="k", at_s=time.time(), day=DAY)

    def paid(asked: RegistrationRequest) -> float:
        purse = proofs.purse(asked.proof_of_work, "k", b"", at_s=time.time())
        before = purse.left
        receipt = registrar.register(asked, caller="k", now_s=0, day=DAY)
        assert registrar.register(asked, caller="k", now_s=0, day=DAY) == receipt, "a replay"
        return before - purse.left

    assert challenge(3) == ""
    proof = solved(challenge(4))
    first = replace(request(item(90), item(90)), proof_of_work=proof)
    assert paid(first) == 0, "they are live at once"
    pictures = [item(90) for _ in range(6)]
    assert paid(replace(request(*pictures[:3]), proof_of_work=proof)) == 2
    assert paid(replace(request(*pictures[3:]), proof_of_work=proof)) == 2
    assert paid(replace(request(item(90)), proof_of_work=proof)) == 0
    with pytest.raises(LimitExceededError):
        challenge(65)


def test_what_is_beyond_a_limit_or_unlike_a_picture_is_registered_and_waits(
    registry: RegistryWriter,
) -> None:
    live = LiveLimits(pictures_per_key=3, pictures_per_origin=3)
    registrar = Registrar(registry, PINS, Patient(PINS.verify), PEPPER, live=live)
    unlike = item(90, 90)
    unlike.fingerprints["plan"], unlike.fingerprints["profile"] = 0, [1, 2]
    limit, unlike_a_picture = WaitReason.LIMIT, WaitReason.UNLIKE_A_PICTURE

    def register(*items: MediaItem, case: str = "", caller: str = "k") -> Receipt:
        asked = request(*items, case=case)
        receipt = registrar.register(asked, caller=caller, now_s=0, day=DAY)
        assert registrar.register(asked, caller=caller, now_s=0, day=DAY) == receipt, "a replay"
        return receipt

    def reasons(receipt: Receipt) -> list[WaitReason | None]:
        return [each.wait_reason for each in receipt.items]

    first, case = register(item(90), unlike, item(90)), ""
    assert reasons(first) == [None, unlike_a_picture, None]
    case = first.case_number
    assert reasons(register(item(90), item(90), case=case)) == [None, limit]
    assert reasons(register(item(90), caller="other")) == [None]
    shown = registrar.show(CaseAccess(case, PIN), caller="k", now_s=0, day=DAY)
    assert [(each.state, each.wait_reason) for each in shown.items] == [
        (ShownState.LIVE, None),
        (ShownState.WAITING, unlike_a_picture),
        (ShownState.LIVE, None),
        (ShownState.LIVE, None),
        (ShownState.WAITING, limit),
    ]
    (kept,) = register(unlike, case=case).items
    assert (kept.outcome, kept.state, kept.wait_reason) == (
        *(Outcome.KEPT, ShownState.WAITING, unlike_a_picture),
    )
    tall = (MediaItem(MediaKind.VIDEO, frames(3 * PICTURE_HASHES + 1)), item(90))
    assert reasons(register(*tall, caller="third")) == [limit, None], "a video is many pictures"


def test_a_renewal_is_charged_for_what_it_brings_and_hides_nothing(
    registry: RegistryWriter,
) -> None:
    live = LiveLimits(pictures_per_key=2)
    registrar = Registrar(registry, PINS, Patient(PINS.verify), PEPPER, live=live)
    picture, other = item(90), item(90)
    first = registrar.register(request(picture), caller="k", now_s=0, day=DAY)
    case = first.case_number

    def again(*items: MediaItem, age: AgeBand = AgeBand.UNSURE) -> Receipt:
        return registrar.register(request(*items, case=case, age=age), caller="k", now_s=0, day=DAY)

    assert outcomes(again(picture)) == [Outcome.KEPT]
    assert live.left("k", (), DAY) == 1
    act = Act("key", "hotline", Action.ENABLE, 1)
    registry.set_states([first.items[0].item_id], ItemState.ENABLED, act)
    assert outcomes(again(with_crops(picture, 2))) == [Outcome.RENEWED]
    assert live.left("k", (), DAY) == 0
    richer = again(with_crops(picture, 5), other)
    assert [(each.outcome, each.hashes) for each in richer.items] == [
        (Outcome.KEPT, 3),
        (Outcome.ADDED, 1),
    ]
    moved = again(with_crops(picture, 5), age=AgeBand.ADULT)
    assert [(each.outcome, each.hashes) for each in moved.items] == [(Outcome.RENEWED, 3)]
    record = registry.case(case)
    assert record is not None
    assert [(each.state, each.bank) for each in record.items] == [
        (ItemState.LIVE, ADULTS.number),
        (ItemState.WAITING, MINORS.number),
    ], "enabled were other hashes"


def frames(count: int) -> NDArray[np.void]:
    """Return the hashes of a video, one each 250 ms."""
    array = item(*[90] * count).fingerprints
    array["plan"] = array["ordinal"] = 0
    array["start_ms"] = 250 * np.arange(count)
    array["end_ms"] = array["start_ms"] + 250
    return array


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


def with_crops(picture: MediaItem, crops: int) -> MediaItem:
    """Return the picture with hashes of plan 1."""
    more = item(*[90] * crops).fingerprints
    more["plan"], more["ordinal"] = 1, range(20, 20 + crops)
    return MediaItem(picture.kind, np.concatenate([picture.fingerprints, more]))


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
    assert outcomes(again(poor)) == [Outcome.KEPT], "without an age its bank is kept"
    grown = again(with_crops(poor, 5))
    assert outcomes(grown) == [Outcome.RENEWED]
    shown = registrar.show(access, caller="k", now_s=0, day=DAY)
    assert shown.status == CaseStatus.ACTIVE
    assert [(at.item_id, at.hashes, at.age_band) for at in shown.items] == [
        (grown.items[0].item_id, 6, AgeBand.ADULT),
        (first.items[1].item_id, 1, AgeBand.MINOR),
    ]
    assert [at.number for at in shown.items] == [1, 2], "in the order of first registration"


def test_additions_at_one_time_share_that_room(
    registrar: Registrar, registry: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = registry.register

    def store_late(*args: Any, **kwargs: Any) -> Registered:
        time.sleep(0.02)  # so that all eight are under way
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
