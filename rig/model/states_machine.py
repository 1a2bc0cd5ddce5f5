"""Registry, index, workers and mirrors against a plain model of which items match."""

from __future__ import annotations

import math
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.case_erasures import DELAY_S
from disrupt.core.changes import Cursor
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, NarrowingPolicy, OutcomeReport
from disrupt.core.policy import FIRST_BANKS, Bank
from disrupt.core.registrations import Outcome
from disrupt.core.review import BY_STAFF, ItemFilter
from disrupt.core.states import ItemState
from disrupt.data_directory import DataDirectory
from disrupt.errors import NotFoundError, SnapshotRefusedError
from disrupt.feed.follower import Follower
from disrupt.index import segments
from disrupt.index.generations import create_first, current, directory_of, roll_back
from disrupt.index.live import LiveIndex
from disrupt.operators.restore import restore
from disrupt.registry import opening
from disrupt.registry.backup import back_up
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryReader
from disrupt.upkeep import erasure
from disrupt.upkeep.compaction import compact
from disrupt.upkeep.rebuild import Rebuilt, rebuild
from disrupt.wire import feed as wire
from indexer.verify import verify
from rig.media.codes import search
from rig.media.registrations import ACT, DAY, NEXT_DAY, ensure_key, registration

PICK = st.integers(0, 2**32).map(random.Random)
STATES = st.sampled_from(ItemState)
OUTCOMES = st.sampled_from([MatchOutcome.FALSE_POSITIVE] * 2 + [MatchOutcome.BLOCKED])
_ROOM = {ItemState.LIVE: math.inf, ItemState.WAITING: 0.0}
"""Pictures that may go live at once, so that what is new has a state."""
FIRST_STATES = st.sampled_from(list(_ROOM))
WORKERS = 2
POLICY = NarrowingPolicy()
DISPUTED_BITS = POLICY.floor_bits + 1
_BANK_NAMES = {bank.number: bank.name for bank in FIRST_BANKS}


@dataclass(frozen=True, eq=False)
class ModelItem:
    """An item; ``picture`` numbers what it is a version of."""

    stored: NewItem
    picture: int
    case: str
    bank: int
    state: ItemState
    disputing: frozenset[str] = frozenset()
    """Organisations that dispute a match of its first fingerprint, at DISPUTED_BITS."""


class Mirror:
    """A copy of the list, or of one bank of it, by the messages of FeedService."""

    def __init__(self, banks: frozenset[int] | None) -> None:
        self.banks = banks
        self.items: set[bytes] = set()
        self._cursor: Cursor | None = None

    def read(self, registry: RegistryReader, size: int) -> bool:
        """Read a page; tell whether more follows."""
        after = self._cursor or Cursor(registry.head().epoch, 0)
        changes, self._cursor = registry.changes(after, size, self.banks)
        for change in [wire.change(value, _BANK_NAMES) for value in changes]:
            if change.HasField("added"):
                assert change.added.item_id not in self.items, "a mirror is given what it has"
                self.items.add(change.added.item_id)
            else:
                self.items.discard(change.removed.item_id)
        return self._cursor != registry.head()


class Worker:
    """A live index and its follower, which read the registry as those of a worker do."""

    def __init__(self, directory: DataDirectory) -> None:
        self._stack = ExitStack()
        reader = self._stack.enter_context(opening.reading(directory))
        self.live = LiveIndex()
        self.follower = Follower(reader, self.live, directory.index)
        self.follower.step()

    def close(self) -> None:
        self._stack.close()


