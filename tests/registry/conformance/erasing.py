"""Promises of erasing a case whose PIN is lost."""

import random
from collections.abc import Collection

import pytest

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.case_erasures import CONFIRM_WITHIN_S, DELAY_S, CaseErasure, day_of
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Removal
from disrupt.core.states import ItemState
from disrupt.errors import CaseClosedError, CaseErasingError, NotFoundError
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import DAY, NEXT_DAY, all_changes, new_item, registration
from tests.registry.conformance.opened import Opened

AT_S = 1_795_000_000
FIRST, SECOND, OWNER = "0a1b2c3d", "4e5f6a7b", "8c9d0e1f"
BOTH = frozenset({1, 2})


def ask(
    writer: RegistryWriter,
    number: str,
    key_id: str,
    at_s: int = AT_S,
    *,
    partners: Collection[str] = (FIRST, SECOND),
    banks: Collection[int] = BOTH,
) -> CaseErasure:
    act = Act(key_id, "hotline", Action.ERASE_REQUESTED, at_s)
    others = {partner for partner in partners if partner != key_id}
    return writer.ask_erasure(number, act, partners=others, banks=banks)


def stop(writer: RegistryWriter, number: str) -> None:
    writer.stop_erasure(number, Act(OWNER, "", Action.ERASE_STOPPED, AT_S + 9))


def states_of(reader: RegistryReader, number: str) -> list[ItemState]:
    record = reader.case(number)
    assert record is not None
    return [item.state for item in record.items]


def actions(reader: RegistryReader) -> list[Action]:
    return [record.act.action for record in reader.acts(99)][::-1]


