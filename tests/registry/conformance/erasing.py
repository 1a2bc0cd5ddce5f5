"""What erasing a case without its PIN promises."""

import json
import random
from dataclasses import replace

import pytest

from disrupt.core.acts import Action
from disrupt.core.case_erasures import DELAY_S, WAITS_FOR_SECOND_KEY_S, CaseErasure, day_of
from disrupt.core.cases import CaseStatus, case_number
from disrupt.core.media import ItemState, StateReason
from disrupt.core.policy import ADULTS, MINORS, ApiKey, Right
from disrupt.errors import (
    CaseClosedError,
    ErasureNotRequestedError,
    ErasurePendingError,
    NotFoundError,
    PermissionDeniedError,
    SecondKeyNeededError,
)
from disrupt.registry.contract import RegistryReader, RegistryWriter, Successor
from tests.registry.case_erasures import (
    AT_S,
    DAY_S,
    HOUR_S,
    NOW_DAY,
    REVIEWERS,
    by,
    by_server,
    reviewer,
)
from tests.registry.conformance.opened import Opened, OpenWriter
from tests.registry.examples import ACT, DAY, NEXT_DAY, all_changes, new_item, registration

FIRST, SECOND = REVIEWERS
LIVE, WAITING, DISABLED = ItemState


def states_of(reader: RegistryReader, number: str) -> list[tuple[ItemState, StateReason | None]]:
    record = reader.case(number)
    assert record is not None
    states = reader.states([item.item_id for item in record.items])
    return [(state.state, state.reason) for state in states]


def erasure_of(reader: RegistryReader, number: str) -> CaseErasure | None:
    record = reader.case(number)
    assert record is not None
    return record.erasure


def acts_of(reader: RegistryReader) -> list[tuple[Action, dict[str, object]]]:
    """Return the acts on cases."""
    acts = [(Action(record.action), json.loads(record.subject)) for record in reader.acts(0, 1000)]
    return [act for act in acts if act[0] >= Action.ERASURE_REQUESTED]


def confirm(
    writer: RegistryWriter, number: str, at_s: int = AT_S, key: ApiKey = SECOND
) -> CaseErasure:
    act = by(key, at_s, Action.ERASURE_CONFIRMED)
    return writer.confirm_erasure(number, day=day_of(at_s), act=act)


def stop(writer: RegistryWriter, number: str, at_s: int = AT_S) -> None:
    act = by_server(at_s, Action.ERASURE_STOPPED)
    assert writer.stop_erasure(number, day=day_of(at_s), act=act) == writer.head()


def complete(writer: RegistryWriter, number: str, at_s: int) -> None:
    cursor = writer.complete_erasure(number, day=day_of(at_s), act=by_server(at_s))
    assert cursor == writer.head()


