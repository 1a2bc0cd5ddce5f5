"""The steps of the proof of states, and the comparison of all that is read with the model."""

from __future__ import annotations

import multiprocessing
import random
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks.proofs.states_model import Difference, Item, Model, compare
from benchmarks.proofs.states_readers import Worker, mirrors, seen
from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.cases import CASE_NUMBERS, case_number
from disrupt.core.changes import Cursor
from disrupt.core.media import Assurance, ItemState
from disrupt.core.policy import FIRST_BANKS
from disrupt.core.registrations import Outcome
from disrupt.data_directory import DataDirectory
from disrupt.errors import NotFoundError, SnapshotRefusedError
from disrupt.feed.compaction import compact
from disrupt.feed.erasure import erase
from disrupt.feed.rebuild import rebuild
from disrupt.index.generations import create_first, generations, roll_back
from disrupt.registry import opening
from disrupt.registry.backup import back_up
from disrupt.registry.contract import NewCase, NewItem, Registration
from disrupt.server.upkeep.restore import restore

_DAY = "2026-01-01"
_ACT = Act(OPERATOR, Action.ITEMS_DISABLED, 1_795_000_000)
_WORKERS = 3
_ITEMS = 40
"""Items to hold, about: few, so that each meets many changes."""
_WRITES_AT_A_KILL = 50

_Write = tuple[list[bytes], ItemState]
"""Ids of items, and the state that they get."""


@dataclass
class Report:
    """Count the acts of a run, and collect the differences."""

    steps: int = 0
    acts: Counter[str] = field(default_factory=Counter)
    killed_between: int = 0
    """Kills between a write and its acknowledgement that left the write done."""
    differences: list[str] = field(default_factory=list)


