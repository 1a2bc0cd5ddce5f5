"""Promises of the states of items, and of the record of acts."""

import random
from dataclasses import replace

import pytest

from disrupt.core.acts import OPERATOR, Act, ActFilter, Action, ActRecord
from disrupt.core.changes import Addition, Change, Cursor, Removal, StateChange, shown_item
from disrupt.core.policy import ADULTS, MINORS
from disrupt.core.registrations import Outcome
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.errors import InvalidRequestError, NotFoundError
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import (
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
from tests.registry.conformance.opened import Opened, OpenWriter

LIVE, ENABLED, WAITING, DISABLED, REJECTED = ItemState
HIDDEN = [state for state in ItemState if not state.matches]
ACT = Act("0a1b2c3d", "hotline", Action.DISABLE, 1_795_000_000, "false_positive")
BOTH = frozenset({ADULTS.number, MINORS.number})


def shape(changes: list[Change]) -> list[tuple[type[Change], bool]]:
    """Return the kind of each change, and whether it shows its item."""
    return [(type(change), shown_item(change) is not None) for change in changes]


def states_of(reader: RegistryReader, case_number: str) -> list[ItemState]:
    record = reader.case(case_number)
    assert record is not None
    return [item.state for item in record.items]


class StatesConformance(Opened):
    """Lookups find items of some states only; a state is no removal, and ends with its item."""

    @pytest.mark.parametrize("state", HIDDEN)
    def test_an_item_is_hidden_and_shown_again_as_it_was(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        state: ItemState,
    ) -> None:
        item, other = new_item(chance), new_item(chance)
        done = writer.register(registration(chance, None, item, other), day=DAY)
        before = all_changes(reader)
        changed = writer.set_states([item.item_id], state, ACT)
        assert (changed.item_ids, changed.cursor) == ((item.item_id,), reader.head())
        assert states_of(reader, done.case_number) == [state, LIVE]
        hidden = all_changes(reader)
        assert shape(hidden) == [(StateChange, False), (Addition, True), (StateChange, False)]
        assert plain(hidden[0]) == plain(hidden[2]) == plain(before[0])[:3]
        assert plain_items(reader.matched_items(0, reader.head(), 9)) == [plain(before[1])]
        writer.set_states([item.item_id], ENABLED, ACT)
        back = all_changes(reader)
        assert shape(back) == [*shape(hidden), (StateChange, True)]
        assert plain(back[3]) == plain(before[0])
        assert plain_items(reader.matched_items(0, reader.head(), 9)) == [*map(plain, before)]
        # As of the earlier cursor neither was matched and not hidden since.
        assert plain_items(reader.matched_items(0, changed.cursor, 9)) == [plain(before[1])]
        assert reader.journaled() == []

    def test_a_change_that_no_lookup_sees_is_in_no_feed(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        done = writer.register(registration(chance, None, item), day=DAY)
        for state, count in (
            *((LIVE, 1), (ENABLED, 1), (DISABLED, 2), (REJECTED, 2), (REJECTED, 2)),
            *((ENABLED, 3), (LIVE, 3)),
        ):
            assert writer.set_states([item.item_id], state, ACT).cursor == writer.head()
            assert states_of(writer, done.case_number) == [state]
            assert len(all_changes(writer)) == count

    def test_setting_a_state_again_changes_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(3)]
        ids = [item.item_id for item in items]
        done = writer.register(registration(chance, None, *items), day=DAY)
        writer.set_states(ids[:1], DISABLED, ACT)
        head, acts = writer.head(), writer.acts(9)
        for again in (
            writer.set_states(ids[:1] * 2, DISABLED, ACT),
            writer.set_states([], DISABLED, ACT),
        ):
            assert (again.item_ids, again.cursor) == ((), head)
        assert writer.acts(9) == acts
        assert writer.set_states(ids, DISABLED, ACT).item_ids == tuple(ids[1:])
        assert states_of(writer, done.case_number) == [DISABLED] * 3

    def test_an_id_of_no_item_changes_none(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item, gone = new_item(chance), new_item(chance)
        done = writer.register(registration(chance, None, item, gone), day=DAY)
        writer.set_states([gone.item_id], DISABLED, ACT)
        writer.withdraw(done.case_number, [gone.item_id], day=DAY)
        head = writer.head()
        for strange in (gone.item_id, chance.randbytes(16)):
            with pytest.raises(NotFoundError):
                writer.set_states([item.item_id, strange], DISABLED, ACT)
        assert writer.head() == head
        assert states_of(writer, done.case_number) == [LIVE]
        assert len(writer.acts(9)) == 1

    @pytest.mark.parametrize("state", list(ItemState))
    def test_an_item_is_withdrawn_in_every_state(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        state: ItemState,
    ) -> None:
        item, other = new_item(chance), new_item(chance)
        done = writer.register(registration(chance, None, item, other), day=DAY)
        hidden = writer.set_states([item.item_id], state, ACT).cursor
        assert reader.removed_since(done.cursor) == 0
        gone = writer.withdraw(done.case_number, [item.item_id], day=DAY)
        assert [removed.item_id for removed in gone.items] == [item.item_id]
        assert reader.removed_since(hidden) == 1
        assert [removed.item_id for removed in reader.journaled()] == [item.item_id]  # type: ignore[union-attr]
        assert {type(change) for change in all_changes(reader) if change.number == 1} == {Removal}
        assert reader.count_states() == {}
        writer.withdraw(done.case_number, None, day=DAY)
        assert len(reader.matched_items(0, reader.head(), 9)) == 0

    @pytest.mark.parametrize("state", list(ItemState))
    def test_a_renewed_item_stays_hidden_if_it_was(
        self, writer: RegistryWriter, chance: random.Random, state: ItemState
    ) -> None:
        first, later = item_of(chance, 1), item_of(chance, 1, OWN, (1, 0, 0))
        older = item_of(chance, 1)
        done = writer.register(registration(chance, None, first), day=DAY)
        writer.set_states([first.item_id], state, ACT)
        kept = writer.register(registration(chance, done.case_number, older), day=DAY)
        assert kept.items[0].outcome == Outcome.KEPT
        assert states_of(writer, done.case_number) == [state]
        again = registration(chance, done.case_number, later, item_of(chance, 2))
        room = 1 if state.matches else 0
        renewed = writer.register(replace(again, live_pictures=room), day=NEXT_DAY)
        assert [item.outcome for item in renewed.items] == [Outcome.RENEWED, Outcome.ADDED]
        kept_state = LIVE if state == ENABLED else state
        assert states_of(writer, done.case_number) == [kept_state, WAITING]
        matched = plain_items(writer.matched_items(0, writer.head(), 9))
        assert [item[1] for item in matched] == [later.item_id] * state.matches
        # Its older id names it still.
        other = DISABLED if state.matches else ENABLED
        assert writer.set_states([first.item_id], other, ACT).item_ids == (later.item_id,)
        assert states_of(writer, done.case_number) == [other, WAITING]

    def test_what_waits_from_the_beginning_is_shown_by_a_later_change(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item = new_item(chance, hashes=5)
        done = writer.register(replace(registration(chance, None, item), live_pictures=0), day=DAY)
        assert shape(all_changes(reader)) == [(StateChange, False)]
        start = Cursor(done.cursor.epoch, 0)
        assert [reader.hashes_since(start), reader.hashes_since(done.cursor)] == [1, 0]
        writer.set_states([item.item_id], LIVE, ACT)
        assert shape(all_changes(reader)) == [(StateChange, False), (StateChange, True)]
        assert [reader.hashes_since(start), reader.hashes_since(done.cursor)] == [6, 5]

    def test_states_outlive_the_writer(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        item = new_item(chance)
        with open_writer() as writer:
            done = writer.register(registration(chance, None, item), day=DAY)
            cursor = writer.set_states([item.item_id], REJECTED, ACT).cursor
            acts = writer.acts(9)
        with open_writer() as writer:
            assert writer.head() == cursor
            assert states_of(writer, done.case_number) == [REJECTED]
            assert writer.acts(9) == acts

    def test_items_for_review_are_those_that_meet_every_condition(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = list[tuple[NewItem, int, str]]()
        for place in range(12):
            item, bank, day = new_item(chance), 1 + place % 2, (DAY, NEXT_DAY)[place // 6]
            writer.register(registration(chance, None, item, bank=bank), day=day)
            items.append((item, bank, day))
        for item, _, _ in items[2:8]:
            writer.set_states([item.item_id], DISABLED, ACT)
        writer.set_states([items[3][0].item_id], WAITING, ACT)
        state = [LIVE] * 2 + [DISABLED, WAITING] + [DISABLED] * 4 + [LIVE] * 4
        for wanted, places in (
            (ItemFilter(BOTH), range(12)),
            (ItemFilter(BOTH, frozenset({DISABLED})), (2, 4, 5, 6, 7)),
            (ItemFilter(BOTH, frozenset({WAITING, LIVE})), (0, 1, 3, 8, 9, 10, 11)),
            (ItemFilter(frozenset({2}), frozenset({DISABLED})), (5, 7)),
            (ItemFilter(BOTH, first_day=NEXT_DAY), range(6, 12)),
            (ItemFilter(BOTH, frozenset({DISABLED}), last_day=DAY), (2, 4, 5)),
            (ItemFilter(BOTH, item_ids=frozenset({items[5][0].item_id, bytes(16)})), (5,)),
            (ItemFilter(frozenset()), ()),
        ):
            for limit in (1, 3, 100):
                page, before = reader.items_for_review(wanted, limit)
                seen = list(page)
                while before:
                    page, before = reader.items_for_review(wanted, limit, before)
                    assert len(page) <= limit
                    seen += page
                assert [
                    (item.item_id, item.bank, item.state, item.registered_on) for item in seen
                ] == [
                    (items[place][0].item_id, items[place][1], state[place], items[place][2])
                    for place in reversed(places)
                ]
                assert [item.state_since_s for item in seen] == [
                    ACT.at_s if 2 <= place < 8 else None for place in reversed(places)
                ]
        assert reader.count_states() == {WAITING: 1, DISABLED: 5}

    def test_acts_are_kept_with_what_they_were_on(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(3)]
        done = writer.register(registration(chance, None, *items, bank=2), day=DAY)
        writer.set_states([items[1].item_id, items[0].item_id], DISABLED, ACT)
        enabled = Act(OPERATOR, "", Action.ENABLE, ACT.at_s + 1)
        writer.set_states([items[0].item_id], ENABLED, enabled)
        writer.withdraw(done.case_number, None, day=DAY)
        expected = [
            ActRecord(3, enabled, items[0].item_id, 0, 2, ""),
            ActRecord(2, ACT, items[1].item_id, 0, 2, ""),
            ActRecord(1, ACT, items[0].item_id, 0, 2, ""),
        ]
        assert reader.acts(9) == expected
        assert [*reader.acts(2), *reader.acts(2, before=2)] == expected
        assert reader.acts(2, before=1) == []
        newest, *others = expected
        assert reader.acts(9, wanted=ActFilter(from_s=enabled.at_s)) == [newest]
        assert reader.acts(9, wanted=ActFilter(until_s=enabled.at_s)) == others
        assert reader.acts(9, wanted=ActFilter(actions=frozenset({Action.ENABLE}))) == [newest]
        both = ActFilter(actions=frozenset({Action.ENABLE, ACT.action}))
        assert reader.acts(2, before=3, wanted=both) == others

    @pytest.mark.parametrize("reason", ["483920175648", "Not intimate", "a" * 33])
    def test_an_act_takes_no_free_text(self, reason: str) -> None:
        with pytest.raises(InvalidRequestError):
            replace(ACT, reason=reason)
