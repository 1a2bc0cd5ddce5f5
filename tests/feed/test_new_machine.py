"""What is new since a day, against plain copies of all that lookups found at each day's end."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Collection
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.media import day_number
from disrupt.core.outcomes import (
    MatchedVersion,
    MatchOutcome,
    NarrowingPolicy,
    OutcomeReport,
    Settlement,
)
from disrupt.core.policy import FIRST_BANKS, Bank
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.data_directory import DataDirectory
from disrupt.feed.follower import Follower
from disrupt.index import part
from disrupt.index.generations import create_first
from disrupt.index.live import LiveIndex
from disrupt.registry import opening
from disrupt.registry.records import NewItem
from disrupt.upkeep.compaction import compact
from disrupt.upkeep.rebuild import rebuild
from rig.media.codes import answers, search
from rig.media.registrations import ensure_key, item_of, new_case, registration

BITS = NarrowingPolicy().floor_bits + 1
"""Distance at which matches are disputed."""

PICK = st.integers(0, 2**32).map(random.Random)

Answers = dict[bytes, set[tuple[object, ...]]]
"""What lookups answer of each item."""


class NewMachine(RuleBasedStateMachine):
    """``ends`` has what lookups found when each day began, ``touched`` when items were changed."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        patches = self.stack.enter_context(pytest.MonkeyPatch.context())
        patches.setattr(part, "_COPIED_SHARE", 2)
        self.today = date(2026, 11, 24)
        self.cases: dict[bytes, str] = {}
        self.stored: dict[bytes, NewItem] = {}
        self.pictures: dict[bytes, int] = {}
        self.ends: dict[int, Answers] = {}
        self.touched: dict[bytes, int] = {}

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.chance = random.Random(seed)
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.directory = DataDirectory(folder / "data")
        self.directory.make()
        self.stack.enter_context(self.directory.locked())
        self.registry = self.stack.enter_context(opening.writing(self.directory))
        create_first(self.directory.index, self.registry.head().epoch)
        for organisation in "ab":
            ensure_key(self.registry, organisation)
        self.live = LiveIndex()
        self.follower = Follower(self.registry, self.live, self.directory.index)
        self.register(3)

    def teardown(self) -> None:
        self.stack.close()

    def act(self, action: Action = Action.DISABLE) -> Act:
        return Act(SERVER, "", action, 86_400 * day_number(self.today.isoformat()) + 7)

    def touch(self, item_ids: Collection[bytes]) -> None:
        self.touched |= dict.fromkeys(item_ids, day_number(self.today.isoformat()))

    def some(self, pick: random.Random) -> list[bytes]:
        return pick.sample(sorted(self.cases), min(len(self.cases), pick.randint(1, 3)))

    @rule(days=st.integers(1, 5))
    def wait(self, days: int) -> None:
        self.follower.step()
        self.today += timedelta(days)
        self.ends[day_number(self.today.isoformat())] = self.found(self.live)

    @rule(count=st.integers(1, 3))
    def register(self, count: int) -> None:
        self._register(None, [self.chance.getrandbits(64) for _ in range(count)], hashes=1)

    @precondition(lambda self: self.cases)
    @rule(pick=PICK)
    def register_again(self, pick: random.Random) -> None:
        """Register a picture with more hashes: another item takes the place of its first one."""
        item_id, case = pick.choice([*self.cases.items()])
        self._register(case, [self.pictures[item_id]], hashes=pick.randint(2, 9))

    def _register(self, case: str | None, pictures: list[int], *, hashes: int) -> None:
        rows = [(0, 0, 0), *((1, ordinal, 0) for ordinal in range(1, hashes))]
        items = [item_of(self.chance, picture, *rows) for picture in pictures]
        request = registration(self.chance, case or new_case(self.chance), *items)
        done = self.registry.register(request, day=self.today.isoformat())
        new = [item for item in items if item.item_id in {held.item_id for held in done.items}]
        self.cases |= dict.fromkeys((item.item_id for item in new), done.case_number)
        self.stored |= {item.item_id: item for item in new}
        self.pictures |= {
            item.item_id: picture for item, picture in zip(items, pictures, strict=True)
        }
        self.touch([item.item_id for item in new])
        self._forget()

    def _forget(self) -> None:
        """Forget the items that were withdrawn or replaced."""
        records = [self.registry.case(case) for case in {*self.cases.values()}]
        there = {item.item_id for record in records if record for item in record.items}
        self.cases = {item_id: case for item_id, case in self.cases.items() if item_id in there}

    @precondition(lambda self: len(self.cases) > 2)
    @rule(pick=PICK)
    def withdraw(self, pick: random.Random) -> None:
        item_id = pick.choice(sorted(self.cases))
        self.registry.withdraw(self.cases[item_id], [item_id], day=self.today.isoformat())
        self._forget()

    @precondition(lambda self: self.cases)
    @rule(pick=PICK, state=st.sampled_from(ItemState))
    def set_states(self, pick: random.Random, state: ItemState) -> None:
        item_ids = self.some(pick)
        self.registry.set_states(item_ids, state, self.act())
        self.touch(item_ids)

    @precondition(lambda self: self.cases)
    @rule(pick=PICK, is_undone=st.booleans())
    def hide_all(self, pick: random.Random, *, is_undone: bool) -> None:
        item_ids = self.some(pick)
        banks = frozenset(bank.number for bank in FIRST_BANKS)
        wanted = ItemFilter(banks, item_ids=frozenset(item_ids))
        state, act = ItemState.DISABLED, self.act()
        done = self.registry.set_all_states(wanted, state, act, expected=len(item_ids))
        if is_undone and done.act:
            self.wait(1)
            self.registry.undo(done.act, self.act(), banks=banks)
        self.touch(item_ids)

    @precondition(lambda self: self.cases)
    @rule(pick=PICK, bank=st.sampled_from(FIRST_BANKS))
    def move(self, pick: random.Random, bank: Bank) -> None:
        item_ids = self.some(pick)
        self.registry.move_items(item_ids, bank.number, self.act())
        self.touch(item_ids)

    @precondition(lambda self: self.cases)
    @rule(pick=PICK)
    def confirm(self, pick: random.Random) -> None:
        item_ids = self.some(pick)
        self.registry.confirm_items(item_ids, self.act())
        self.touch(item_ids)

    @precondition(lambda self: self.cases)
    @rule(pick=PICK, outcome=st.sampled_from([MatchOutcome.FALSE_POSITIVE, MatchOutcome.BLOCKED]))
    def report(self, pick: random.Random, outcome: MatchOutcome) -> None:
        """Have two organisations dispute a match, which narrows the item, or not any more."""
        item_id = pick.choice(sorted(self.cases))
        for organisation in "ab":
            versions = (MatchedVersion(0, 0, BITS),)
            said = OutcomeReport(item_id, organisation, outcome, b"the match", versions)
            self.registry.report(said, day=self.today.isoformat())
        self.touch([item_id])

    @precondition(lambda self: self.cases)
    @rule(pick=PICK)
    def widen(self, pick: random.Random) -> None:
        item_ids = self.some(pick)
        self.registry.settle_disputes(item_ids, Settlement.WIDENED, self.act(Action.WIDEN))
        self.touch(item_ids)

    @rule(how=st.sampled_from([compact, rebuild]))
    def publish(self, how: object) -> None:
        assert callable(how)
        how(self.registry, self.directory.index)

    @rule()
    def restart(self) -> None:
        self.live = LiveIndex()
        self.follower = Follower(self.registry, self.live, self.directory.index)

    @rule()
    def look_up(self) -> None:
        self.follower.step()
        now = self.found(self.live)
        for day, before in self.ends.items():
            new = self.found(self.live.since(day))
            for item_id, found in now.items():
                if found != before.get(item_id):
                    assert new.get(item_id) == found, "what became new is missed"
            for item_id, found in new.items():
                assert found == now[item_id], "what is answered is what a whole lookup answers"
                assert self.touched[item_id] >= day, "nobody touched it"

    def found(self, live: LiveIndex) -> Answers:
        """Look up every hash that was ever registered, and each at the distance of disputes."""
        hashes = np.concatenate([item.fingerprints["hash"] for item in self.stored.values()])
        flips = np.frombuffer(((1 << BITS) - 1).to_bytes(32), np.uint8)
        every = np.unique(np.concatenate([hashes, hashes ^ flips]), axis=0)
        near: Answers = {}
        for answer in answers(search(live, every, BITS)):
            query, bits, number, item_id, *columns = answer
            raw = int(str(item_id)).to_bytes(16)
            near.setdefault(raw, set()).add((every[query].tobytes(), bits, number, *columns))
        return near


TestNewMachine = NewMachine.TestCase
TestNewMachine.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
