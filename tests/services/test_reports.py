"""Reports of matches on a real registry, against a plain list of what was reported."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.core.cases import AgeBand
from disrupt.core.media import ItemState, MediaKind, StateReason
from disrupt.core.outcomes import Outcome
from disrupt.core.policy import ADULTS, ApiKey, Right
from disrupt.core.registrations import CaseAccess, MediaItem, Receipt, RegistrationRequest
from disrupt.errors import DisruptError, InvalidRequestError, LimitExceededError, NotFoundError
from disrupt.registry.contract import NewCase, Registration
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from disrupt.services import reports
from disrupt.services.pins import Pins
from disrupt.services.registration import Registrar
from disrupt.services.reports import Reports
from disrupt.services.tokens import MatchTokens
from tests.properties import FEW
from tests.registry.examples import ACT, DAY, NEXT_DAY, item_of, new_case, new_item, registration
from tests.services.patient import Patient

TOKENS = MatchTokens(b"s" * 32)
ORGANISATIONS = {"0000000a": "North", "0000000b": "South", "0000000c": "North"}
KEYS = tuple(ORGANISATIONS)
PER_ITEM = 2
PEPPER = b"p" * 32
PIN = "12345678"


@contextmanager
def opened() -> Iterator[SqlRegistryWriter]:
    with (
        tempfile.TemporaryDirectory() as directory,
        SqlRegistry.open_writer(Path(directory) / "registry.db") as writer,
    ):
        for key_id, organisation in ORGANISATIONS.items():
            rights, banks = frozenset([Right.MATCH]), frozenset([ADULTS.number])
            secret = key_id.encode() * 4
            key = ApiKey(key_id, key_id, secret, rights, banks, DAY, organisation=organisation)
            writer.add_key(key, act=ACT)
        yield writer


def match_id(item_id: bytes, key: str = KEYS[0]) -> bytes:
    (sealed,) = TOKENS.seal([item_id], [3], key, 1_800_000_000)
    return sealed


def two_items(writer: SqlRegistryWriter) -> tuple[str, list[bytes]]:
    chance = random.Random(7)
    request = registration(chance, None, new_item(chance), new_item(chance))
    number = writer.register(request, day=DAY).case_number
    return number, [item.item_id for item in request.items]


@dataclass(frozen=True)
class Step:
    """A report of one of a few matches by a key, or the withdrawal of an item (no outcome)."""

    item: int
    of: str
    match: int
    by: str
    outcome: Outcome | None
    days: int


STEPS = st.lists(
    st.builds(
        Step,
        st.integers(0, 1),
        st.sampled_from(KEYS),
        st.integers(0, 2),
        st.sampled_from(KEYS),
        st.sampled_from([*Outcome, *Outcome, *Outcome, None]),
        st.integers(0, 1),
    ),
    max_size=30,
)


@settings(max_examples=FEW)
@given(STEPS)
def test_what_is_recorded_is_the_last_report_of_each_match(steps: list[Step]) -> None:
    with opened() as writer, patch.object(reports, "REPORTS_PER_ITEM", PER_ITEM):
        number, item_ids = two_items(writer)
        use_case = Reports(writer, TOKENS)
        ids = {
            (item, key, match): match_id(item_ids[item], key)
            for item in range(2)
            for key in KEYS
            for match in range(3)
        }
        history: list[tuple[int, Step]] = []
        withdrawn = set[int]()
        today = 0
        for step in steps:
            today += step.days
            if step.outcome is None:
                writer.withdraw(number, [item_ids[step.item]], day=day_of(today))
                withdrawn.add(step.item)
                continue
            reporter = ORGANISATIONS[step.by]
            known = {
                (past.of, past.match)
                for _, past in history
                if (past.item, ORGANISATIONS[past.by]) == (step.item, reporter)
            }
            expected: type[DisruptError] | None = None
            if ORGANISATIONS[step.of] != reporter:
                expected = InvalidRequestError
            elif step.item in withdrawn:
                expected = NotFoundError
            elif (step.of, step.match) not in known and len(known) == PER_ITEM:
                expected = LimitExceededError
            with pytest.raises(expected) if expected else nullcontext():
                use_case.report(
                    ids[step.item, step.of, step.match],
                    step.outcome,
                    caller=step.by,
                    day=day_of(today),
                    at_s=0,
                )
            if expected is None:
                history.append((today, step))
            for before in (today, today + 1):
                last = {
                    (past.item, past.of, past.match): past.outcome
                    for reported, past in history
                    if reported < before and past.item not in withdrawn
                }
                assert writer.outcomes(number, before=day_of(before)) == {
                    item_ids[item]: {out for (of, *_), out in last.items() if of == item}
                    for item, *_ in last
                }


def day_of(number: int) -> str:
    return (date.fromisoformat(DAY) + timedelta(days=number)).isoformat()


def test_forged_altered_and_foreign_match_ids_are_refused_alike() -> None:
    with opened() as writer:
        number, (item_id, gone) = two_items(writer)
        writer.withdraw(number, [gone], day=DAY)
        own = match_id(item_id)
        forged = [
            b"",
            bytes(len(own)),
            own[:-1] + bytes([own[-1] ^ 1]),
            own + b"\0",
            match_id(item_id, KEYS[1]),
            match_id(gone, KEYS[1]),
            match_id(bytes(16), KEYS[1]),
            MatchTokens(b"t" * 32).seal([item_id], [3], KEYS[0], 1_800_000_000)[0],
        ]
        refusals = set()
        for value in forged:
            with pytest.raises(InvalidRequestError) as refused:
                Reports(writer, TOKENS).report(
                    value, Outcome.BLOCKED, caller=KEYS[0], day=DAY, at_s=0
                )
            refusals.add((refused.value.message, refused.value.violations))
        assert len(refusals) == 1
        assert writer.outcomes(number, before=NEXT_DAY) == {}


def test_the_registry_keeps_item_reporter_digest_outcome_day_and_if_it_counts_alone() -> None:
    with opened() as writer:
        _, (item_id, _) = two_items(writer)
        own = match_id(item_id)
        Reports(writer, TOKENS).report(own, Outcome.BLOCKED, caller=KEYS[0], day=DAY, at_s=0)
        with writer._reader.begin() as connection:
            (row,) = connection.exec_driver_sql("SELECT * FROM outcomes").all()
        item, reporter, digest, *rest = row
        assert (item, reporter) == (1, ORGANISATIONS[KEYS[0]])
        assert rest == [Outcome.BLOCKED, DAY, None, False]
        assert (len(digest), digest in own) == (16, False)


def test_the_person_sees_blocked_and_not_blocked_a_day_late_and_nothing_else() -> None:
    with opened() as writer:
        pins = Pins(PEPPER)
        chance = random.Random(8)
        case = NewCase(new_case(chance).number, pins.hash(PIN))
        items = [new_item(chance) for _ in range(3)]
        request: Registration = registration(chance, case, *items)
        writer.register(request, day=DAY)
        registrar = Registrar(writer, pins, Patient(pins.verify), PEPPER)
        seen_of = {
            0: [Outcome.PENDING_REVIEW, Outcome.FALSE_POSITIVE],
            1: [Outcome.NOT_BLOCKED, Outcome.BLOCKED, Outcome.BLOCKED],
            2: [Outcome.FALSE_POSITIVE, Outcome.NOT_BLOCKED],
        }
        for at, outcomes in seen_of.items():
            for key, outcome in zip(KEYS * 2, outcomes, strict=False):
                own = match_id(items[at].item_id, key)
                Reports(writer, TOKENS).report(own, outcome, caller=key, day=DAY, at_s=0)
        access = CaseAccess(case.number, PIN)
        today = registrar.show(access, caller="k", now_s=0, day=DAY)
        assert [item.outcomes for item in today.items] == [(), (), ()]
        tomorrow = registrar.show(access, caller="k", now_s=0, day=NEXT_DAY)
        assert [item.outcomes for item in tomorrow.items] == [
            (),
            (Outcome.BLOCKED, Outcome.NOT_BLOCKED),
            (Outcome.NOT_BLOCKED,),
        ]
        left, _ = registrar.withdraw(access, (items[1].item_id,), caller="k", now_s=0, day=NEXT_DAY)
        assert [item.outcomes for item in left.items] == [(), (Outcome.NOT_BLOCKED,)]


def test_the_person_sees_a_day_late_that_reports_let_an_item_wait() -> None:
    """Else whoever registers what is not theirs learns of a false positive as it is reported."""
    with opened() as writer:
        pins = Pins(PEPPER)
        registrar = Registrar(writer, pins, Patient(pins.verify), PEPPER)

        def register(access: CaseAccess, request_id: bytes, day: str) -> Receipt:
            request = RegistrationRequest(request_id, access, AgeBand.ADULT, items)
            return registrar.register(request, caller="k", now_s=0, day=day)

        items = (MediaItem(MediaKind.IMAGE, item_of(random.Random(8), 1).fingerprints),)
        new = CaseAccess("", PIN)
        receipt = register(new, b"1" * 16, DAY)
        item_id, access = receipt.items[0].item_id, CaseAccess(receipt.case_number, PIN)
        for key in KEYS[:2]:
            (far,) = TOKENS.seal([item_id], [20], key, 1_800_000_000)
            report = Reports(writer, TOKENS).report
            report(far, Outcome.FALSE_POSITIVE, caller=key, day=DAY, at_s=0)
        assert writer.states([item_id])[0].state == ItemState.WAITING
        for day, state in ((DAY, ItemState.LIVE), (NEXT_DAY, ItemState.WAITING)):
            shown = registrar.show(access, caller="k", now_s=0, day=day)
            again = register(new, b"1" * 16, day), register(access, random.randbytes(16), day)
            assert {shown.items[0].state, *(each.items[0].state for each in again)} == {state}
        writer.set_states([item_id], ItemState.WAITING, day=DAY, act=ACT, reason=StateReason.STAFF)
        by_staff = registrar.show(access, caller="k", now_s=0, day=DAY)
        assert by_staff.items[0].state == ItemState.WAITING
