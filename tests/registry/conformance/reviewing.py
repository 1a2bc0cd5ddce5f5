"""Promises of what staff decide about items: moves, confirmations, and what they list."""

import random

import pytest

from disrupt.core.acts import Act, Action
from disrupt.core.changes import Addition, Removal, StateChange, shown_item
from disrupt.core.media import Assurance
from disrupt.core.outcomes import MatchOutcome
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.errors import NotFoundError
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import DAY, all_changes, new_item, plain_items, registration
from tests.registry.conformance.opened import Opened
from tests.registry.conformance.outcomes import report

MOVE = Act("0a1b2c3d", "hotline", Action.MOVE, 1_795_000_000)
CONFIRM = Act("0a1b2c3d", "hotline", Action.CONFIRM, 1_795_000_000)
ADULTS, MINORS = 1, 2
BOTH = frozenset({ADULTS, MINORS})


class ReviewingConformance(Opened):
    """A decision about items is whole, idempotent, on record, and told to the feed in order."""

    @pytest.mark.parametrize("read_before", range(3))
    def test_a_reader_of_one_bank_sees_a_moved_item_go_or_come(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        read_before: int,
    ) -> None:
        item = new_item(chance)
        done = writer.register(registration(chance, None, item), day=DAY)
        cursors = [done.cursor]
        for to in (MINORS, ADULTS, MINORS):
            moved = writer.move_items([item.item_id], to, MOVE)
            assert moved.item_ids == (item.item_id,)
            cursors.append(moved.cursor)
        again = writer.move_items([item.item_id], MINORS, MOVE)
        assert (again.item_ids, again.cursor) == ((), cursors[-1])
        held = {ADULTS: 1, MINORS: 0} if read_before % 2 == 0 else {ADULTS: 0, MINORS: 1}
        for bank, has in held.items():
            changes, _ = reader.changes(cursors[read_before], 99, [bank])
            shown = has
            for change in changes:
                is_shown = shown_item(change) is not None
                assert not (is_shown and shown)
                shown = is_shown
            assert shown == (bank == MINORS)
        matched = reader.matched_items(0, reader.head(), 9)
        assert matched.bank.tolist() == [MINORS]
        assert len([act for act in reader.acts(9) if act.act == MOVE]) == 3
        assert {act.bank for act in reader.acts(1)} == {MINORS}

    def test_an_item_that_is_moved_while_hidden_stays_so_and_goes_from_who_had_it(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item = new_item(chance)
        done = writer.register(registration(chance, None, item), day=DAY)
        writer.set_states([item.item_id], ItemState.DISABLED, MOVE)
        writer.move_items([item.item_id], MINORS, MOVE)
        (hidden,), _ = reader.changes(done.cursor, 9, [ADULTS])
        assert isinstance(hidden, StateChange)
        assert hidden.item is None
        assert len(reader.matched_items(0, reader.head(), 9)) == 0
        writer.set_states([item.item_id], ItemState.ENABLED, MOVE)
        assert reader.matched_items(0, reader.head(), 9).bank.tolist() == [MINORS]
        writer.withdraw(done.case_number, None, day=DAY)
        assert {type(change) for change in all_changes(reader)} == {Removal}
        assert len(reader.matched_items(0, reader.head(), 9)) == 0

    def test_a_confirmed_item_is_shown_anew_as_reviewed(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(2)]
        ids = [item.item_id for item in items]
        done = writer.register(registration(chance, None, *items), day=DAY)
        writer.set_states(ids[1:], ItemState.WAITING, CONFIRM)
        hidden = reader.head()
        confirmed = writer.confirm_items(ids, CONFIRM)
        assert confirmed.item_ids == tuple(ids)
        assert writer.confirm_items(ids, CONFIRM).item_ids == ()
        changes, _ = reader.changes(hidden, 9)
        assert [(change.number, shown_item(change) is not None) for change in changes] == [
            (1, False),
            (1, True),
        ]
        assert reader.matched_items(0, reader.head(), 9).assurance.tolist() == [Assurance.REVIEWED]
        assert not any(isinstance(change, Addition) for change in all_changes(reader)[:2])
        writer.set_states(ids[1:], ItemState.LIVE, CONFIRM)
        assert plain_items(reader.matched_items(1, reader.head(), 9))[0][4] == Assurance.REVIEWED
        assert reader.registered(bytes(16)) is None
        assert done.status.name == "ACTIVE"

    def test_what_is_unknown_withdrawn_or_in_another_bank_changes_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        item, gone = new_item(chance), new_item(chance)
        done = writer.register(registration(chance, None, item, gone), day=DAY)
        other = new_item(chance)
        writer.register(registration(chance, None, other, bank=MINORS), day=DAY)
        writer.withdraw(done.case_number, [gone.item_id], day=DAY)
        head = writer.head()
        for strange in (gone.item_id, other.item_id, chance.randbytes(16)):
            ids = [item.item_id, strange]
            with pytest.raises(NotFoundError):
                writer.move_items(ids, MINORS, MOVE, banks=[ADULTS])
            with pytest.raises(NotFoundError):
                writer.confirm_items(ids, CONFIRM, banks=[ADULTS])
            with pytest.raises(NotFoundError):
                writer.set_states(ids, ItemState.DISABLED, MOVE, banks=[ADULTS])
        assert (writer.head(), writer.acts(9)) == (head, [])

    def test_items_are_listed_with_what_was_reported_of_them(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(3)]
        writer.register(registration(chance, None, *items), day=DAY)
        reported = (
            (0, MatchOutcome.BLOCKED, "a"),
            (0, MatchOutcome.BLOCKED, "b"),
            (0, MatchOutcome.FALSE_POSITIVE, "c"),
            (1, MatchOutcome.FALSE_POSITIVE, "a"),
            (1, MatchOutcome.BLOCKED, "a"),
        )
        for place, outcome, organisation in reported:
            report(writer, items[place].item_id, outcome, organisation)
        listed = reader.items_for_review(ItemFilter(BOTH), 9).items
        assert [item.organisations for item in listed] == [
            {},
            {MatchOutcome.BLOCKED: 1},
            {MatchOutcome.BLOCKED: 2},
        ]
        organisations = [each.disputes and each.disputes.organisations for each in listed]
        assert organisations == [None, None, 1]
        for outcome, numbers in (
            (MatchOutcome.BLOCKED, [2, 1]),
            (MatchOutcome.NOT_BLOCKED, []),
        ):
            page = reader.items_for_review(ItemFilter(BOTH, outcome=outcome), 9)
            assert [item.number for item in page.items] == numbers

    def test_acts_on_items_of_other_banks_can_be_left_out(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        for bank in (ADULTS, MINORS):
            item = new_item(chance)
            writer.register(registration(chance, None, item, bank=bank), day=DAY)
            writer.set_states([item.item_id], ItemState.DISABLED, MOVE)
        assert [act.bank for act in reader.acts(9, banks=[MINORS])] == [MINORS]
        assert [act.bank for act in reader.acts(9, banks=BOTH)] == [MINORS, ADULTS]
