"""Promises of withdrawing."""

import random

import pytest

from disrupt.core.changes import Addition, Removal
from disrupt.core.policy import MINORS
from disrupt.core.registrations import WithdrawnItem
from disrupt.errors import CursorExpiredError, NotFoundError
from disrupt.registry.records import Withdrawn
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import (
    DAY,
    NEXT_DAY,
    OWN,
    all_changes,
    item_of,
    new_case,
    new_item,
    plain,
    registration,
)
from tests.registry.conformance.opened import Opened


class WithdrawingConformance(Opened):
    """Withdrawing removes items for good, and keeps what a case was."""

    def test_withdrawn_addition_is_delivered_as_a_removal(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        kept, gone = registration(chance), registration(chance, bank=MINORS.number)
        first = writer.register(gone, day=DAY)
        writer.register(kept, day=DAY)
        before = all_changes(reader)
        assert all(isinstance(change, Addition) for change in before)
        writer.withdraw(first.case_number, None, day=DAY)
        after = all_changes(reader)
        assert isinstance(after[0], Removal)
        assert isinstance(after[2], Removal)
        assert plain(after[0]) == plain(after[2]) == plain(before[0])[:3]
        assert plain(after[1]) == plain(before[1])
        assert [change.sequence for change in after[:2]] == [change.sequence for change in before]

    def test_withdrawing_again_changes_nothing(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case = new_case(chance)
        item, other_item = new_item(chance), new_item(chance)
        writer.register(registration(chance, case, item, other_item), day=DAY)
        first = writer.withdraw(case.number, [item.item_id, item.item_id], day=DAY)
        assert first.items == (WithdrawnItem(item.item_id, 1),)
        nothing = Withdrawn((), first.cursor)
        assert writer.withdraw(case.number, [item.item_id], day=DAY) == nothing
        assert writer.withdraw(case.number, [], numbers=[1], day=DAY) == nothing
        assert writer.withdraw(case.number, [], day=DAY) == nothing
        whole = writer.withdraw(case.number, None, day=DAY)
        assert whole.items == (WithdrawnItem(other_item.item_id, 2),)
        nothing = Withdrawn((), whole.cursor)
        record = writer.case(case.number)
        assert writer.withdraw(case.number, None, day=NEXT_DAY) == nothing
        both = [item.item_id, other_item.item_id]
        assert writer.withdraw(case.number, both, numbers=[1, 2], day=NEXT_DAY) == nothing
        assert writer.case(case.number) == record

    def test_an_old_id_withdraws_what_its_picture_is_now(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        case, other = new_case(chance), new_case(chance)
        writer.register(registration(chance, other), day=DAY)
        versions = [
            item_of(chance, 1, OWN, *[(1, at, 0) for at in range(count)]) for count in range(4)
        ]
        writer.register(registration(chance, case, new_item(chance), versions[0]), day=DAY)
        for version in versions[1:]:
            result = writer.register(registration(chance, case.number, version), day=NEXT_DAY)
            assert (result.items[0].item_id, result.items[0].number) == (version.item_id, 2)
        record = writer.case(case.number)
        assert record is not None
        assert [(item.number, item.registered_on) for item in record.items] == [(1, DAY), (2, DAY)]
        *older, last = [version.item_id for version in versions]
        for item_id in (older[0], last):
            with pytest.raises(NotFoundError):  # in another case
                writer.withdraw(other.number, [item_id], day=DAY)
        done = writer.withdraw(case.number, older[:2], day=DAY)
        assert [(item.item_id, item.number) for item in done.items] == [(last, 2)]
        assert set(done.items[0].replaced_ids) == set(older[:2])
        again = Withdrawn((), done.cursor)
        for number in (case.number, other.number):  # nothing links the ids to a case any more
            assert writer.withdraw(number, [*older, last], day=DAY) == again
        new = writer.register(registration(chance, case.number, item_of(chance, 1)), day=DAY)
        assert new.items[0].number == 3, "a number is not given again"

    def test_what_was_removed_since_a_cursor_is_listed_alone(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        first, second = new_item(chance), new_item(chance)
        case = writer.register(registration(chance, None, first, second), day=DAY).case_number
        begin = reader.head()
        writer.withdraw(case, [first.item_id], day=DAY)
        between = reader.head()
        writer.withdraw(case, [second.item_id], day=DAY)
        listed = reader.journaled()
        assert [removed.item_id for removed in listed] == [first.item_id, second.item_id]  # type: ignore[union-attr]
        assert reader.journaled(begin) == listed
        assert reader.journaled(between) == listed[1:]
        assert reader.journaled(reader.head()) == []
        writer.begin_epoch()
        with pytest.raises(CursorExpiredError):
            reader.journaled(between)

    def test_withdrawing_an_unknown_case_is_refused(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        with pytest.raises(NotFoundError):
            writer.withdraw(new_case(chance).number, None, day=DAY)