class ErasingConformance(Opened):
    """Two keys have a case erased after some days, which hides nothing; its owner can stop that."""

    def test_items_of_a_case_that_two_keys_erase_stay_as_they_are_until_it_is_due(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(3)]
        number = writer.register(registration(chance, None, *items), day=DAY).case_number
        act = Act(FIRST, "hotline", Action.REJECT, AT_S)
        writer.set_states([items[1].item_id], ItemState.REJECTED, act)
        writer.set_states([items[2].item_id], ItemState.ENABLED, act)
        before, head = states_of(reader, number), reader.head()
        asked = ask(writer, number, FIRST)
        assert (asked.asked_at_s, asked.due_at_s, asked.items) == (AT_S, None, 3)
        assert (states_of(reader, number), reader.head()) == (before, head)
        assert ask(writer, number, SECOND, AT_S + 5).due_at_s == AT_S + 5 + DELAY_S
        record = reader.case(number)
        assert record is not None
        assert record.erased_on == day_of(AT_S + 5 + DELAY_S)
        assert ask(writer, number, FIRST, AT_S + 99).due_at_s == AT_S + 5 + DELAY_S
        assert (states_of(reader, number), reader.head()) == (before, head)
        for _ in range(2):
            stop(writer, number)
            assert (states_of(reader, number), reader.head()) == (before, head)
        assert not writer.erase_due(at_s=AT_S + 2 * DELAY_S, day=NEXT_DAY)
        of_case = actions(reader)[2:]
        assert of_case == [Action.ERASE_REQUESTED, Action.ERASE_CONFIRMED, Action.ERASE_STOPPED]
        assert all(record.case and not record.item_id for record in reader.acts(3))

    def test_staff_decide_about_items_of_a_case_that_is_to_be_erased(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        for key_id in (FIRST, SECOND):
            ask(writer, number, key_id)
        for state in (ItemState.DISABLED, ItemState.ENABLED):
            writer.set_states([item.item_id], state, Act(FIRST, "hotline", Action.DISABLE, AT_S))
            assert states_of(writer, number) == [state]
        stop(writer, number)
        assert states_of(writer, number) == [ItemState.ENABLED]

    def test_a_case_is_erased_when_it_is_due_as_a_withdrawal_erases(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item, other = new_item(chance), new_item(chance)
        number = writer.register(registration(chance, None, item), day=DAY).case_number
        writer.register(registration(chance, None, other), day=DAY)
        ask(writer, number, FIRST)
        ask(writer, number, SECOND)
        assert not writer.erase_due(at_s=AT_S + DELAY_S - 1, day=NEXT_DAY)
        assert reader.matched_items(0, reader.head(), 9).number.tolist() == [1, 2]
        assert writer.erase_due(at_s=AT_S + DELAY_S, day=NEXT_DAY)
        assert not writer.erase_due(at_s=AT_S + 2 * DELAY_S, day=NEXT_DAY)
        record = reader.case(number)
        assert record is not None
        assert (record.status, record.closed_on, record.items, record.erased_on) == (
            *(CaseStatus.WITHDRAWN, NEXT_DAY, (), ""),
        )
        assert [removed.item_id for removed in reader.journaled()] == [item.item_id]  # type: ignore[union-attr]
        assert {type(change) for change in all_changes(reader) if change.number == 1} == {Removal}
        (erased,) = reader.acts(1)
        assert (erased.act.actor, erased.act.action) == (SERVER, Action.CASE_ERASED)
        with pytest.raises(CaseClosedError):
            ask(writer, number, FIRST)

    def test_one_person_a_late_key_and_one_that_is_no_partner_confirm_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number = writer.register(registration(chance), day=DAY).case_number
        assert ask(writer, number, FIRST).due_at_s is None
        assert ask(writer, number, FIRST, AT_S + 1).due_at_s is None
        assert ask(writer, number, SECOND, AT_S + 2, partners=()).due_at_s is None
        late_s = AT_S + 2 + CONFIRM_WITHIN_S
        late = ask(writer, number, FIRST, late_s)
        assert (late.asked_at_s, late.due_at_s) == (late_s, None)
        assert states_of(writer, number) == [ItemState.LIVE]
        assert ask(writer, number, SECOND, late_s + 1).due_at_s is not None

    def test_a_strange_number_and_a_case_of_other_banks_are_refused_alike(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number = writer.register(registration(chance, bank=2), day=DAY).case_number
        said = set[str]()
        for strange, banks in (("ABCDEFGHJK", BOTH), (number, {1})):
            with pytest.raises(NotFoundError) as refused:
                ask(writer, strange, FIRST, banks=banks)
            said.add(refused.value.message)
        assert (len(said), writer.acts(9)) == (1, [])

    def test_nothing_is_added_to_a_case_that_is_about_to_be_erased(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number = writer.register(registration(chance), day=DAY).case_number
        ask(writer, number, FIRST)
        writer.register(registration(chance, number), day=DAY)
        ask(writer, number, SECOND)
        with pytest.raises(CaseErasingError):
            writer.register(registration(chance, number), day=DAY)
        stop(writer, number)
        writer.register(registration(chance, number), day=DAY)
        assert states_of(writer, number) == [ItemState.LIVE] * 3

    def test_a_withdrawal_goes_before_an_erasure(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(2)]
        number = writer.register(registration(chance, None, *items), day=DAY).case_number
        ask(writer, number, FIRST)
        ask(writer, number, SECOND)
        writer.withdraw(number, [items[0].item_id], day=DAY)
        assert states_of(writer, number) == [ItemState.LIVE]
        writer.withdraw(number, None, day=DAY)
        stop(writer, number)
        assert not writer.erase_due(at_s=AT_S + DELAY_S, day=NEXT_DAY)
        assert Action.ERASE_STOPPED not in actions(writer)

    def test_a_new_epoch_stops_every_erasure(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(2)]
        number = writer.register(registration(chance, None, *items), day=DAY).case_number
        asked_once = writer.register(registration(chance), day=DAY).case_number
        act = Act(FIRST, "hotline", Action.DISABLE, AT_S)
        writer.set_states([items[1].item_id], ItemState.DISABLED, act)
        for case, key_id in ((number, FIRST), (number, SECOND), (asked_once, FIRST)):
            ask(writer, case, key_id)
        for _ in range(2):
            writer.begin_epoch()
            assert not writer.erase_due(at_s=AT_S + DELAY_S, day=NEXT_DAY)
            assert states_of(reader, number) == [ItemState.LIVE, ItemState.DISABLED]
            assert reader.matched_items(0, reader.head(), 9).number.tolist() == [1, 3]
        record = reader.case(number)
        assert record is not None
        assert record.erased_on == ""
        assert ask(writer, asked_once, SECOND).due_at_s is None
        stopped = [each.act for each in reader.acts(99) if each.act.action == Action.ERASE_STOPPED]
        assert {(act.actor, act.reason) for act in stopped} == {(SERVER, "new_epoch")}
        assert len(stopped) == 2
