"""What changing the state of items promises."""

import random
from dataclasses import replace

import pytest

from disrupt.core.changes import Addition, Change, Cursor, Removal, StateChange
from disrupt.core.media import ItemState, StateReason, StateRecord
from disrupt.core.policy import ADULTS, MINORS, Bank
from disrupt.core.registrations import Outcome
from disrupt.errors import NotFoundError
from disrupt.registry.contract import (
    NewItem,
    RegistryReader,
    RegistryWriter,
)
from tests.registry.conformance.opened import Opened, OpenWriter
from tests.registry.examples import (
    ACT,
    DAY,
    NEXT_DAY,
    OWN,
    all_changes,
    item_of,
    new_item,
    plain,
    plain_items,
    registration,
)

LIVE, WAITING, DISABLED = ItemState

CROP = (1, 0, 0)
WAITS = (StateReason.BANK, StateReason.HARMLESS, StateReason.FLOOD)


def shown(changes: list[Change]) -> list[tuple[type[Change], bool]]:
    """Return the kind of each change, and whether it shows its item."""
    return [(type(change), change.item is not None) for change in changes]


def item_states(reader: RegistryReader, number: str) -> list[ItemState]:
    """Return the states of the items of a case, oldest first."""
    record = reader.case(number)
    assert record is not None
    return [item.state for item in record.items]