class Run:
    """Registry, index, workers and mirrors on a directory of their own, and their model."""

    def __init__(self, work: Path, seed: int) -> None:
        self.report = Report()
        self._chance = random.Random(seed)
        self._work = work
        self._directory = DataDirectory(work / "data")
        self._directory.make()
        self._model = Model(self._chance)
        self._backups: list[tuple[Path, dict[bytes, Item]]] = []
        self._mirrors = mirrors()
        self._workers: list[Worker] = []
        self._stack = ExitStack()
        self._open()
        create_first(self._directory.index, self._registry.head().epoch)
        self._restart_all()
        self._acts: dict[Callable[[], None], int] = {
            self._register: 8,
            self._register_again: 6,
            self._withdraw: 6,
            self._change_states: 30,
            self._move: 12,
            self._confirm: 4,
            self._change_what_is_not_there: 2,
            self._follow: 16,
            self._restart: 4,
            self._rebuild: 3,
            self._compact: 6,
            self._erase: 2,
            self._roll_back: 3,
            self._read_feed: 12,
            self._reopen: 1,
            self._kill: 1,
            self._back_up: 2,
            self._restore: 1,
        }

    def step(self) -> None:
        """Do one thing, then compare. Raises Difference."""
        (act,) = self._chance.choices([*self._acts], [*self._acts.values()])
        self.report.steps += 1
        self.report.acts[act.__name__.strip("_")] += 1
        act()
        self._compare_registry()

    def close(self) -> None:
        """Close everything."""
        for worker in self._workers:
            worker.close()
        self._stack.close()

    def finish(self) -> None:
        """Let everybody read to the end, and compare."""
        for worker in self._workers:
            self._compare_worker(worker)
        for mirror in self._mirrors:
            while mirror.read(self._registry, 7):
                pass
            held = [item for item in self._model.live() if mirror.bank in {None, item[1]}]
            compare("a mirror", sorted(mirror.items.values()), held)

    # What happens

    def _register(self) -> None:
        for _ in range(self._chance.randint(1, 3)):
            self._add(self._model.new_item(), None, self._chance.choice(FIRST_BANKS).number)
        while len(self._model.items) > _ITEMS:
            self._withdraw()

    def _register_again(self) -> None:
        """Register an item again as it is, with another hash, or in another bank."""
        before = self._model.any_item()
        if before is None:
            return
        rows, bank = before.stored.fingerprints, before.bank
        if self._chance.random() < 0.5:
            rows = np.append(rows, self._model.row(plan=1, ordinal=len(rows)))
        if self._chance.random() < 0.3:
            bank = self._chance.choice(FIRST_BANKS).number
        again = NewItem(self._chance.randbytes(16), before.stored.kind, rows)
        is_new = len(rows) > len(before.stored.fingerprints) or bank != before.bank
        outcome = self._add(again, before, bank)
        compare("the outcome", outcome, Outcome.RENEWED if is_new else Outcome.KEPT)

    def _add(self, item: NewItem, before: Item | None, bank: int) -> Outcome:
        """Register one item, in the case of ``before`` if there is one."""
        number = case_number(self._chance.randrange(CASE_NUMBERS))
        request = Registration(
            self._chance.randbytes(16),
            self._chance.randbytes(32),
            before.case if before else NewCase(number, "$argon2id$"),
            bank,
            Assurance.SELF_REPORTED,
            (item,),
        )
        done = self._registry.register(request, day=_DAY)
        outcome = done.items[0].outcome
        if outcome != Outcome.KEPT:
            state = before.state if before else ItemState.LIVE
            self._model.add(Item(item, done.case_number, bank, state))
        if outcome == Outcome.RENEWED and before:
            self._model.withdraw(before)
        return outcome

    def _withdraw(self) -> None:
        if item := self._model.any_item():
            self._registry.withdraw(item.case, [item.stored.item_id], day=_DAY)
            self._model.withdraw(item)

    def _change_states(self) -> None:
        item_ids, state = self._model.some_ids(), self._chance.choice([*ItemState])
        self._registry.set_states(item_ids, state, day=_DAY, act=_ACT)
        self._model.change(item_ids, state=state)

    def _move(self) -> None:
        item_ids, bank = self._model.some_ids(), self._chance.choice(FIRST_BANKS).number
        self._registry.move_items(item_ids, bank, act=_ACT)
        self._model.change(item_ids, bank=bank)

    def _confirm(self) -> None:
        item_ids = self._model.some_ids()
        self._registry.confirm_items(item_ids, act=_ACT)
        self._model.change(item_ids, assurance=Assurance.REVIEWED)

    def _change_what_is_not_there(self) -> None:
        absent = [item.item_id for item in self._model.gone] + [secrets.token_bytes(16)]
        item_ids = [*self._model.some_ids(), self._chance.choice(absent)]
        try:
            self._registry.set_states(
                item_ids, self._chance.choice([*ItemState]), day=_DAY, act=_ACT
            )
        except NotFoundError:
            return
        raise Difference("the state of an absent item was changed")

    def _follow(self) -> None:
        self._compare_worker(self._chance.choice(self._workers))

    def _restart(self) -> None:
        at = self._chance.randrange(_WORKERS)
        self._workers[at].close()
        self._workers[at] = Worker(self._directory)
        self._compare_worker(self._workers[at])

    def _rebuild(self) -> None:
        done = rebuild(self._registry, self._directory.index)
        compare("a rebuild", done.items, len(self._model.live()))

    def _compact(self) -> None:
        done = compact(self._registry, self._directory.index)
        compare("a compaction", done.items, len(self._model.live()))

    def _erase(self) -> None:
        erase(self._registry, self._directory.index)
        content = [path.read_bytes() for path in self._directory.index.rglob("*") if path.is_file()]
        for item in self._model.gone:
            if any(item.item_id in each for each in content):
                raise Difference("a file of the index holds what was withdrawn")

    def _roll_back(self) -> None:
        if len(generations(self._directory.index)) > 1:
            try:
                roll_back(self._directory.index, self._registry)
            except SnapshotRefusedError:  # the oldest is served already
                return

    def _read_feed(self) -> None:
        mirror = self._chance.choice(self._mirrors)
        mirror.read(self._registry, self._chance.randint(1, 20))

    def _reopen(self) -> None:
        self._stack.close()
        self._open()

    def _kill(self) -> None:
        """Kill a writer that changes states; what it acknowledged is done, the next may be."""
        writes = [
            (self._model.some_ids(), self._chance.choice([*ItemState]))
            for _ in range(_WRITES_AT_A_KILL)
        ]
        self._stack.close()
        acknowledged = _killed_writer(self._directory.path, writes, self._chance.random() * 0.1)
        self._open()
        for item_ids, state in writes[:acknowledged]:
            self._model.change(item_ids, state=state)
        for item_ids, state in writes[acknowledged : acknowledged + 1]:
            if self._stored_states() != self._model.states():
                self.report.killed_between += 1
                self._model.change(item_ids, state=state)

    def _back_up(self) -> None:
        target = self._work / f"backup-{self.report.steps}"
        back_up(self._directory.path, target)
        self._backups.append((target, dict(self._model.items)))
        if len(self._backups) > 3:
            shutil.rmtree(self._backups.pop(0)[0])

    def _restore(self) -> None:
        """Restore a backup: states are those of its time, what was withdrawn since stays so."""
        if not self._backups:
            return
        source, items = self._chance.choice(self._backups)
        self._stack.close()
        restore(source, self._directory.path, accept_unknown_removals=False)
        self._model.restore(items)
        self._open()
        self._mirrors = mirrors()
        self._restart_all()

    # Comparing

    def _compare_registry(self) -> None:
        head = self._registry.head()
        items, _ = self._registry.additions(Cursor(head.epoch, 0), head, 10 * _ITEMS)
        compare("additions of the registry", seen(items), self._model.live())
        compare("states of the registry", self._stored_states(), self._model.states())

    def _stored_states(self) -> dict[bytes, ItemState]:
        records = self._registry.states([*self._model.items])
        return {record.item_id: record.state for record in records}

    def _compare_worker(self, worker: Worker) -> None:
        worker.follow()
        live = self._model.live()
        asked = [*(item.stored for item in self._model.items.values()), *self._model.gone]
        if asked:
            compare("answers of a worker", worker.finds(asked), live)
        compare("items of a worker", worker.live.status().items, len(live))

    # The processes

    def _open(self) -> None:
        self._stack.enter_context(self._directory.locked(patience_s=20))
        self._registry = self._stack.enter_context(opening.writing(self._directory))

    def _restart_all(self) -> None:
        for worker in self._workers:
            worker.close()
        self._workers = [Worker(self._directory) for _ in range(_WORKERS)]


def _killed_writer(data_dir: Path, writes: Sequence[_Write], after_s: float) -> int:
    """Kill a process that makes these writes; return how many it acknowledged."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["disrupt.feed.follower", "disrupt.server.upkeep.restore"])
    ours, theirs = context.Pipe()
    with ours:
        child = context.Process(target=_write, args=(data_dir, writes, theirs))
        child.start()
        theirs.close()
        ours.recv()  # it has opened the registry
        time.sleep(after_s)
        child.kill()
        child.join()
        acknowledged = 0
        try:
            while True:
                acknowledged = ours.recv()
        except EOFError:
            return acknowledged


def _write(data_dir: Path, writes: Sequence[_Write], acknowledge: Connection) -> None:
    """Change states, one write after the other; send how many are acknowledged."""
    directory = DataDirectory(data_dir)
    with directory.locked(), opening.writing(directory) as registry:
        acknowledge.send(0)
        for done, (item_ids, state) in enumerate(writes, 1):
            registry.set_states(item_ids, state, day=_DAY, act=_ACT)
            acknowledge.send(done)
        time.sleep(60)
