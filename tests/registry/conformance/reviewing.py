"""What review promises: moves, confirmations, rejections, and lists for staff."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Change, Cursor, Removal, StateChange
from disrupt.core.media import Assurance, ItemState, StateReason
from disrupt.core.outcomes import Outcome as MatchOutcome
from disrupt.core.policy import ADULTS, MINORS, BankPolicy
from disrupt.core.review import CaseFilter, Days, ItemFilter, ReviewedItem
from disrupt.errors import CaseClosedError, InvalidRequestError, NotFoundError
from disrupt.registry.contract import ROWS_AT_ONCE, RegistryReader, RegistryWriter
from tests.registry.conformance.acts import all_acts
from tests.registry.conformance.opened import Opened
from tests.registry.examples import (
    ACT,
    DAY,
    NEXT_DAY,
    OWN,
    Row,
    all_changes,
    item_of,
    new_item,
    new_report,
    plain,
    registration,
)

LIVE, WAITING, DISABLED = ItemState
ALL = frozenset({ADULTS.number, MINORS.number})
MOVE = Act(OPERATOR, Action.ITEMS_MOVED, 1_795_000_000)


def shown(changes: list[Change]) -> list[tuple[type[Change], int, bool]]:
    """Return kind and bank of each change, and whether it shows its item."""
    return [(type(change), change.bank, change.item is not None) for change in changes]


def of_bank(reader: RegistryReader, after: Cursor, bank: int) -> list[tuple[type[Change], bool]]:
    """Return what a reader of one bank sees after a cursor."""
    changes, _ = reader.changes(after, 100, [bank])
    return [(type(change), change.item is not None) for change in changes]


def listed(reader: RegistryReader, limit: int = 2, **wanted: Any) -> list[ReviewedItem]:
    """Return the items of every page."""
    filtered = replace(ItemFilter(ALL), **wanted)
    items, before = list[ReviewedItem](), None
    while before != 0:
        page, before = reader.reviewed_items(filtered, before, limit)
        assert len(page) <= limit
        items += page
    return items


class ReviewingConformance(Opened):
    """Staff move, confirm and reject items, and see what they need for that."""

    def test_an_item_leaves_one_bank_and_comes_into_another_as_it_was(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item = new_item(chance)
        done = writer.register(registration(chance, None, item), day=DAY)
        (before,) = map(plain, all_changes(reader))
        for _ in range(2):
            cursor = writer.move_items([item.item_id], MINORS.number, act=MOVE)
            assert cursor == reader.head()
        changes = all_changes(reader)
        assert shown(changes) == [
            (Removal, 2, False),
            (StateChange, 1, False),
            (StateChange, 2, True),
        ]
        assert plain(changes[2]) == (*before[:2], MINORS.number, *before[3:])
        assert of_bank(reader, done.cursor, 1) == [(StateChange, False)]
        assert of_bank(reader, done.cursor, 2) == [(StateChange, True)]
        assert reader.removed_since(done.cursor) == 0
        (record,) = reader.states([item.item_id])
        assert (record.bank, record.state, record.changed_on) == (2, LIVE, "")
        (act,) = all_acts(reader)
        assert json.loads(act.subject) == {
            "items": [item.item_id.hex()],
            "left": "adults",
            "bank": "minors",
        }
        case = reader.case(done.case_number)
        assert case is not None
        assert [held.bank for held in case.items] == [2]

    @pytest.mark.parametrize("state", [WAITING, DISABLED])
    def test_a_hidden_item_that_is_moved_stays_hidden_and_leaves_nothing_in_its_bank(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        state: ItemState,
    ) -> None:
        item = new_item(chance)
        added = writer.register(registration(chance, None, item), day=DAY).cursor
        writer.set_states([item.item_id], state, day=DAY, act=ACT)
        writer.move_items([item.item_id], MINORS.number, act=MOVE)
        # A reader of the old bank that has the item has yet to learn that it was hidden.
        assert of_bank(reader, added, 1) == [(StateChange, False)]
        assert not [change for change in all_changes(reader) if change.item is not None]
        writer.set_states([item.item_id], LIVE, day=DAY, act=ACT)
        assert of_bank(reader, added, 1) == [(StateChange, False)]
        assert of_bank(reader, added, 2) == [(StateChange, False), (StateChange, True)]

    def test_a_withdrawal_after_a_move_is_seen_in_the_new_bank(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item = new_item(chance)
        done = writer.register(registration(chance, None, item), day=DAY)
        moved = writer.move_items([item.item_id], MINORS.number, act=MOVE)
        writer.withdraw(done.case_number, None, day=DAY)
        assert of_bank(reader, moved, 2) == [(Removal, False)]
        assert of_bank(reader, done.cursor, 1) == [(StateChange, False)]
        assert reader.removed_since(done.cursor) == 1

    @pytest.mark.parametrize("bank", [ADULTS.number, MINORS.number])
    @pytest.mark.parametrize("rows", [(OWN,), (OWN, (1, 0, 0))], ids=["the same", "with more"])
    def test_an_item_in_a_bank_that_only_staff_fill_stays_there_when_it_is_registered_again(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        bank: int,
        rows: tuple[Row, ...],
    ) -> None:
        old, again, fresh = item_of(chance, 1), item_of(chance, 1, *rows), new_item(chance)
        number = writer.register(registration(chance, None, old), day=DAY).case_number
        kept = writer.add_bank("partners", BankPolicy(), act=ACT).number
        writer.move_items([old.item_id], kept, act=MOVE)
        done = writer.register(registration(chance, number, again, fresh, bank=bank), day=DAY)
        ids = [place.item_id for place in done.items]
        banks = {record.item_id: record.bank for record in reader.states(ids)}
        assert [banks[item_id] for item_id in ids] == [kept, bank]

    def test_what_is_moved_or_confirmed_is_hidden_an_item_at_a_time(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(3)]
        writer.register(registration(chance, None, *items), day=DAY)
        ids = [item.item_id for item in items]
        for is_move in (True, False):
            before = reader.head()
            if is_move:
                writer.move_items(ids, MINORS.number, act=MOVE)
            else:
                writer.confirm_items(ids, act=ACT)
            changes, _ = reader.changes(before, 100, None)
            seen = [(change.item_id, change.item is not None) for change in changes]
            assert seen == [(item_id, is_shown) for item_id in ids for is_shown in (False, True)]

    def test_items_are_moved_all_or_none(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        item = new_item(chance)
        head = writer.register(registration(chance, None, item), day=DAY).cursor
        with pytest.raises(NotFoundError):
            writer.move_items([item.item_id, bytes(16)], 2, act=MOVE)
        with pytest.raises(InvalidRequestError):
            writer.move_items([item.item_id], 9, act=MOVE)
        with pytest.raises(NotFoundError):
            writer.confirm_items([item.item_id, bytes(16)], act=ACT)
        assert reader.head() == head
        assert all_acts(reader) == []

    def test_confirmed_items_are_shown_with_their_assurance(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        live, hidden = new_item(chance), new_item(chance)
        done = writer.register(registration(chance, None, live, hidden), day=DAY)
        writer.set_states([hidden.item_id], DISABLED, day=DAY, act=ACT)
        item_ids = [live.item_id, hidden.item_id]
        start = reader.head()
        for _ in range(2):
            writer.confirm_items(item_ids, act=ACT)
        changes, _ = reader.changes(start, 100)
        assert shown([*changes]) == [(StateChange, 1, False), (StateChange, 1, True)]
        assert len(all_acts(reader)) == 2
        writer.set_states([hidden.item_id], LIVE, day=DAY, act=ACT)
        items = [change.item for change in all_changes(reader) if change.item is not None]
        assert [item.assurance for item in items] == [Assurance.REVIEWED] * 2
        assert reader.removed_since(done.cursor) == 0

    def test_a_case_of_which_what_is_left_is_rejected_takes_no_more(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(3)]
        number = writer.register(registration(chance, None, *items), day=DAY).case_number
        rejected, *live = (item.item_id for item in items)
        reason = StateReason.ABUSE
        writer.set_states([rejected], DISABLED, day=DAY, act=ACT, reason=reason)
        for item_id, status in zip(live, (CaseStatus.ACTIVE, CaseStatus.REJECTED), strict=True):
            writer.withdraw(number, [item_id], day=NEXT_DAY)
            case = reader.case(number)
            assert case is not None
            closed_on = NEXT_DAY if status == CaseStatus.REJECTED else ""
            assert (case.status, case.closed_on) == (status, closed_on)
        with pytest.raises(CaseClosedError):
            writer.register(registration(chance, number), day=NEXT_DAY)
        writer.withdraw(number, None, day=NEXT_DAY)

    def test_a_case_of_which_all_is_rejected_takes_no_more_until_something_is_not(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        first, second = new_item(chance), new_item(chance)
        number = writer.register(registration(chance, None, first, second), day=DAY).case_number

        def status() -> tuple[CaseStatus, str]:
            case = reader.case(number)
            assert case is not None
            return case.status, case.closed_on

        def reject(item_id: bytes, reason: StateReason) -> None:
            writer.set_states([item_id], DISABLED, day=NEXT_DAY, act=ACT, reason=reason)

        reject(first.item_id, StateReason.ABUSE)
        reject(second.item_id, StateReason.STAFF)
        assert status() == (CaseStatus.ACTIVE, "")
        reject(second.item_id, StateReason.NOT_INTIMATE)
        assert status() == (CaseStatus.REJECTED, NEXT_DAY)
        with pytest.raises(CaseClosedError):
            writer.register(registration(chance, number), day=NEXT_DAY)
        writer.set_states([first.item_id], LIVE, day=NEXT_DAY, act=ACT)
        assert status() == (CaseStatus.ACTIVE, "")
        reject(first.item_id, StateReason.ABUSE)
        writer.withdraw(number, None, day=NEXT_DAY)
        assert status() == (CaseStatus.WITHDRAWN, NEXT_DAY)

    def test_items_are_listed_newest_first_by_all_that_is_asked(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(4)]
        ids = [item.item_id for item in items]
        number = writer.register(registration(chance, None, *items[:2]), day=DAY).case_number
        writer.register(registration(chance, None, *items[2:], bank=2), day=NEXT_DAY)
        reason = StateReason.STAFF
        writer.set_states(ids[1:3], DISABLED, day=NEXT_DAY, act=ACT, reason=reason)
        writer.confirm_items(ids[3:], act=ACT)
        for item_id, outcome, reporter in (
            (ids[0], MatchOutcome.FALSE_POSITIVE, "a"),
            (ids[0], MatchOutcome.FALSE_POSITIVE, "a"),
            (ids[0], MatchOutcome.FALSE_POSITIVE, "b"),
            (ids[0], MatchOutcome.BLOCKED, "b"),
            (ids[1], MatchOutcome.BLOCKED, "b"),
        ):
            writer.report(new_report(chance, item_id, outcome, reporter), day=DAY)

        def at(**wanted: Any) -> list[int]:
            return [ids.index(item.item_id) for item in listed(reader, **wanted)]

        assert at() == [3, 2, 1, 0]
        assert at(banks=frozenset({2})) == [3, 2]
        assert at(banks=frozenset[int]()) == []
        assert at(states=frozenset({LIVE})) == [3, 0]
        assert at(states=frozenset({WAITING, DISABLED})) == [2, 1]
        assert at(assurances=frozenset({Assurance.REVIEWED})) == [3]
        assert at(registered=Days(NEXT_DAY)) == at(registered=Days(NEXT_DAY, NEXT_DAY)) == [3, 2]
        assert at(registered=Days("", DAY)) == [1, 0]
        assert at(changed=Days(NEXT_DAY)) == at(changed=Days("", NEXT_DAY)) == [2, 1]
        assert at(changed=Days("", DAY)) == []
        assert at(outcome=MatchOutcome.BLOCKED) == [1, 0]
        assert at(outcome=MatchOutcome.FALSE_POSITIVE) == at(least_reports=2) == [0]
        assert at(case_of=ids[0]) == [1, 0]
        oldest, second = listed(reader, limit=9, case_of=ids[0])[::-1]
        assert oldest.organisations == {MatchOutcome.BLOCKED: 1, MatchOutcome.FALSE_POSITIVE: 2}
        assert (oldest.reports, oldest.registered_on, oldest.reason) == (4, DAY, None)
        assert (second.state, second.reason, second.changed_on) == (DISABLED, reason, NEXT_DAY)
        assert oldest.case == second.case != listed(reader)[0].case
        assert [*reader.reviewed([ids[1], bytes(16), ids[0]])] == [oldest, second]
        writer.withdraw(number, ids[:1], day=NEXT_DAY)
        assert at() == [3, 2, 1]
        assert [*reader.reviewed(ids[:1])] == []
        with pytest.raises(NotFoundError):
            at(case_of=ids[0])

    def test_a_page_ends_after_so_many_rows_and_says_where_to_go_on(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        assert reader.reviewed_items(ItemFilter(ALL), None, 5) == ([], 0)
        items = [new_item(chance, hashes=1) for _ in range(7)]
        writer.register(registration(chance, None, *items), day=DAY)
        assert len(items) < ROWS_AT_ONCE
        page, before = reader.reviewed_items(ItemFilter(ALL), None, 7)
        assert (len(page), before) == (7, 0)
        monkeypatch.setattr("disrupt.registry.review.ROWS_AT_ONCE", 3)
        wanted = ItemFilter(ALL, states=frozenset({DISABLED}))
        assert reader.reviewed_items(wanted, None, 5) == ([], 5)
        assert [item.number for item in listed(reader, limit=2)] == [7, 6, 5, 4, 3, 2, 1]

    def test_cases_are_listed_newest_first_with_the_states_of_their_items(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        items = [new_item(chance) for _ in range(3)]
        writer.register(registration(chance, None, *items), day=DAY)
        minor = new_item(chance)
        writer.register(registration(chance, None, minor, bank=2), day=NEXT_DAY)
        gone = writer.register(registration(chance), day=NEXT_DAY)
        writer.withdraw(gone.case_number, None, day=NEXT_DAY)
        for item, reason in zip(items[1:], (StateReason.STAFF, StateReason.ABUSE), strict=True):
            writer.set_states([item.item_id], DISABLED, day=DAY, act=ACT, reason=reason)
        (empty, other, case), before = reader.reviewed_cases(CaseFilter(ALL), None, 3)
        assert before == 0
        assert (empty.status, empty.item_id, empty.states) == (CaseStatus.WITHDRAWN, b"", {})
        assert (other.item_id, other.states) == (minor.item_id, {LIVE: 1})
        assert (case.states, case.rejected) == ({LIVE: 1, DISABLED: 2}, 1)
        assert (case.status, case.opened_on, case.closed_on) == (CaseStatus.ACTIVE, DAY, "")
        assert case.item_id == items[0].item_id

        def numbers(**wanted: Any) -> list[int]:
            filtered = replace(CaseFilter(ALL), **wanted)
            return [each.number for each in reader.reviewed_cases(filtered, None, 9)[0]]

        assert numbers(banks=frozenset({1})) == [3, 1]
        assert numbers(statuses=frozenset({CaseStatus.WITHDRAWN})) == [3]
        assert numbers(opened=Days(NEXT_DAY)) == [3, 2]
        (page, before) = reader.reviewed_cases(CaseFilter(ALL), None, 2)
        assert [each.number for each in page] == [3, 2]
        assert [each.number for each in reader.reviewed_cases(CaseFilter(ALL), before, 2)[0]] == [1]
