"""Kill rebuilds and compactions, again and again, while a real server answers from their index."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, cycle, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import killing, registries
from benchmarks.harness.deployment import BIN, FEW_DECODERS, WITH_BYTECODE, Deployment
from benchmarks.harness.killing import Step
from benchmarks.harness.writes import Desk, Write
from disrupt.client import MatchClient
from disrupt.errors import DisruptError
from disrupt.feed.follower import Follower
from disrupt.index.generations import current, generations
from disrupt.index.live import LiveIndex
from disrupt.registry.sql import SqlRegistry
from indexer.verify import verify

SABOTAGES = ("partial-generation", "unsynced-index")

COMMANDS = ("rebuild", "compact")
HASHES = 21_000
"""Number of hashes, enough for the tables of multi-index hashing."""
_HASHES_PER_ITEM = 4
_BATCH = 1024
_PAUSE_S = 0.02
_LEVEL_WITHIN_S = 20.0
_SHOWN = 5


@dataclass
class Tally:
    """Counts of a run.

    A load is a generation that a process which starts after a kill loads, or the running server. It
    is partial if lookups do not find exactly what is registered.
    """

    kills: int = 0
    loads: int = 0
    partial_loads: int = 0
    verify_failures: int = 0

    kills_at_calls: dict[str, int] = field(default_factory=dict)
    kills_at_random: int = 0
    kills_of: dict[str, int] = field(default_factory=dict)
    published_though_killed: int = 0
    lookups: int = 0
    wrong_lookups: int = 0
    """Hashes that the server answered wrongly, or not at all, while the index was written."""
    disorder: list[str] = field(default_factory=list)
    """Steps made before those that they need were durable, see ``killing.disorder``."""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """True if the run broke a promise."""
        return bool(self.problems or self.disorder)


def crash(
    data_dir: Path,
    kills: int,
    *,
    seed: int,
    hashes: int = HASHES,
    wrapper: tuple[str, ...] = (),
) -> Tally:
    """Kill so many rebuilds and compactions, run under ``wrapper``, on a new data directory."""
    began_s = time.monotonic()
    run = _Run(data_dir, random.Random(seed), hashes, wrapper)
    with run.serving():
        for command in COMMANDS:
            run.watch(command)
        while run.tally.kills < kills:
            run.change()
            turn = run.tally.kills
            run.kill(COMMANDS[turn // 2 % 2], at_call=turn % 2 == 0)
            run.check()
        run.change()
        run.finish()
    run.tally.seconds = round(time.monotonic() - began_s, 1)
    return run.tally


class _Run:
    def __init__(
        self, data_dir: Path, chance: random.Random, hashes: int, wrapper: tuple[str, ...]
    ) -> None:
        self.tally = Tally()
        self._data_dir = data_dir
        self._index_dir = data_dir / "index"
        self._chance = chance
        self._wrapper = wrapper
        self._steps: dict[str, Iterator[Step]] = {}
        self._took_s: dict[str, float] = {}
        self._writes: list[Write] = []
        codes = np.random.default_rng(1).integers(0, 256, (hashes, 32), np.uint8)
        registries.fill(data_dir, codes, _HASHES_PER_ITEM)
        self._known = {
            code.tobytes(): registries.item_id(1 + at // _HASHES_PER_ITEM).hex()
            for at, code in enumerate(codes)
        }
        self._gone: set[bytes] = set()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run a server within the block."""
        server = Deployment.start(
            self._data_dir, workers=1, settings=FEW_DECODERS, wrapper=WITH_BYTECODE
        )
        try:
            keys = [server.make_key(right, right) for right in ("match", "register")]
            with (
                MatchClient(server.address, key=keys[0], connections=1) as self._client,
                Desk(server.address, keys[1]).open() as self._desk,
            ):
                self._served = self._client.index_status().generation
                yield
        finally:
            with suppress(ProcessLookupError):
                server.kill()

    def watch(self, command: str) -> None:
        """Run a command to its end under strace, to learn its steps and its time."""
        self.change()
        began_s = time.monotonic()
        calls = killing.traced(self._command(command), self._data_dir.with_name("trace"))
        self._took_s[command] = time.monotonic() - began_s
        steps = killing.steps(calls, self._index_dir, current(self._index_dir))
        self._chance.shuffle(steps)
        # Interleave the calls, so that each kind comes as often as it can.
        by_call = [[step for step in steps if step.call == call] for call in killing.CALLS]
        turns = chain.from_iterable(zip_longest(*by_call))
        self._steps[command] = cycle([step for step in turns if step])
        problems = killing.disorder(calls, self._index_dir)
        self.tally.disorder += [f"{command}: {problem}" for problem in problems]

    def change(self) -> None:
        """Register a case, and withdraw one that this registered before."""
        write = Write.new(self._chance, items=2, hashes=3)
        self._desk.register(write)
        self._writes.append(write)
        for code, item_id in zip(write.hashes, write.item_ids, strict=True):
            self._known[code.value] = item_id.hex()
        if len(self._writes) > 2:
            gone = self._writes.pop(self._chance.randrange(len(self._writes) - 1))
            self._desk.withdraw(gone)
            for code in gone.hashes:
                del self._known[code.value]
                self._gone.add(code.value)
        changed = [code.value for code in write.hashes]
        give_up_s = time.monotonic() + _LEVEL_WITHIN_S
        while self._ask(changed, list(self._gone)) and time.monotonic() < give_up_s:
            time.sleep(0.02)

    def kill(self, command: str, *, at_call: bool) -> None:
        """Kill a command, at its next step or at a random time, while lookups go on."""
        before = current(self._index_dir)
        with self._looking_up():
            if at_call:
                step = next(self._steps[command])
                newest = max(generations(self._index_dir))
                killed = killing.killed_at(
                    step, self._command(command), self._index_dir, newest + 1
                )
            else:
                killed = self._kill_at_random(command)
        if not killed:
            return
        self.tally.kills += 1
        _count(self.tally.kills_of, command)
        if at_call:
            _count(self.tally.kills_at_calls, step.call)
        else:
            self.tally.kills_at_random += 1
        self.tally.published_though_killed += current(self._index_dir) != before

    def _kill_at_random(self, command: str) -> bool:
        began_s = time.monotonic()
        process = subprocess.Popen(self._command(command), stdout=subprocess.DEVNULL)
        # Before 0.3 of its time, Python still starts.
        with suppress(subprocess.TimeoutExpired):
            process.wait(self._took_s[command] * self._chance.uniform(0.3, 1.0))
            self._took_s[command] = time.monotonic() - began_s
        process.kill()
        return process.wait() == -signal.SIGKILL

    def check(self) -> None:
        """Check a process that starts now, ``verify``, and the server's answers."""
        with SqlRegistry.open_reader(self._data_dir / "registry.db") as reader:
            live = LiveIndex()
            Follower(reader, live, self._index_dir).step()
            self._count_load("a process that starts", len(self._wrong_in(live)))
            try:
                verified = verify(reader, self._index_dir)
                problems = [difference.problem for difference in verified.differences]
            except DisruptError as error:
                problems = [error.message]
            if problems:
                self.tally.verify_failures += 1
                self._problem(f"verify says: {'; '.join(problems[:_SHOWN])}")
        self._check_server(current(self._index_dir))
        print(
            f"kill {self.tally.kills}: {self.tally.loads} loads, {self.tally.lookups} lookups,"
            f" {len(self.tally.problems)} problems",
            file=sys.stderr,
        )

    def finish(self) -> None:
        """Rebuild undisturbed; it must leave nothing but the files of the index."""
        self._run("rebuild")
        self.check()
        served = current(self._index_dir)
        belongs = {"CURRENT", "lock", f"{served:08d}", f"{served:08d}.verified"}
        for path in self._index_dir.iterdir():
            before = path.name.removesuffix(".verified").isdecimal()
            if path.name not in belongs and not before:
                self._problem(f"{path.name} was left behind")

    def _wrong_in(self, live: LiveIndex) -> list[int]:
        """Return the indices of known and withdrawn hashes that a live index is wrong about."""
        known = list(self._known)
        queries = np.frombuffer(b"".join([*known, *self._gone]), np.uint8).reshape(-1, 32)
        hits = live.search(queries, 0)
        matched = [set[str]() for _ in queries]
        for query, item_id in zip(hits.query.tolist(), hits.item_id, strict=True):
            matched[query].add(item_id.tobytes().hex())
        expected = [{self._known[code]} for code in known] + [set[str]() for _ in self._gone]
        return [at for at, item_ids in enumerate(matched) if item_ids != expected[at]]

    def _check_server(self, generation: int) -> None:
        """Wait until the server serves what CURRENT names, then look everything up."""
        give_up_s = time.monotonic() + _LEVEL_WITHIN_S
        while (now := self._client.index_status().generation) != generation:
            if time.monotonic() > give_up_s:
                self._problem(f"the server stays at generation {now}")
                return
            time.sleep(0.02)
        wrong = self._ask(list(self._known), list(self._gone))
        if now != self._served:
            self._served = now
            self._count_load("the server", wrong)
        elif wrong:
            self._problem(f"the server is wrong about {wrong} hashes")

    def _count_load(self, who: str, wrong: int) -> None:
        self.tally.loads += 1
        if wrong:
            self.tally.partial_loads += 1
            self._problem(f"{who} is wrong about {wrong} hashes")

    @contextmanager
    def _looking_up(self) -> Iterator[None]:
        """Look up all the time within the block; no answer may be wrong."""
        stop = threading.Event()
        known, gone = list(self._known), list(self._gone)

        def look_up() -> None:
            while not stop.is_set():
                some = self._chance_of_lookups.sample(known, _BATCH)
                self.tally.wrong_lookups += self._ask(some, gone)
                stop.wait(_PAUSE_S)

        self._chance_of_lookups = random.Random(self._chance.getrandbits(32))
        thread = threading.Thread(target=look_up)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if self.tally.wrong_lookups:
            self._problem("lookups were answered wrongly, or not at all")

    def _ask(self, known: list[bytes], gone: list[bytes]) -> int:
        """Return how many hashes the server is wrong about."""
        wrong = 0
        for first in range(0, len(known), _BATCH):
            part = known[first : first + _BATCH]
            wrong += self._wrong(part, [{self._known[code]} for code in part])
        return wrong + (self._wrong(gone, [set()] * len(gone)) if gone else 0)

    def _wrong(self, codes: list[bytes], expected: list[set[str]]) -> int:
        self.tally.lookups += len(codes)
        batch: NDArray[np.uint8] = np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)
        try:
            answers = self._client.match_hashes(batch, max_distance_bits=0)
        except DisruptError as error:
            self._problem(f"a lookup failed: {error}")
            return len(codes)
        matched = [{match.item_id for match in answer.matches} for answer in answers]
        return sum(got != wanted for got, wanted in zip(matched, expected, strict=True))

    def _command(self, command: str) -> list[str | Path]:
        wrapped = [*WITH_BYTECODE, *self._wrapper]
        return [*wrapped, BIN / "disrupt-index", command, "--data-dir", self._data_dir]

    def _run(self, command: str) -> None:
        subprocess.run(self._command(command), check=True, stdout=subprocess.DEVNULL)

    def _problem(self, text: str) -> None:
        self.tally.problems.append(f"after kill {self.tally.kills}: {text}")


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
