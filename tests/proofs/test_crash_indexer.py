"""Kill rebuilds and compactions while a server answers: the old snapshot serves, none in part.

Each kill is a SIGKILL at a random time while files are written, and lookups go on. After each, the
server and a process that starts then must answer rightly for every hash that is registered or
withdrawn, and `disrupt-index verify` must find no difference. SIGKILL leaves the page cache alive,
so the order of what each command syncs and names is checked in a trace. tests/indexer/test_kill.py
kills a rebuild at each of these steps.
"""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from disrupt.client import MatchClient
from disrupt.errors import DisruptError
from disrupt.feed.follower import Follower
from disrupt.index.generations import current
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import same_limits
from disrupt.registry import sqlite
from indexer.verify import verify
from rig.callers.desk import Desk
from rig.faults.sabotages import broken_by
from rig.model.write import Write
from rig.processes import strace
from rig.processes.strace import Call
from rig.servers import registries
from rig.servers.deployment import BIN, FEW_DECODERS, WITH_BYTECODE, Deployment

COMMANDS = ("rebuild", "compact")
_HASHES = 21_000
"""Number of hashes, enough for the tables of multi-index hashing."""
_HASHES_PER_ITEM = 4
_BATCH = 1024
_LEVEL_WITHIN_S = 60.0

_WRITES = ("write", "pwrite64", "ftruncate", "fallocate")
_BY_PATH = ("rename", "mkdir", "unlink", "rmdir", "unlinkat")


@dataclass
class Tally:
    """Counts of a run, and everything that broke a promise."""

    kills: Counter[str] = field(default_factory=Counter)
    published_though_killed: int = 0
    lookups: int = 0
    problems: list[str] = field(default_factory=list)