class ErasingConformance(Opened):
    """Two persons of staff erase a case, in time for whoever has its PIN to stop it."""

    @pytest.fixture
    def number(self, writer: RegistryWriter, chance: random.Random) -> str:
        """Register a case of three items: LIVE, WAITING, and DISABLED by staff."""
        for key in REVIEWERS:
            writer.add_key(key, act=ACT)
        items = [new_item(chance) for _ in ItemState]
        number = writer.register(registration(chance, None, *items), day=DAY).case_number
        for item, state in zip(items[1:], (WAITING, DISABLED), strict=True):
            reason = StateReason.FLOOD if state == WAITING else StateReason.STAFF
            writer.set_states([item.item_id], state, day=DAY, act=ACT, reason=reason)
        return number

    def test_a_request_waits_and_does_nothing(
        self, writer: RegistryWriter, reader: RegistryReader, number: str
    ) -> None:
        before, head = states_of(reader, number), reader.head()
        assert erasure_of(reader, number) is None
        requested = writer.request_erasure(number, act=by(FIRST, AT_S))
        assert requested == erasure_of(reader, number) == CaseErasure(FIRST.key_id, AT_S)
        for key in REVIEWERS:  # a request is no confirmation, whoever repeats it
            assert writer.request_erasure(number, act=by(key, AT_S + HOUR_S)) == requested
        assert (states_of(reader, number), reader.head()) == (before, head)
        assert writer.due_erasures(AT_S + DAY_S - 1) == ()
        assert erasure_of(reader, number) == requested
        assert acts_of(reader) == [(Action.ERASURE_REQUESTED, {"case": "0123456789abcdef"})]

    def test_a_request_lapses_after_a_day(
        self, writer: RegistryWriter, reader: RegistryReader, number: str
    ) -> None:
        writer.request_erasure(number, act=by(FIRST, AT_S))
        late_s = AT_S + WAITS_FOR_SECOND_KEY_S
        with pytest.raises(ErasureNotRequestedError):
            confirm(writer, number, late_s)
        assert writer.due_erasures(late_s) == ()
        assert erasure_of(reader, number) is None
        again = writer.request_erasure(number, act=by(SECOND, late_s))
        assert again == CaseErasure(SECOND.key_id, late_s)
        assert confirm(writer, number, late_s, FIRST).is_confirmed

    def test_a_lapsed_request_is_made_anew_also_before_it_is_forgotten(
        self, writer: RegistryWriter, number: str
    ) -> None:
        writer.request_erasure(number, act=by(FIRST, AT_S))
        late = by(SECOND, AT_S + WAITS_FOR_SECOND_KEY_S)
        assert writer.request_erasure(number, act=late).requested_by == SECOND.key_id

    def test_a_confirmation_disables_all_items_at_once(
        self, writer: RegistryWriter, reader: RegistryReader, number: str
    ) -> None:
        writer.request_erasure(number, act=by(FIRST, AT_S))
        confirmed = confirm(writer, number, AT_S + 1)
        assert confirmed == erasure_of(reader, number)
        assert confirmed == CaseErasure(
            *(FIRST.key_id, AT_S, SECOND.key_id, AT_S + 1, AT_S + 1 + DELAY_S)
        )
        pin_lost = (DISABLED, StateReason.PIN_LOST)
        assert states_of(reader, number) == [pin_lost, pin_lost, (DISABLED, StateReason.STAFF)]
        assert not [change for change in all_changes(reader) if change.item is not None]
        for key in REVIEWERS:
            assert confirm(writer, number, AT_S + 2, key) == confirmed
            assert writer.request_erasure(number, act=by(key, AT_S + 2)) == confirmed
        assert [action for action, _ in acts_of(reader)] == [
            *(Action.ERASURE_REQUESTED, Action.ERASURE_CONFIRMED)
        ]
        said = {"case": "0123456789abcdef", "items": 2, "due_on": day_of(confirmed.due_at_s)}
        assert acts_of(reader)[1][1] == said

    @pytest.mark.parametrize(
        "second",
        [
            FIRST,
            reviewer("00000003", "Anne"),
            reviewer("00000003", "ANNE", "Hotline"),
            replace(reviewer("00000003", "Carla"), rights=frozenset({Right.STAFF})),
            replace(reviewer("00000003", "Carla"), revoked_on=DAY),
        ],
        ids=["the same", "of her name", "in capitals", "without the right", "revoked"],
    )
    def test_one_person_does_not_suffice(
        self, writer: RegistryWriter, reader: RegistryReader, number: str, second: ApiKey
    ) -> None:
        if second != FIRST:
            writer.add_key(second, act=ACT)
        before = states_of(reader, number)
        requested = writer.request_erasure(number, act=by(FIRST, AT_S))
        with pytest.raises(SecondKeyNeededError):
            confirm(writer, number, key=second)
        assert (states_of(reader, number), erasure_of(reader, number)) == (before, requested)
        assert acts_of(reader)[1:] == [
            (
                Action.ERASURE_REFUSED,
                {
                    "case": "0123456789abcdef",
                    "tried": "confirmed",
                    "reason": "second_key_needed",
                },
            )
        ]

    def test_neither_does_a_key_and_its_successor(
        self, writer: RegistryWriter, number: str
    ) -> None:
        successor = Successor("00000004", b"4".ljust(32), DAY, "")
        _, new = writer.rotate_key(
            FIRST.key_id, successor, overlap_until=day_of(AT_S + 30 * DAY_S), act=ACT
        )
        for first, second in ((FIRST, new), (new, FIRST)):
            writer.request_erasure(number, act=by(first, AT_S))
            with pytest.raises(SecondKeyNeededError):
                confirm(writer, number, key=second)
            stop(writer, number)

    def test_nor_where_one_of_the_two_was_given_another_organisation(
        self, writer: RegistryWriter, number: str
    ) -> None:
        until, successor = day_of(AT_S + 30 * DAY_S), Successor("00000004", b"4".ljust(32), DAY, "")
        _, new = writer.rotate_key(FIRST.key_id, successor, overlap_until=until, act=ACT)
        writer.change_key(new.key_id, organisation="another", act=ACT)
        writer.request_erasure(number, act=by(FIRST, AT_S))
        with pytest.raises(SecondKeyNeededError):
            confirm(writer, number, key=new)

    @pytest.mark.parametrize("change", ["revoked", "without the right", "expired"])
    def test_a_request_of_a_key_that_may_not_review_any_more_counts_as_none(
        self, writer: RegistryWriter, number: str, change: str
    ) -> None:
        writer.request_erasure(number, act=by(FIRST, AT_S))
        if change == "revoked":
            writer.revoke_key(FIRST.key_id, day=NOW_DAY, act=ACT)
        elif change == "expired":
            writer.change_key(FIRST.key_id, expires_on=DAY, act=ACT)
        else:
            writer.change_key(FIRST.key_id, rights={Right.MATCH}, act=ACT)
        with pytest.raises(ErasureNotRequestedError):
            confirm(writer, number)
        again = writer.request_erasure(number, act=by(SECOND, AT_S + 1))
        assert again == CaseErasure(SECOND.key_id, AT_S + 1), "made anew at once"
        carla = reviewer("00000003", "Carla")
        writer.add_key(carla, act=ACT)
        assert confirm(writer, number, AT_S + 2, carla).is_confirmed

    def test_keys_without_the_banks_of_the_items_can_only_stop(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        number: str,
        chance: random.Random,
    ) -> None:
        writer.register(registration(chance, number, bank=MINORS.number), day=DAY)
        carla = replace(reviewer("00000003", "Carla"), banks=frozenset({ADULTS.number}))
        writer.add_key(carla, act=ACT)
        with pytest.raises(PermissionDeniedError):
            writer.request_erasure(number, act=by(carla, AT_S))
        assert erasure_of(reader, number) is None
        requested = writer.request_erasure(number, act=by(FIRST, AT_S))
        with pytest.raises(PermissionDeniedError):
            confirm(writer, number, key=carla)
        assert erasure_of(reader, number) == requested
        writer.stop_erasure(number, day=DAY, act=by(carla, AT_S, Action.ERASURE_CANCELLED))
        assert erasure_of(reader, number) is None

    @pytest.mark.parametrize("is_confirmed", [False, True])
    def test_stopping_it_gives_items_their_states_back(
        self, writer: RegistryWriter, reader: RegistryReader, number: str, *, is_confirmed: bool
    ) -> None:
        before = states_of(reader, number)
        shown = [change.item for change in all_changes(reader) if change.item is not None]
        writer.request_erasure(number, act=by(FIRST, AT_S))
        if is_confirmed:
            confirm(writer, number)
        for _ in range(2):
            stop(writer, number, AT_S + 1)
            assert erasure_of(reader, number) is None
            assert states_of(reader, number) == before
        again = [change.item for change in all_changes(reader) if change.item is not None]
        assert [item.item_id for item in again] == [item.item_id for item in shown]
        said = {"case": "0123456789abcdef", "items": 2 if is_confirmed else 0}
        assert acts_of(reader)[1 + is_confirmed :] == [(Action.ERASURE_STOPPED, said)]
        assert writer.due_erasures(AT_S + 30 * DAY_S) == ()
        complete(writer, number, AT_S + 30 * DAY_S)
        assert states_of(reader, number) == before
        with pytest.raises(ErasureNotRequestedError):
            confirm(writer, number)

    def test_stopping_it_leaves_what_staff_decided_meanwhile(
        self, writer: RegistryWriter, reader: RegistryReader, number: str
    ) -> None:
        writer.request_erasure(number, act=by(FIRST, AT_S))
        confirm(writer, number)
        record = reader.case(number)
        assert record is not None
        first, second, _ = (item.item_id for item in record.items)
        abuse = StateReason.ABUSE
        writer.set_states([first], DISABLED, day=NOW_DAY, act=ACT, reason=abuse)
        writer.set_states([second], LIVE, day=NOW_DAY, act=ACT)
        stop(writer, number)
        assert states_of(reader, number) == [
            *((DISABLED, abuse), (LIVE, None), (DISABLED, StateReason.STAFF))
        ]

    def test_what_an_operator_switches_off_meanwhile_stays_off(
        self, writer: RegistryWriter, reader: RegistryReader, number: str
    ) -> None:
        writer.request_erasure(number, act=by(FIRST, AT_S))
        confirm(writer, number)
        record = reader.case(number)
        assert record is not None
        acts = len(reader.acts(0, 1000))
        for _ in range(2):  # commands on the machine give no reason
            item_ids = [record.items[0].item_id]
            writer.set_states(item_ids, DISABLED, day=NOW_DAY, act=ACT)
        assert len(reader.acts(0, 1000)) == acts + 1
        stop(writer, number)
        assert states_of(reader, number)[0] == (DISABLED, None)

    def test_an_item_that_waited_by_a_rule_is_released_once_it_is_stopped(
        self, writer: RegistryWriter, reader: RegistryReader, number: str
    ) -> None:
        record = reader.case(number)
        assert record is not None
        item_id, many = record.items[0].item_id, StateReason.MANY_LOOKUPS
        assert writer.hide(item_id, many, day=DAY, at_s=AT_S)
        writer.request_erasure(number, act=by(FIRST, AT_S))
        confirm(writer, number)
        assert writer.release(AT_S, day=DAY, at_s=AT_S, limit=9) == ()
        stop(writer, number)
        assert states_of(reader, number)[0] == (WAITING, many)
        assert writer.release(AT_S, day=DAY, at_s=AT_S, limit=9) == (item_id,)

    def test_a_case_is_erased_when_it_is_due_and_not_before(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        with open_writer() as writer:
            for key in REVIEWERS:
                writer.add_key(key, act=ACT)
            request = registration(chance, None, new_item(chance), new_item(chance))
            number = writer.register(request, day=DAY).case_number
            writer.request_erasure(number, act=by(FIRST, AT_S))
            confirmed = confirm(writer, number)
        due_s = AT_S + DELAY_S
        with open_writer() as writer:
            assert writer.due_erasures(due_s - 1) == ()
            complete(writer, number, due_s - 1)
            assert erasure_of(writer, number) == confirmed
            assert writer.due_erasures(due_s) == (number,)
            for _ in range(2):
                complete(writer, number, due_s)
                record = writer.case(number)
                assert record is not None
                assert (record.status, record.closed_on) == (
                    *(CaseStatus.WITHDRAWN, day_of(due_s)),
                )
                assert record.items == ()
                assert record.erasure == replace(confirmed, erased_on=day_of(due_s))
            assert acts_of(writer)[2:] == [
                (Action.CASE_ERASED, {"case": "0123456789abcdef", "items": 2})
            ]
            assert writer.due_erasures(due_s + DAY_S) == ()
            assert len(writer.journaled()) == 2
            assert writer.registered(request.request_id) is None
            with pytest.raises(CaseClosedError):
                writer.request_erasure(number, act=by(FIRST, due_s))

    def test_nothing_is_registered_into_a_case_that_is_to_be_erased(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        number: str,
        chance: random.Random,
    ) -> None:
        writer.request_erasure(number, act=by(FIRST, AT_S))
        while_requested = registration(chance, number)
        done = writer.register(while_requested, day=DAY)
        confirm(writer, number)
        before = reader.case(number)
        with pytest.raises(ErasurePendingError):
            writer.register(registration(chance, number), day=DAY)
        assert reader.case(number) == before
        off = tuple(place._replace(state=ItemState.DISABLED) for place in done.items)
        assert writer.register(while_requested, day=DAY) == replace(done, items=off)
        stop(writer, number)
        writer.register(registration(chance, number), day=DAY)

    def test_a_withdrawal_does_what_it_always_does(
        self, writer: RegistryWriter, reader: RegistryReader, number: str
    ) -> None:
        writer.request_erasure(number, act=by(FIRST, AT_S))
        confirmed = confirm(writer, number)
        record = reader.case(number)
        assert record is not None
        writer.withdraw(number, [record.items[0].item_id], day=NEXT_DAY)
        assert erasure_of(reader, number) == confirmed
        writer.withdraw(number, None, day=NEXT_DAY)
        assert erasure_of(reader, number) is None
        assert writer.due_erasures(AT_S + DELAY_S) == ()
        complete(writer, number, AT_S + DELAY_S)
        record = reader.case(number)
        assert record is not None
        assert (record.status, record.closed_on) == (CaseStatus.WITHDRAWN, NEXT_DAY)

    def test_what_is_refused_is_in_the_log(
        self, writer: RegistryWriter, reader: RegistryReader, number: str
    ) -> None:
        unknown = case_number(7)
        writer.withdraw(number, None, day=DAY)
        for target, error in ((unknown, NotFoundError), (number, CaseClosedError)):
            with pytest.raises(error):
                writer.request_erasure(target, act=by(FIRST, AT_S))
            with pytest.raises(error):
                confirm(writer, target)
            with pytest.raises(error):
                writer.stop_erasure(target, day=DAY, act=by(FIRST, AT_S, Action.ERASURE_CANCELLED))
        assert acts_of(reader) == [
            (
                Action.ERASURE_REFUSED,
                {"case": "0123456789abcdef", "tried": tried, "reason": reason},
            )
            for reason in ("not_found", "case_closed")
            for tried in ("requested", "confirmed", "cancelled")
        ]
        complete(writer, unknown, AT_S)
        assert len(acts_of(reader)) == 6

    def test_a_case_is_known_by_a_number_of_the_registry(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        numbers = [writer.register(registration(chance), day=DAY).case_number for _ in range(2)]
        before = [reader.case_id(number) for number in numbers]
        assert len({*before, None}) == 3
        writer.withdraw(numbers[0], None, day=DAY)
        assert [reader.case_id(number) for number in numbers] == before
        assert reader.case_id(case_number(7)) is None