class StatesConformance(Opened):
    """Only LIVE items are shown; a state is no removal, and outlives all but the item."""

    @pytest.mark.parametrize("state", [WAITING, DISABLED])
    def test_an_item_goes_out_of_the_feed_and_comes_back_as_it_was(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        state: ItemState,
    ) -> None:
        item, other = new_item(chance), new_item(chance)
        done = writer.register(registration(chance, None, item, other), day=DAY)
        before = all_changes(reader)
        assert item_states(reader, done.case_number) == [LIVE, LIVE]
        assert writer.set_states([item.item_id], state, day=NEXT_DAY, act=ACT) == reader.head()
        hidden = all_changes(reader)
        assert shown(hidden) == [(Removal, False), (Addition, True), (StateChange, False)]
        assert plain(hidden[0]) == plain(hidden[2]) == plain(before[0])[:3]
        assert item_states(reader, done.case_number) == [state, LIVE]
        assert reader.states([item.item_id]) == (StateRecord(item.item_id, 1, state, NEXT_DAY),)
        writer.set_states([item.item_id], LIVE, day=NEXT_DAY, act=ACT)
        back = all_changes(reader)
        assert shown(back) == [*shown(hidden), (StateChange, True)]
        assert plain(back[3]) == plain(before[0])
        assert item_states(reader, done.case_number) == [LIVE, LIVE]

    def test_items_are_counted_in_the_states_that_they_have(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(5)]
        number = writer.register(registration(chance, None, *items), day=DAY).case_number
        assert reader.count_states() == {}
        ids = [item.item_id for item in items]
        writer.set_states(ids[:4], DISABLED, day=DAY, act=ACT)
        writer.set_states(ids[:1], WAITING, day=DAY, act=ACT)
        writer.set_states(ids[1:2], LIVE, day=DAY, act=ACT)
        assert reader.count_states() == {WAITING: 1, DISABLED: 2}
        writer.withdraw(number, ids[2:3], day=DAY)
        assert reader.count_states() == {WAITING: 1, DISABLED: 1}

    def test_a_state_that_an_item_has_is_no_change(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        items = [new_item(chance), new_item(chance)]
        item_ids = [item.item_id for item in items]
        head = writer.register(registration(chance, None, *items), day=DAY).cursor
        assert writer.set_states(item_ids, LIVE, day=DAY, act=ACT) == head
        first = writer.set_states(item_ids[:1], DISABLED, day=DAY, act=ACT)
        assert writer.set_states(item_ids[:1] * 2, DISABLED, day=NEXT_DAY, act=ACT) == first
        assert [record.changed_on for record in writer.states(item_ids)] == [DAY, ""]
        writer.set_states(item_ids, DISABLED, day=NEXT_DAY, act=ACT)
        assert [record.changed_on for record in writer.states(item_ids)] == [DAY, NEXT_DAY]
        assert len(all_changes(writer)) == 4
        assert writer.set_states([], LIVE, day=DAY, act=ACT) == writer.head()

    def test_an_unknown_or_erased_id_is_refused_and_nothing_changed(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item, gone = new_item(chance), new_item(chance)
        done = writer.register(registration(chance, None, item, gone), day=DAY)
        writer.set_states([gone.item_id], DISABLED, day=DAY, act=ACT)
        head = writer.withdraw(done.case_number, [gone.item_id], day=DAY)
        for strange in (gone.item_id, chance.randbytes(16)):
            for state in ItemState:
                with pytest.raises(NotFoundError):
                    writer.set_states([item.item_id, strange], state, day=DAY, act=ACT)
            with pytest.raises(NotFoundError):
                writer.states([item.item_id, strange])
        assert writer.head() == head
        assert item_states(writer, done.case_number) == [LIVE]

    def test_additions_are_the_live_items_in_the_order_of_their_numbers(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(4)]
        head = writer.register(registration(chance, None, *items), day=DAY).cursor
        item_ids = [item.item_id for item in items]
        before = [plain(change) for change in all_changes(reader)]
        writer.set_states(item_ids[:3], DISABLED, day=DAY, act=ACT)
        writer.set_states(item_ids[1:2], LIVE, day=DAY, act=ACT)
        for limit in (1, 100):
            for until in (head, reader.head()):
                cursor, read = Cursor(head.epoch, 0), list[tuple[object, ...]]()
                while cursor.sequence < until.sequence:
                    page, cursor = reader.additions(cursor, until, limit)
                    read += plain_items(page)
                assert (read, cursor) == ([before[1], before[3]], until)

    def test_a_hidden_item_is_withdrawn_as_any_other(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance), new_item(chance)]
        done = writer.register(registration(chance, None, *items), day=DAY)
        hidden = writer.set_states([items[0].item_id], DISABLED, day=DAY, act=ACT)
        assert reader.removed_since(done.cursor) == 0
        assert reader.journaled() == []
        writer.withdraw(done.case_number, None, day=DAY)
        assert shown(all_changes(reader)) == [
            *[(Removal, False)] * 2,
            (StateChange, False),
            *[(Removal, False)] * 2,
        ]
        assert [reader.removed_since(cursor) for cursor in (done.cursor, hidden)] == [2, 2]
        assert len(reader.journaled()) == 2

    def test_changes_of_state_weigh_what_they_bring(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item = new_item(chance, hashes=5)
        added = writer.register(registration(chance, None, item), day=DAY).cursor
        start = Cursor(added.epoch, 0)
        hidden = writer.set_states([item.item_id], DISABLED, day=DAY, act=ACT)
        assert [reader.hashes_since(cursor) for cursor in (start, added, hidden)] == [2, 1, 0]
        writer.set_states([item.item_id], LIVE, day=DAY, act=ACT)
        assert [reader.hashes_since(cursor) for cursor in (start, added, hidden)] == [7, 6, 5]

    def test_states_outlive_the_writer(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        with open_writer() as writer:
            writer.register(registration(chance, None, item), day=DAY)
            writer.set_states([item.item_id], WAITING, day=DAY, act=ACT)
        with open_writer() as writer:
            assert [record.state for record in writer.states([item.item_id])] == [WAITING]
            assert not [change for change in all_changes(writer) if change.item is not None]

    @pytest.mark.parametrize(
        ("again", "bank", "outcome"),
        [
            ((OWN,), 1, Outcome.KEPT),
            ((OWN, CROP), 1, Outcome.RENEWED),
            ((OWN,), MINORS.number, Outcome.RENEWED),
        ],
    )
    def test_registering_again_brings_nothing_back(
        self,
        writer: RegistryWriter,
        chance: random.Random,
        again: tuple[tuple[int, int, int], ...],
        bank: int,
        outcome: Outcome,
    ) -> None:
        first: NewItem = item_of(chance, 1)
        number = writer.register(registration(chance, None, first), day=DAY).case_number
        writer.set_states([first.item_id], DISABLED, day=DAY, act=ACT)
        request = registration(chance, number, item_of(chance, 1, *again), bank=bank)
        done = writer.register(request, day=NEXT_DAY)
        assert [place.outcome for place in done.items] == [outcome]
        assert item_states(writer, number) == [DISABLED]
        assert not [change for change in all_changes(writer) if change.item is not None]
        (record,) = writer.states([done.items[0].item_id])
        assert (record.bank, record.state, record.changed_on) == (bank, DISABLED, DAY)
        assert writer.register(request, day=NEXT_DAY) == done
        writer.set_states([record.item_id], LIVE, day=NEXT_DAY, act=ACT)
        assert [change.number for change in all_changes(writer) if change.item is not None] == [
            1 if outcome == Outcome.KEPT else 2
        ]

    @pytest.mark.parametrize("reason", WAITS)
    def test_an_item_that_waits_is_never_shown_before_somebody_lets_it_go_live(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        reason: StateReason,
    ) -> None:
        waits, live = replace(new_item(chance), waits=reason), new_item(chance)
        request = registration(chance, None, waits, live)
        done = writer.register(request, day=DAY)
        assert [place.state for place in done.items] == [WAITING, LIVE]
        assert item_states(reader, done.case_number) == [WAITING, LIVE]
        assert reader.states([waits.item_id]) == (
            StateRecord(waits.item_id, 1, WAITING, DAY, reason),
        )
        assert shown(all_changes(reader)) == [
            (Removal, False),
            (Addition, True),
            (StateChange, False),
        ]
        assert done.cursor == reader.head()
        assert writer.register(request, day=NEXT_DAY) == done
        writer.set_states([waits.item_id], LIVE, day=NEXT_DAY, act=ACT)
        again = writer.register(request, day=NEXT_DAY)
        assert [place.state for place in again.items] == [LIVE, LIVE]
        assert again.cursor == done.cursor

    @pytest.mark.parametrize(
        ("before", "reason", "bank", "state"),
        [
            (LIVE, StateReason.BANK, ADULTS, LIVE),  # the bank has it already
            (LIVE, StateReason.BANK, MINORS, WAITING),
            (LIVE, StateReason.HARMLESS, ADULTS, WAITING),
            (LIVE, StateReason.FLOOD, ADULTS, LIVE),  # so has its case
            (WAITING, StateReason.BANK, ADULTS, WAITING),
            (DISABLED, StateReason.BANK, MINORS, DISABLED),
            (DISABLED, StateReason.FLOOD, ADULTS, DISABLED),
        ],
    )
    def test_an_item_that_takes_the_place_of_another_waits_unless_its_bank_had_let_it_go_live(
        self,
        writer: RegistryWriter,
        chance: random.Random,
        before: ItemState,
        reason: StateReason,
        bank: Bank,
        state: ItemState,
    ) -> None:
        first = item_of(chance, 1)
        number = writer.register(registration(chance, None, first), day=DAY).case_number
        writer.set_states([first.item_id], before, day=DAY, act=ACT)
        renewed = replace(item_of(chance, 1, OWN, CROP), waits=reason)
        request = registration(chance, number, renewed, bank=bank.number)
        done = writer.register(request, day=NEXT_DAY)
        assert [(place.outcome, place.state) for place in done.items] == [(Outcome.RENEWED, state)]
        (record,) = writer.states([renewed.item_id])
        assert record.state == state
        assert record.reason == (reason if state != before else None)
        assert record.changed_on == ("" if state == LIVE else DAY if state == before else NEXT_DAY)

    def test_an_item_that_is_kept_keeps_its_state_whatever_waits(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        first = item_of(chance, 1)
        number = writer.register(registration(chance, None, first), day=DAY).case_number
        again = replace(item_of(chance, 1), waits=StateReason.FLOOD)
        done = writer.register(registration(chance, number, again), day=DAY)
        assert [(place.outcome, place.state) for place in done.items] == [(Outcome.KEPT, LIVE)]
        assert item_states(writer, number) == [LIVE]

    def test_a_picture_that_comes_twice_waits_if_one_of_the_two_does(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        once, twice = item_of(chance, 1), replace(item_of(chance, 1), waits=StateReason.HARMLESS)
        done = writer.register(registration(chance, None, once, twice), day=DAY)
        assert [(place.outcome, place.state) for place in done.items] == [
            (Outcome.ADDED, WAITING),
            (Outcome.KEPT, WAITING),
        ]