def test_a_killed_indexer_leaves_what_serves_and_no_part_of_anything_else(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    kills = 30 if whole else 2
    tally = crash(tmp_path / "data", kills)
    assert tally.problems == []
    assert tally.kills.total() == kills
    figures(
        f"{kills} kills ({dict(tally.kills)}): {tally.published_though_killed} had published,"
        f" {tally.lookups} hashes looked up, 0 wrong, 0 generations loaded in part"
    )


def test_a_generation_that_is_published_in_part_is_found(tmp_path: Path) -> None:
    tally = crash(tmp_path / "data", 20, wrapper=broken_by("partial-generation"))
    assert any("is wrong about" in problem for problem in tally.problems), tally.problems


@pytest.mark.usefixtures("needs_strace")
@pytest.mark.parametrize("sabotage", [None, "unsynced-index"])
def test_what_a_command_publishes_is_synced_before_it_gets_its_name(
    tmp_path: Path, figures: Callable[[str], None], sabotage: str | None
) -> None:
    data_dir = tmp_path / "data"
    codes = np.random.default_rng(1).integers(0, 256, (_HASHES, 32), np.uint8)
    registries.fill(data_dir, codes, _HASHES_PER_ITEM)
    problems = set()
    for at, command in enumerate(COMMANDS):
        added = np.random.default_rng(2).integers(0, 256, (8, 32), np.uint8)
        registries.change(data_dir, added, _HASHES_PER_ITEM, [1 + at])
        calls = _traced(_command(data_dir, command, broken_by(sabotage)), tmp_path / "trace")
        problems |= {f"{command}: {found}" for found in disorder(calls, data_dir / "index")}
    if sabotage is None:
        assert problems == set()
        figures("every file is synced before its name, names before CURRENT")
    else:
        assert problems >= {
            "rebuild: codes.faiss was named before it was synced",
            "compact: a generation went before CURRENT was synced",
        }


def crash(data_dir: Path, kills: int, *, wrapper: tuple[str, ...] = ()) -> Tally:
    """Kill so many rebuilds and compactions, run under ``wrapper``, until a promise is broken."""
    run = _Run(data_dir, wrapper)
    with run.serving():
        while run.tally.kills.total() < kills and not run.tally.problems:
            run.change()
            run.kill(COMMANDS[run.tally.kills.total() % 2])
            run.check()
        run.change()
        run.finish()
    return run.tally


def _command(data_dir: Path, command: str, wrapper: tuple[str, ...]) -> list[str | Path]:
    wrapped = (*WITH_BYTECODE, *wrapper)
    return [*wrapped, BIN / "disrupt-index", command, "--data-dir", data_dir, "--json"]


class _Run:
    """A server over an index, clients that change its registry, and what lookups must answer."""

    def __init__(self, data_dir: Path, wrapper: tuple[str, ...]) -> None:
        self.tally = Tally()
        self._data_dir = data_dir
        self._index_dir = data_dir / "index"
        self._chance = random.Random(2)
        self._wrapper = wrapper
        self._writes: list[Write] = []
        self._writing_s = 60.0  # from the first write of a command to its end, as last seen
        codes = np.random.default_rng(1).integers(0, 256, (_HASHES, 32), np.uint8)
        registries.fill(data_dir, codes, _HASHES_PER_ITEM)
        self._known = {
            code.tobytes(): {registries.item_id(1 + at // _HASHES_PER_ITEM).hex()}
            for at, code in enumerate(codes)
        }
        """Item ids by hash; none for one that was withdrawn."""

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run a server within the block."""
        with Deployment.start(
            self._data_dir, workers=1, settings=FEW_DECODERS, wrapper=WITH_BYTECODE
        ) as server:
            keys = [server.make_key(right, right) for right in ("match", "register")]
            with (
                MatchClient(server.address, key=keys[0], connections=1) as self._client,
                Desk(server.address, keys[1]).open() as self._desk,
            ):
                yield

    def change(self) -> None:
        """Register a case, and withdraw one that this registered before."""
        write = Write.new(self._chance, items=2, hashes=3)
        self._desk.register(write)
        self._writes.append(write)
        changed = {
            code.value: {item_id.hex()}
            for code, item_id in zip(write.hashes, write.item_ids, strict=True)
        }
        if len(self._writes) > 2:
            gone = self._writes.pop(self._chance.randrange(len(self._writes) - 1))
            self._desk.withdraw(gone)
            changed |= {code.value: set() for code in gone.hashes}
        self._known |= changed
        give_up_s = time.monotonic() + _LEVEL_WITHIN_S
        while self._wrong(list(changed)) and time.monotonic() < give_up_s:
            time.sleep(0.02)

    def kill(self, command: str) -> None:
        """Kill a command at a random time from its first write on, while lookups go on."""
        before, earlier_ns = current(self._index_dir), self._building_since_ns()
        with self._looking_up():
            process = subprocess.Popen(
                _command(self._data_dir, command, self._wrapper), stdout=subprocess.DEVNULL
            )
            while process.poll() is None and self._building_since_ns() in {0, earlier_ns}:
                time.sleep(0.002)
            began_s = time.monotonic()
            with suppress(subprocess.TimeoutExpired):
                if process.poll() is None:
                    process.wait(self._writing_s * self._chance.uniform(0, 1.5))
                    self._writing_s = time.monotonic() - began_s  # it ended before the kill
            process.kill()
            if process.wait() != -signal.SIGKILL:
                return
        self.tally.kills[command] += 1
        self.tally.published_though_killed += current(self._index_dir) != before

    def _building_since_ns(self) -> int:
        """Return when the directory that a command writes to was last changed; 0 without one."""
        with suppress(FileNotFoundError):
            return (self._index_dir / "building").stat().st_ctime_ns
        return 0

    def check(self) -> None:
        """Check a process that starts now, ``verify``, and the server's answers."""
        with sqlite.open_reader(self._data_dir / "registry.db") as reader:
            live = LiveIndex()
            Follower(reader, live, self._index_dir).step()
            if wrong := self._wrong_in(live):
                self._problem(f"a process that starts is wrong about {wrong} hashes")
            try:
                verified = verify(reader, self._index_dir)
                problems = [difference.problem for difference in verified.differences]
            except DisruptError as error:
                problems = [error.message]
        for problem in problems:
            self._problem(f"verify says: {problem}")
        generation = current(self._index_dir)
        give_up_s = time.monotonic() + _LEVEL_WITHIN_S
        while (now := self._client.index_status().generation) != generation:
            if time.monotonic() > give_up_s:
                self._problem(f"the server stays at generation {now}")
                return
            time.sleep(0.02)
        if wrong := self._wrong(list(self._known)):
            self._problem(f"the server is wrong about {wrong} hashes")

    def finish(self) -> None:
        """Rebuild undisturbed; it must leave nothing but the files of the index."""
        subprocess.run(_command(self._data_dir, "rebuild", self._wrapper), check=True)
        self.check()
        for path in self._index_dir.iterdir():
            if path.name not in {"CURRENT", "lock"} and not path.stem.isdecimal():
                self._problem(f"{path.name} was left behind")

    def _wrong_in(self, live: LiveIndex) -> int:
        """Count the hashes that a live index is wrong about."""
        codes = list(self._known)
        queries = np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)
        hits = live.search(queries, 0, same_limits(0), max(1, len(codes))).hits
        matched = [set[str]() for _ in codes]
        for query, item_id in zip(hits.query.tolist(), hits.item_id, strict=True):
            matched[query].add(item_id.tobytes().hex())
        return sum(
            found != expected for found, expected in zip(matched, self._known.values(), strict=True)
        )

    @contextmanager
    def _looking_up(self) -> Iterator[None]:
        """Look up all the time within the block; no answer may be wrong."""
        stop, codes, chance = threading.Event(), list(self._known), random.Random(3)

        def look_up() -> None:
            while not stop.is_set():
                if self._wrong(chance.sample(codes, _BATCH)):
                    self._problem("the server is wrong about hashes while an index is written")
                stop.wait(0.02)

        thread = threading.Thread(target=look_up)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _wrong(self, codes: list[bytes]) -> int:
        """Count the hashes that the server is wrong about."""
        self.tally.lookups += len(codes)
        batch: NDArray[np.uint8] = np.frombuffer(b"".join(codes), np.uint8).reshape(-1, 32)
        try:
            answers = self._client.match_hashes(batch, max_distance_bits=0)
        except DisruptError as error:
            self._problem(f"a lookup failed: {error}")
            return len(codes)
        return sum(
            {match.item_id for match in answer.matches} != self._known[code]
            for code, answer in zip(codes, answers, strict=True)
        )

    def _problem(self, text: str) -> None:
        self.tally.problems.append(f"after kill {self.tally.kills.total()}: {text}")


def _traced(command: list[str | Path], trace: Path) -> list[Call]:
    """Run a command to its end; return its calls."""
    # In the foreground, strace ends when the trace is complete.
    tracer = [word for word in strace.tracing(trace, *_WRITES, "fsync", *_BY_PATH) if word != "-D"]
    subprocess.run([*tracer, *command], check=True, stdout=subprocess.DEVNULL)
    return strace.read(trace)


def disorder(calls: list[Call], index_dir: Path) -> Iterator[str]:
    """Yield what a run that published a generation did too early to survive a power cut.

    Every file of it, and its directory, must be synced before it gets its name; the name, and the
    file that will be CURRENT, before CURRENT is replaced; CURRENT, before a generation is deleted.
    """
    renames = {path.name: call for call in calls if call.name == "rename" and (path := _path(call))}
    named, pointed = renames.get("building"), renames.get("CURRENT.new")
    if named is None or pointed is None:
        yield "nothing was published"
        return
    building = index_dir / "building"
    written = [
        (path, call)
        for call in calls
        if call.name in _WRITES and (path := _path(call)) and call.began < pointed.began
    ]
    for path in sorted({path for path, _ in written if path.parent == building}):
        last = max(call.began for written_path, call in written if written_path == path)
        if not _synced(calls, path, last, named.began):
            yield f"{path.name} was named before it was synced"
    if not _synced(calls, building, 0, named.began):
        yield "the directory was named before it was synced"
    aside = [call.began for path, call in written if path.name == "CURRENT.new"]
    if not _synced(calls, index_dir / "CURRENT.new", max(aside, default=0), pointed.began):
        yield "CURRENT was replaced by a file that was not synced"
    if not _synced(calls, index_dir, named.began, pointed.began):
        yield "CURRENT was replaced before the generation's name was synced"
    gone = [call.began for call in calls if call.name in _BY_PATH and call.began > pointed.began]
    if not _synced(calls, index_dir, pointed.began, min(gone, default=calls[-1].began + 1)):
        yield "a generation went before CURRENT was synced"


def _synced(calls: list[Call], path: Path, after: int, before: int) -> bool:
    return any(
        call.name == "fsync"
        and _path(call) == path
        and call.began > after
        and call.ended is not None
        and call.ended < before
        for call in calls
    )


def _path(call: Call) -> Path | None:
    """Return the path of a call: the file of its descriptor, or its first path argument."""
    if call.name == "unlinkat":
        return Path(call.target) / call.strings[0].decode()
    if call.name in _BY_PATH:
        return Path(call.strings[0].decode())
    return Path(call.target) if call.target else None