class StatesMachine(RuleBasedStateMachine):
    """Follow the states of a few items through all that reads or copies them."""

    steps: Counter[str]
    """Counts of rules, which a subclass gives."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        patches = self.stack.enter_context(pytest.MonkeyPatch.context())
        # No worker of this process follows while an erasure waits for that.
        patches.setattr(erasure, "_TAKE_UP_S", 0.0)
        # Segments of more hashes are joined in a thread.
        patches.setattr(segments, "_AT_ONCE_HASHES", 4)
        self.directory = DataDirectory(self.folder / "data")
        self.items: dict[bytes, ModelItem] = {}
        self.gone: list[NewItem] = []
        self.withdrawn: set[int] = set()
        """Pictures of which some version was withdrawn: none ever matches again."""
        self.acts: list[tuple[bytes, int]] = []
        """Item and time of each act, oldest first; times are counted."""
        self.decided: list[tuple[bytes, str, int]] = []
        """Item, attribute and value of each thing that was decided of an item, oldest first."""
        self.backups: list[tuple[Path, dict[bytes, ModelItem], int, int, set[bytes]]] = []
        """Items, numbers of acts and decisions, and the ids that there ever were."""
        self.opened = ExitStack()
        self.workers: list[Worker] = []

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.directory.make()
        self.open()
        create_first(self.directory.index, self.registry.head().epoch)
        self.start_readers()
        for organisation in "ab":
            ensure_key(self.registry, organisation)
            self.acts.append((b"", ACT.at_s))
        for count in (1, 2, 3):
            self._register(count, ItemState.LIVE)

    def open(self) -> None:
        self.opened.enter_context(self.directory.locked())
        self.registry = self.opened.enter_context(opening.writing(self.directory))

    def start_readers(self) -> None:
        for worker in self.workers:
            worker.close()
        self.workers = [Worker(self.directory) for _ in range(WORKERS)]
        self.mirrors = [Mirror(None), *(Mirror(frozenset({bank.number})) for bank in FIRST_BANKS)]

    def teardown(self) -> None:
        for worker in self.workers:
            worker.close()
        self.opened.close()
        self.stack.close()

    # What people, staff and platforms do

    @rule(count=st.integers(1, 3), state=FIRST_STATES)
    def register(self, count: int, state: ItemState) -> None:
        self.steps["register"] += 1
        self._register(count, state)

    def _register(self, count: int, state: ItemState) -> None:
        bank = self.chance.choice(FIRST_BANKS).number
        items = [self._new_item(self._row(0, 0)) for _ in range(count)]
        request = replace(
            registration(self.chance, None, *items, bank=bank), live_pictures=_ROOM[state]
        )
        done = self.registry.register(request, day=DAY)
        for item in items:
            picture = self.chance.getrandbits(64)
            self.items[item.item_id] = ModelItem(item, picture, done.case_number, bank, state)

    @precondition(lambda self: self.items)
    @rule(pick=PICK, more=st.booleans(), state=FIRST_STATES)
    def register_again(self, pick: random.Random, state: ItemState, *, more: bool) -> None:
        """Register a picture again, with or without more hashes, in the same bank or another."""
        self.steps["register_again"] += 1
        before = self.items[pick.choice(sorted(self.items))]
        rows, bank = before.stored.fingerprints, pick.choice(FIRST_BANKS).number
        if more:
            rows = np.append(rows, self._row(1, len(rows)))
        again = self._new_item(rows)
        request = registration(self.chance, before.case, again, bank=bank)
        done = self.registry.register(replace(request, live_pictures=_ROOM[state]), day=NEXT_DAY)
        if done.items[0].outcome == Outcome.RENEWED:
            del self.items[before.stored.item_id]
            self.gone.append(before.stored)
            kept = before.state
            if kept.matches and more and state == ItemState.LIVE:
                kept = ItemState.LIVE
            elif kept.matches and more:  # what it brings would have to wait
                again = NewItem(again.item_id, again.kind, before.stored.fingerprints)
            self.items[again.item_id] = replace(before, stored=again, bank=bank, state=kept)
        else:
            waits = more and before.state.matches and state == ItemState.WAITING
            assert (more and not waits, bank) == (False, before.bank)

    @precondition(lambda self: len(self.items) > 3)
    @rule(pick=PICK)
    def withdraw(self, pick: random.Random) -> None:
        self.steps["withdraw"] += 1
        item = self.items[pick.choice(sorted(self.items))]
        whole = pick.random() < 0.3
        item_ids = None if whole else [item.stored.item_id]
        done = self.registry.withdraw(item.case, item_ids, day=NEXT_DAY)
        of_case = [each for each in self.items.values() if each.case == item.case]
        for each in of_case if whole else [item]:
            del self.items[each.stored.item_id]
            self.gone.append(each.stored)
            self.withdrawn.add(each.picture)
        assert len(done.items) == (len(of_case) if whole else 1)

    @rule(pick=PICK, state=STATES)
    def set_states(self, pick: random.Random, state: ItemState) -> None:
        self._set_states(pick, state)

    @rule(pick=PICK)
    def hide_and_show(self, pick: random.Random) -> None:
        """Hide and show the same items: readers may get both changes in one page."""
        seed = pick.random()
        for state in (ItemState.DISABLED, ItemState.LIVE):
            self._set_states(random.Random(seed), state)

    def _set_states(self, pick: random.Random, state: ItemState) -> None:
        self.steps["set_states"] += 1
        item_ids, act = self._some(pick), self._act()
        done = self.registry.set_states(item_ids, state, act)
        changed = [item_id for item_id in item_ids if self.items[item_id].state != state]
        assert sorted(done.item_ids) == sorted(changed)
        self.acts += [(item_id, act.at_s) for item_id in done.item_ids]
        for item_id in changed:
            self._decide(item_id, state=state)

    @precondition(lambda self: self.items)
    @rule(pick=PICK, state=st.sampled_from([*BY_STAFF]), is_undone=st.booleans())
    def set_all_states(self, pick: random.Random, state: ItemState, *, is_undone: bool) -> None:
        """Set the state of all items of a case by its tag, which a worker takes up; undo it."""
        self.steps["set_all_states"] += 1
        banks = frozenset(bank.number for bank in FIRST_BANKS)
        act = replace(self._act(), action=BY_STAFF[state])
        named = ItemFilter(banks, item_ids=frozenset({pick.choice(sorted(self.items))}))
        (one,) = self.registry.items_for_review(named, 9).items
        case = self.items[one.item_id].case
        of_case = {item_id: item for item_id, item in self.items.items() if item.case == case}
        wanted = ItemFilter(banks, case_tag=one.case_tag)
        done = self.registry.set_all_states(wanted, state, act, expected=len(of_case))
        changed = {item_id: item for item_id, item in of_case.items() if item.state != state}
        assert done.items == len(changed)
        for item_id in changed:
            self._decide(item_id, state=state)
        self.acts += [(b"", act.at_s)] * bool(changed)
        if changed and is_undone:
            self.follow(0)
            act = self._act()
            assert self.registry.undo(done.act, act, banks=banks).items == len(changed)
            for item_id, item in changed.items():
                self._decide(item_id, state=item.state)
            self.acts.append((b"", act.at_s))

    @precondition(lambda self: self.items)
    @rule(pick=PICK, bank=st.sampled_from(FIRST_BANKS))
    def move(self, pick: random.Random, bank: Bank) -> None:
        """Move items, shown or hidden ones, to a bank, where some are already."""
        self.steps["move"] += 1
        item_ids, act = self._some(pick), self._act(Action.MOVE)
        done = self.registry.move_items(item_ids, bank.number, act)
        moved = [item_id for item_id in item_ids if self.items[item_id].bank != bank.number]
        assert sorted(done.item_ids) == sorted(moved)
        self.acts += [(item_id, act.at_s) for item_id in done.item_ids]
        for item_id in done.item_ids:
            self._decide(item_id, bank=bank.number)

    @precondition(lambda self: self.items)
    @rule(pick=PICK)
    def confirm(self, pick: random.Random) -> None:
        """Confirm items: readers are shown them anew."""
        self.steps["confirm"] += 1
        item_ids, act = self._some(pick), self._act(Action.CONFIRM)
        done = self.registry.confirm_items(item_ids, act)
        assert set(done.item_ids) <= set(item_ids)
        self.acts += [(item_id, act.at_s) for item_id in done.item_ids]

    @precondition(lambda self: self.items)
    @rule(pick=PICK, organisation=st.sampled_from("ab"), outcome=OUTCOMES)
    def report(self, pick: random.Random, organisation: str, outcome: MatchOutcome) -> None:
        """Dispute a match, or say that it was none to dispute."""
        self.steps["report"] += 1
        item_id = pick.choice(sorted(self.items))
        versions = (MatchedVersion(0, 0, DISPUTED_BITS),)
        said = OutcomeReport(item_id, organisation, outcome, b"the match", versions)
        self.registry.report(said, day=DAY)
        item = self.items[item_id]
        disputing = item.disputing - {organisation}
        if outcome == MatchOutcome.FALSE_POSITIVE:
            disputing |= {organisation}
        self.items[item_id] = replace(item, disputing=disputing)

    @precondition(lambda self: len(self.items) > 3)
    @rule(pick=PICK, kept=st.booleans())
    def erase_a_case(self, pick: random.Random, *, kept: bool) -> None:
        """Have two keys ask for a case's erasure: its owner keeps it, or it is erased when due."""
        self.steps["keep_a_case" if kept else "erase_a_case"] += 1
        case = self.items[pick.choice(sorted(self.items))].case
        of_case = [item for item in self.items.values() if item.case == case]
        at_s, banks = self.steps.total(), [bank.number for bank in FIRST_BANKS]
        for key_id in ("first", "second"):
            act = Act(key_id, "hotline", Action.ERASE_REQUESTED, at_s)
            self.registry.ask_erasure(case, act, partners=["first"], banks=banks)
        self.acts += [(b"", at_s)] * 2
        self.the_registry_has_the_states_of_the_model()
        if kept:
            self.registry.stop_erasure(case, Act("owner", "", Action.ERASE_STOPPED, at_s))
            self.acts.append((b"", at_s))
            return
        assert self.registry.erase_due(at_s=at_s + DELAY_S, day=NEXT_DAY)
        self.acts.append((b"", at_s + DELAY_S))
        for item in of_case:
            del self.items[item.stored.item_id]
            self.gone.append(item.stored)
            self.withdrawn.add(item.picture)

    def _some(self, pick: random.Random) -> list[bytes]:
        return pick.sample(sorted(self.items), min(len(self.items), pick.randint(1, 4)))

    @rule(pick=PICK, state=STATES)
    def set_the_state_of_what_is_gone(self, pick: random.Random, state: ItemState) -> None:
        self.steps["set_the_state_of_what_is_gone"] += 1
        head = self.registry.head()
        with pytest.raises(NotFoundError):
            self.registry.set_states([*self.items, pick.randbytes(16)], state, self._act())
        assert self.registry.head() == head

    def _act(self, action: Action = Action.DISABLE) -> Act:
        return Act(SERVER, "", action, self.steps.total())

    def _decide(self, item_id: bytes, **values: Any) -> None:
        self.items[item_id] = replace(self.items[item_id], **values)
        self.decided += [(item_id, name, value) for name, value in values.items()]

    # What workers, mirrors and operators do

    @rule(worker=st.integers(0, WORKERS - 1))
    def follow(self, worker: int) -> None:
        self.steps["follow"] += 1
        self.workers[worker].follower.step()
        self._compare_worker(self.workers[worker])

    @rule(mirror=st.integers(0, len(FIRST_BANKS)), size=st.integers(1, 20), whole=st.booleans())
    def read_feed(self, mirror: int, size: int, *, whole: bool) -> None:
        self.steps["read_feed"] += 1
        reader = self.mirrors[mirror]
        while reader.read(self.registry, size) and whole:
            pass
        if whole:
            assert reader.items == {
                item.stored.item_id
                for item in self._matched()
                if reader.banks is None or item.bank in reader.banks
            }

    @rule(work=st.sampled_from(["rebuild", "compact", "compact", "erase", "roll_back"]))
    def work_on_the_index(self, work: str) -> None:
        self.steps[work] += 1
        getattr(self, f"_{work}")()

    def _rebuild(self) -> None:
        self._check_generation(rebuild(self.registry, self.directory.index))

    def _compact(self) -> None:
        self._check_generation(compact(self.registry, self.directory.index))

    def _check_generation(self, done: Rebuilt) -> None:
        assert done.items == len(self._matched())
        index = self.directory.index
        hidden = [item.stored for item in self.items.values() if not item.state.matches]
        _lacks(directory_of(index, current(index)), [*hidden, *self.gone])
        assert verify(self.registry, index).differences == ()

    def _erase(self) -> None:
        erasure.erase(self.registry, self.directory.index)
        _lacks(self.directory.index, self.gone)

    def _roll_back(self) -> None:
        try:
            roll_back(self.directory.index, self.registry)
        except SnapshotRefusedError:  # the oldest is served already
            return
        assert verify(self.registry, self.directory.index).differences == ()

    @rule(what=st.sampled_from(["restart", "reopen", "back_up", "restore"]))
    def interrupt(self, what: str) -> None:
        self.steps[what] += 1
        getattr(self, f"_{what}")()

    def _restart(self) -> None:
        worker = self.chance.randrange(WORKERS)
        self.workers[worker].close()
        self.workers[worker] = Worker(self.directory)
        self._compare_worker(self.workers[worker])

    def _reopen(self) -> None:
        self.opened.close()
        self.open()

    def _back_up(self) -> None:
        target = self.folder / f"backup-{self.steps.total()}"
        back_up(self.directory.path, target)
        ever = {*self.items, *(item.item_id for item in self.gone)}
        self.backups.append((target, dict(self.items), len(self.acts), len(self.decided), ever))
        for old, *_ in self.backups[:-3]:
            shutil.rmtree(old)
        del self.backups[:-3]

    def _restore(self) -> None:
        """States and acts are those of now; what was withdrawn since stays so."""
        if not self.backups:
            self._back_up()
        source, items, acts, decided, ever = self.chance.choice(self.backups)
        self.opened.close()
        restore(source, self.directory.path, accept_unknown_removals=False)
        self.open()
        self.gone += [item.stored for item_id, item in self.items.items() if item_id not in items]
        self.items = {
            item_id: item for item_id, item in items.items() if item.picture not in self.withdrawn
        }
        self.gone = [item for item in self.gone if item.item_id not in self.items]
        for item_id, name, value in self.decided[decided:]:
            if item_id in self.items:
                self.items[item_id] = replace(self.items[item_id], **{name: value})  # type: ignore[arg-type]
        since = [(item_id if item_id in ever else b"", at) for item_id, at in self.acts[acts:]]
        self.acts = self.acts[:acts] + since
        self.start_readers()

    # What has to hold after each step

    @invariant()
    def the_registry_has_the_states_of_the_model(self) -> None:
        stored = {
            item.item_id: item.state
            for case in {item.case for item in self.items.values()}
            if (record := self.registry.case(case)) is not None
            for item in record.items
        }
        assert stored == {item_id: item.state for item_id, item in self.items.items()}
        matched = self.registry.matched_items(0, self.registry.head(), 10_000)
        assert {item_id.tobytes() for item_id in matched.item_id} == {
            item.stored.item_id for item in self._matched()
        }
        assert self.registry.count_states() == Counter(
            item.state for item in self.items.values() if item.state != ItemState.LIVE
        )
        newest = [(record.item_id, record.act.at_s) for record in self.registry.acts(20)]
        assert newest == self.acts[:-21:-1]

    def _compare_worker(self, worker: Worker) -> None:
        """Look every hash that was ever registered up: exactly those that match are found."""
        matched = self._matched()
        assert worker.live.status().items == len(matched)
        everything = [*(item.stored for item in self.items.values()), *self.gone]
        if not everything:
            return
        hashes = np.concatenate([item.fingerprints["hash"] for item in everything])
        hits = search(worker.live, np.unique(hashes, axis=0), 0)
        assert {item_id.tobytes() for item_id in hits.item_id} == {
            item.stored.item_id for item in matched
        }
        assert len(hits) == sum(len(item.stored.fingerprints) for item in matched)
        for bits in (DISPUTED_BITS - 1, DISPUTED_BITS):
            copies = np.stack([_copy(item, bits) for item in everything])
            answered = [
                item.stored.item_id
                for item in matched
                if bits < DISPUTED_BITS or len(item.disputing) < POLICY.organisations
            ]
            copied = search(worker.live, np.unique(copies, axis=0), bits).item_id
            assert {item_id.tobytes() for item_id in copied} == set(answered)

    def _matched(self) -> list[ModelItem]:
        return [item for item in self.items.values() if item.state.matches]

    def _new_item(self, rows: np.ndarray) -> NewItem:
        return NewItem(self.chance.randbytes(16), MediaKind.IMAGE, rows)

    def _row(self, plan: int, ordinal: int) -> np.ndarray:
        """Make a fingerprint with a random hash: dtype FINGERPRINT, shape (1,)."""
        row = np.zeros(1, FINGERPRINT)
        row["hash"] = np.frombuffer(self.chance.randbytes(32), np.uint8)
        row["quality"], row["plan"], row["ordinal"] = 100, plan, ordinal
        return row


def _copy(item: NewItem, bits: int) -> np.ndarray:
    """Return a hash so many bits from the first one of an item: uint8 (32,)."""
    value = int.from_bytes(item.fingerprints["hash"][0].tobytes()) ^ ((1 << bits) - 1)
    return np.frombuffer(value.to_bytes(32), np.uint8)


def _lacks(directory: Path, items: Iterable[NewItem]) -> None:
    """Fail if any file has the id or a hash of an item; an id names one version only."""
    content = [path.read_bytes() for path in directory.rglob("*") if path.is_file()]
    for item in items:
        assert not any(item.item_id in each for each in content), f"{directory} has what is gone"
