"""Promises of acts on all items that conditions name, of their undoing, and of tags."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from disrupt.core.acts import Act, Action
from disrupt.core.case_erasures import CONFIRM_WITHIN_S, DELAY_S
from disrupt.core.review import BY_STAFF, UNDO_WITHIN_S, Done, ItemFilter, ReviewedItem
from disrupt.core.states import ItemState
from disrupt.errors import (
    ItemsChangedError,
    LimitExceededError,
    NotFoundError,
    UndoTooLateError,
)
from disrupt.registry import registry
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import (
    DAY,
    NEXT_DAY,
    OWN,
    all_changes,
    item_of,
    new_item,
    plain_items,
    registration,
)
from tests.registry.conformance.erasing import FIRST, SECOND, ask
from tests.registry.conformance.opened import Opened

LIVE, ENABLED, WAITING, DISABLED, REJECTED = ItemState
AT_S = 1_795_000_000
ADULTS, MINORS = 1, 2
BOTH = frozenset({ADULTS, MINORS})
EVERYTHING = ItemFilter(BOTH)
MONTH_LATER = "2026-12-24"
"""30 days after DAY."""


def act(action: Action, at_s: int = AT_S) -> Act:
    return Act("0a1b2c3d", "hotline", action, at_s, "flood")


def listed(reader: RegistryReader, wanted: ItemFilter = EVERYTHING) -> dict[bytes, ReviewedItem]:
    """Return the items that conditions name, in the order of their registration."""
    page = reader.items_for_review(wanted, 500).items
    return {item.item_id: item for item in page[::-1]}


def states_of(reader: RegistryReader) -> list[ItemState]:
    return [item.state for item in listed(reader).values()]


def set_all(writer: RegistryWriter, wanted: ItemFilter, state: ItemState, at_s: int = AT_S) -> Done:
    expected = writer.count_items(wanted).items
    return writer.set_all_states(wanted, state, act(BY_STAFF[state], at_s), expected=expected)


def undo(writer: RegistryWriter, number: int, at_s: int = AT_S + 9) -> int:
    return writer.undo(number, act(Action.UNDO, at_s), banks=BOTH).items


def register(
    writer: RegistryWriter,
    chance: random.Random,
    *hashes: int,
    bank: int = ADULTS,
    day: str = DAY,
) -> tuple[str, list[bytes], ItemFilter]:
    """Register a case; return its number, the ids of its items, and a filter by its tag."""
    items = [new_item(chance, count) for count in hashes]
    number = writer.register(registration(chance, None, *items, bank=bank), day=day).case_number
    ids = [item.item_id for item in items]
    tag = listed(writer, ItemFilter(BOTH, item_ids=frozenset(ids)))[ids[0]].case_tag
    return number, ids, ItemFilter(BOTH, case_tag=tag)


class BulkConformance(Opened):
    """All that conditions name is changed as one act, which is undone item by item."""

    def test_items_of_a_case_have_its_tag_and_no_other_case_has(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        number, ids, of_case = register(writer, chance, 1, 3)
        register(writer, chance, 2)
        more = new_item(chance)
        writer.register(registration(chance, number, more), day=NEXT_DAY)
        assert list(listed(reader, of_case)) == [*ids, more.item_id]
        assert [item.hashes for item in listed(reader).values()] == [1, 3, 2, 2]
        assert len({item.case_tag for item in listed(reader).values()}) == 2

    def test_conditions_are_counted_as_they_are_listed(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, ids, of_case = register(writer, chance, 1, 3)
        register(writer, chance, 5, bank=MINORS, day=NEXT_DAY)
        writer.set_states(ids[:1], DISABLED, act(Action.DISABLE))
        for wanted in (
            EVERYTHING,
            of_case,
            ItemFilter(BOTH, least_hashes=3),
            ItemFilter(BOTH, first_day=NEXT_DAY),
            ItemFilter(BOTH, frozenset({DISABLED})),
            ItemFilter(frozenset({MINORS})),
            ItemFilter(BOTH, case_tag=bytes(8)),
            ItemFilter(BOTH, key_id="nobody"),
            ItemFilter(BOTH, origin_tag=bytes(8)),
        ):
            named, counts = listed(reader, wanted).values(), reader.count_items(wanted)
            assert counts.items == len(named)
            assert counts.hashes == sum(item.hashes for item in named)
            assert counts.cases == len({item.case_tag for item in named})
            assert counts.banks == Counter(item.bank for item in named)
            assert counts.days == Counter(item.registered_on for item in named)
            assert counts.states == Counter(item.state for item in named)

    def test_all_that_is_named_is_hidden_as_one_act_and_shown_again_by_undoing_it(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, ids, of_case = register(writer, chance, 1, 1, 1, 1)
        register(writer, chance, 1)
        writer.set_states(ids[:1], DISABLED, act(Action.DISABLE))
        writer.set_states(ids[1:2], ENABLED, act(Action.ENABLE))
        writer.set_states(ids[2:3], REJECTED, act(Action.REJECT))
        before = states_of(reader)
        matched = plain_items(reader.matched_items(0, reader.head(), 9))
        acts = reader.acts(99)
        done = set_all(writer, of_case, REJECTED)
        assert (done.items, done.cursor) == (3, reader.head())
        assert states_of(reader) == [REJECTED] * 4 + [LIVE]
        assert reader.matched_items(0, reader.head(), 9).number.tolist() == [5]
        (noted,) = reader.acts(1)
        assert (noted.number, noted.act, noted.items) == (done.act, act(Action.REJECT), 3)
        assert (noted.case_tag, noted.bank, noted.item_id) == (of_case.case_tag, ADULTS, b"")
        assert set_all(writer, of_case, REJECTED) == replace(done, act=0, items=0)
        back = writer.undo(done.act, act(Action.UNDO), banks=BOTH)
        assert (back.items, back.cursor) == (3, reader.head())
        assert states_of(reader) == before
        assert plain_items(reader.matched_items(0, reader.head(), 9)) == matched
        (undone,) = reader.acts(1)
        assert (undone.number, undone.items, undone.undone) == (back.act, 3, done.act)
        assert undone.case_tag == of_case.case_tag
        assert undo(writer, done.act) == 0
        assert len(reader.acts(99)) == len(acts) + 2

    def test_the_feed_tells_of_each_item_whose_matching_changes_once_for_each_act(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, ids, of_case = register(writer, chance, *[1] * 5)
        writer.set_states(ids[:2], WAITING, act(Action.HOLD))
        cursor = reader.head()
        done = set_all(writer, of_case, DISABLED)
        changes, hidden = reader.changes(cursor, 99)
        assert [change.number for change in changes] == [3, 4, 5]
        undo(writer, done.act)
        changes, _ = reader.changes(hidden, 99)
        assert [change.number for change in changes] == [3, 4, 5]
        assert states_of(reader) == [WAITING] * 2 + [LIVE] * 3
        assert len(all_changes(reader)) == 5 + 2 + 3 + 3

    def test_another_number_of_items_than_expected_or_too_many_change_nothing(
        self, writer: RegistryWriter, chance: random.Random, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        number, _, of_case = register(writer, chance, 1, 1)
        head, said = writer.head(), act(Action.REJECT)
        for expected in (0, 1, 3):
            with pytest.raises(ItemsChangedError):
                writer.set_all_states(of_case, REJECTED, said, expected=expected)
        monkeypatch.setattr(registry, "ITEMS_OF_ACT_MAX", 1)
        with pytest.raises(LimitExceededError):
            writer.set_all_states(of_case, REJECTED, said, expected=2)
        assert (writer.head(), writer.acts(9), states_of(writer)) == (head, [], [LIVE] * 2)
        assert number

    def test_what_was_withdrawn_renewed_or_decided_on_since_is_not_undone(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        pictures = [item_of(chance, picture, OWN) for picture in range(5)]
        ids = [item.item_id for item in pictures]
        number = writer.register(registration(chance, None, *pictures), day=DAY).case_number
        done = set_all(writer, ItemFilter(BOTH, least_hashes=1), REJECTED)
        writer.withdraw(number, ids[:1], day=DAY)
        renewed = item_of(chance, 1, OWN, (1, 0, 0))
        writer.register(registration(chance, number, renewed), day=DAY)
        writer.set_states(ids[2:3], ENABLED, act(Action.ENABLE))
        writer.set_states(ids[2:4], REJECTED, act(Action.REJECT))
        assert undo(writer, done.act) == 1
        assert {item_id: item.state for item_id, item in listed(reader).items()} == {
            **dict.fromkeys((renewed.item_id, *ids[2:4]), REJECTED),
            ids[4]: LIVE,
        }
        assert undo(writer, done.act) == 0

    def test_acts_upon_acts_are_undone_in_turn(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        register(writer, chance, 1, 2, 3)
        at_least = [ItemFilter(BOTH, least_hashes=count) for count in (1, 2, 3)]
        wide = set_all(writer, at_least[0], REJECTED)
        narrow = set_all(writer, at_least[1], DISABLED, AT_S + 1)
        again = set_all(writer, at_least[2], REJECTED, AT_S + 2)
        assert states_of(reader) == [REJECTED, DISABLED, REJECTED]
        for done, items in ((again, 1), (narrow, 2), (wide, 3)):
            assert undo(writer, done.act) == items
        assert states_of(reader) == [LIVE] * 3

    def test_an_act_that_is_undone_early_leaves_what_later_acts_have_decided(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        register(writer, chance, 1, 2)
        wide = set_all(writer, ItemFilter(BOTH, least_hashes=1), REJECTED)
        later = set_all(writer, ItemFilter(BOTH, least_hashes=2), ENABLED, AT_S + 1)
        assert undo(writer, wide.act) == 1
        assert states_of(reader) == [LIVE, ENABLED]
        assert undo(writer, later.act) == 1
        assert states_of(reader) == [LIVE, REJECTED]

    def test_an_act_is_undone_in_the_banks_of_the_key_and_for_some_days(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        for bank in (ADULTS, MINORS):
            register(writer, chance, 1, bank=bank)
        done = set_all(writer, ItemFilter(BOTH, least_hashes=1), DISABLED)
        of_minors = set_all(writer, ItemFilter(frozenset({MINORS}), least_hashes=1), REJECTED)
        said = act(Action.UNDO, AT_S + UNDO_WITHIN_S - 1)
        assert writer.undo(of_minors.act, said, banks={MINORS}).items == 1
        assert writer.undo(done.act, said, banks={ADULTS}).items == 1
        assert states_of(reader) == [LIVE, DISABLED]
        number = writer.undo(done.act, said, banks={MINORS}).act
        assert states_of(reader) == [LIVE, LIVE]
        for strange in (0, number, done.act + 99):
            with pytest.raises(NotFoundError):
                writer.undo(strange, said, banks=BOTH)
        with pytest.raises(NotFoundError):
            writer.undo(of_minors.act, said, banks={ADULTS})
        late = set_all(writer, ItemFilter(BOTH, least_hashes=1), DISABLED)
        with pytest.raises(UndoTooLateError):
            undo(writer, late.act, AT_S + UNDO_WITHIN_S)
        assert not writer.forget(day=DAY, at_s=AT_S + UNDO_WITHIN_S)
        assert undo(writer, late.act) == 0, "what it would need is erased"

    def test_what_staff_have_hidden_within_a_day_is_counted_until_it_is_shown(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, ids, of_case = register(writer, chance, 1, 1, 1)
        register(writer, chance, 1)
        writer.set_states(ids[:1], REJECTED, act(Action.REJECT, AT_S - 1))
        assert [reader.count_hidden(since_s=since_s) for since_s in (AT_S - 1, AT_S)] == [1, 0]
        done = set_all(writer, of_case, DISABLED)
        assert reader.count_hidden(since_s=AT_S) == 3
        writer.set_states(ids[2:], ENABLED, act(Action.ENABLE))
        assert reader.count_hidden(since_s=AT_S) == 2
        undo(writer, done.act)
        assert reader.count_hidden(since_s=AT_S) == 0

    def test_what_staff_have_moved_counts_as_hidden_since_platforms_may_not_look_there(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        number, ids, _ = register(writer, chance, 1, 1)
        writer.move_items(ids, MINORS, act(Action.MOVE))
        assert [reader.count_hidden(since_s=since_s) for since_s in (AT_S, AT_S + 1)] == [2, 0]
        writer.withdraw(number, ids[:1], day=DAY)
        assert reader.count_hidden(since_s=AT_S) == 1

    def test_tags_are_erased_after_thirty_days_and_drawn_anew_where_they_are_needed(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        number, _, of_case = register(writer, chance, 1)
        _, _, later = register(writer, chance, 1, day=NEXT_DAY)
        assert not writer.forget(day="2026-12-23", at_s=AT_S)
        assert len(listed(reader, of_case)) == 1
        assert not writer.forget(day=MONTH_LATER, at_s=AT_S)
        assert [item.case_tag for item in listed(reader).values()] == [b"", later.case_tag]
        writer.register(registration(chance, number), day=MONTH_LATER)
        tags = [item.case_tag for item in listed(reader).values()]
        assert tags[0] == tags[2] != b""
        assert tags[0] not in {of_case.case_tag, later.case_tag}
        writer.forget(day="2027-01-22", at_s=AT_S)
        assert [item.case_tag for item in listed(reader).values()] == [tags[0], b"", tags[0]]

    def test_the_record_and_the_list_of_erasures_name_a_case_by_its_tag(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        number, _, of_case = register(writer, chance, 1, 1)
        other, _, of_other = register(writer, chance, 1, bank=MINORS)

        def pending(at_s: int = AT_S, banks: frozenset[int] = BOTH) -> list[tuple[object, ...]]:
            page = writer.erasures(1, banks=banks, at_s=at_s)
            rows = [*page.erasures]
            while page.before:
                page = writer.erasures(1, page.before, banks=banks, at_s=at_s)
                rows += page.erasures
            return [(row.case_tag, row.asked_by, row.due_at_s, row.items) for row in rows]

        asked = ask(writer, number, FIRST)
        assert (asked.case_tag, asked.asked_by) == (of_case.case_tag, FIRST)
        ask(writer, other, SECOND)
        first, second = (of_case.case_tag, FIRST, None, 2), (of_other.case_tag, SECOND, None, 1)
        assert pending() == [second, first]
        assert pending(banks=frozenset({ADULTS})) == [first]
        assert pending(AT_S + CONFIRM_WITHIN_S) == []
        confirmed = ask(writer, number, SECOND, AT_S + 5)
        assert confirmed.case_tag == of_case.case_tag
        due = (of_case.case_tag, FIRST, AT_S + 5 + DELAY_S, 2)
        assert pending(AT_S + CONFIRM_WITHIN_S) == [due]
        assert [record.case_tag for record in reader.acts(3)] == [
            *(of_case.case_tag, of_other.case_tag, of_case.case_tag)
        ]
        writer.erase_due(at_s=AT_S + 5 + DELAY_S, day=NEXT_DAY)
        assert reader.acts(1)[0].case_tag == of_case.case_tag
        assert pending() == [second]

    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_random_walk_agrees_with_a_naive_model(
        self, writer: RegistryWriter, seed: int
    ) -> None:
        Walk(writer, seed).take(200)


@dataclass
class ModelItem:
    """An item of a case; ``hashes`` of its picture, and what it was before each act on many."""

    item_id: bytes
    case: str
    picture: int
    hashes: int
    state: ItemState = LIVE
    by: int = 0
    """Number of the act on many that gave the state; 0: another."""


class Walk:
    """Take random steps on few items, and compare their states with those of a naive model."""

    def __init__(self, writer: RegistryWriter, seed: int) -> None:
        self.writer = writer
        self.chance = random.Random(seed)
        self.items: list[ModelItem] = []
        self.before: dict[int, dict[bytes, tuple[ItemState, int]]] = {}
        """Of each act on many that can be undone, the states that its items had, and by what."""
        self.at_s = AT_S

    def take(self, steps: int) -> None:
        rules: list[Callable[[], None]] = [
            *(self.register, self.renew, self.withdraw, self.set_states),
            *[self.set_all_states, self.undo] * 2,
        ]
        for _ in range(steps):
            self.at_s += 1
            self.chance.choice(rules)()
            stored = {item_id: item.state for item_id, item in listed(self.writer).items()}
            assert stored == {item.item_id: item.state for item in self.items}
            matched = self.writer.matched_items(0, self.writer.head(), 999).item_id
            assert {item_id.tobytes() for item_id in matched} == {
                item.item_id for item in self.items if item.state.matches
            }

    def register(self) -> None:
        if len(self.items) > 12:
            return
        new = [
            ModelItem(b"", "", self.chance.getrandbits(32), self.chance.randint(1, 3))
            for _ in range(self.chance.randint(1, 3))
        ]
        self._send(new, None)
        self.items += new

    def renew(self) -> None:
        """Register a picture again with one hash more: a new item, hidden if the old one was."""
        if not self.items:
            return
        item = self.chance.choice(self.items)
        self._forget(item)
        item.hashes, item.by = item.hashes + 1, 0
        if item.state.matches:
            item.state = LIVE
        self._send([item], item.case)

    def _send(self, items: list[ModelItem], case: str | None) -> None:
        new = []
        for item in items:
            rows = [(0, 0, 0), *((1, ordinal, 0) for ordinal in range(item.hashes - 1))]
            new.append(item_of(self.chance, item.picture, *rows))
        done = self.writer.register(registration(self.chance, case, *new), day=DAY)
        for item, sent in zip(items, new, strict=True):
            item.item_id, item.case = sent.item_id, done.case_number

    def withdraw(self) -> None:
        if len(self.items) < 4:
            return
        item = self.chance.choice(self.items)
        self.writer.withdraw(item.case, [item.item_id], day=DAY)
        self._forget(item)
        self.items.remove(item)

    def set_states(self) -> None:
        some = self.chance.sample(self.items, min(len(self.items), 2))
        state = self.chance.choice([*BY_STAFF])
        said = act(BY_STAFF[state], self.at_s)
        self.writer.set_states([item.item_id for item in some], state, said)
        for item in some:
            self._forget(item)
            if item.state != state:
                item.state, item.by = state, 0

    def set_all_states(self) -> None:
        if not self.items:
            return
        state, least = self.chance.choice([*BY_STAFF]), self.chance.randint(1, 3)
        wanted, named = ItemFilter(BOTH, least_hashes=least), self.items
        if self.chance.random() < 0.5:
            case = self.chance.choice(self.items).case
            named = [item for item in self.items if item.case == case]
            tag = listed(self.writer)[named[0].item_id].case_tag
            wanted = replace(wanted, case_tag=tag)
        done = set_all(self.writer, wanted, state, self.at_s)
        changed = [item for item in named if item.hashes >= least and item.state != state]
        assert done.items == len(changed)
        assert (done.act > 0) == bool(changed)
        if not changed:
            return
        self.before[done.act] = {item.item_id: (item.state, item.by) for item in changed}
        for item in changed:
            item.state, item.by = state, done.act

    def undo(self) -> None:
        if not self.before:
            return
        number = self.chance.choice([*self.before])
        kept = self.before[number]
        self.before[number] = {}
        back = [item for item in self.items if item.item_id in kept and item.by == number]
        assert undo(self.writer, number, self.at_s) == len(back)
        for item in back:
            item.state, item.by = kept[item.item_id]

    def _forget(self, item: ModelItem) -> None:
        """Forget what acts would give an item back."""
        for kept in self.before.values():
            kept.pop(item.item_id, None)
