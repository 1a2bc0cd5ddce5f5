"""Kill the real server while it writes: nothing acknowledged is lost, nothing stored in part.

Each kill is a SIGKILL to the writer, to all processes or to the supervisor, with at least one write
in flight: sent, and not answered. After each, everything acknowledged so far must be in the
registry unchanged, outcomes of matches too; registered items must match at distance 0 through the
public API, withdrawn ones must not. A write in flight must be stored wholly or not at all, and
sending it again must give one answer. `disrupt-index verify` must find no difference.

SIGKILL leaves the page cache alive, so test_ordering.py proves the order of writing as well.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from disrupt.client import MatchClient
from disrupt.data_directory import DataDirectory
from disrupt.registry import opening
from disrupt.upkeep.rebuild import rebuild
from rig.callers.desk import Clients, Desk, Reporter, patiently
from rig.faults.sabotages import broken_by
from rig.model.acknowledged import kept, outcomes_kept, stored, verified
from rig.model.write import Write
from rig.processes.running import processes
from rig.servers.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment
from rig.servers.postgresql import PostgreSql, commands

TARGETS = ("writer", "everything", "writer", "supervisor")
"""Processes that are killed, in turn.

A supervisor waits ever longer before it restarts a writer that keeps dying, so it is killed, too: a
new one begins with no wait.
"""

_THREADS = 4
_REBUILT_EVERY = 10
_LEVEL_WITHIN_S = 60.0


@dataclass
class Tally:
    """Counts of a run, and everything that broke a promise."""

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    in_flight: Counter[bool] = field(default_factory=Counter)
    """Writes that were sent and not answered before a kill, by whether they were stored."""
    problems: list[str] = field(default_factory=list)


def test_a_server_that_is_killed_loses_nothing_acknowledged(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    check_crashes(tmp_path / "data", figures, whole=whole)


@pytest.mark.skipif(commands() is None, reason="PostgreSQL is not installed")
def test_one_with_its_registry_in_postgresql_loses_nothing_acknowledged(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.make()
    with PostgreSql.create() as postgresql:
        directory.note_registry_url(postgresql.url())
        check_crashes(directory.path, figures, whole=whole)


def check_crashes(data_dir: Path, figures: Callable[[str], None], *, whole: bool) -> None:
    kills = 50 if whole else 2
    tally = crash(data_dir, kills, acknowledged_per_kill=7 if whole else 3)
    assert tally.problems == []
    assert tally.kills.total() == kills
    assert tally.in_flight.total() >= kills
    figures(
        f"{kills} kills ({dict(tally.kills)}): {tally.acknowledged} acknowledged, 0 lost;"
        f" in flight {tally.in_flight[True]} stored, {tally.in_flight[False]} not, 0 torn"
    )


def test_an_acknowledgement_before_the_commit_is_found(tmp_path: Path) -> None:
    sabotage = broken_by("early-acknowledgement")
    tally = crash(tmp_path / "data", 9, wrapper=sabotage, acknowledged_per_kill=3)
    assert any("lost" in problem for problem in tally.problems), tally.problems


def crash(
    data_dir: Path, kills: int, *, acknowledged_per_kill: int, wrapper: tuple[str, ...] = ()
) -> Tally:
    """Kill a server on a new data directory so many times, until a promise is broken."""

    def start() -> Deployment:
        wrapped = (*WITH_BYTECODE, *wrapper)
        return Deployment.start(data_dir, workers=1, settings=FEW_DECODERS, wrapper=wrapped)

    chance, tally, known = random.Random(1), Tally(), list[Write]()
    server = start()
    try:
        register, match = (server.make_key(right, right) for right in ("register", "match"))
        reporter = Reporter.new(server)
        while tally.kills.total() < kills and not tally.problems:
            target = TARGETS[tally.kills.total() % len(TARGETS)]
            enough = chance.randint(acknowledged_per_kill, acknowledged_per_kill + 4)
            known += _kill_while_writing(
                server, Desk(server.address, register, reporter), tally, chance, target, enough
            )
            if server.process.poll() is not None:
                server = start()
            tally.problems += _check(server, register, match, tally, known)
            if tally.kills.total() % _REBUILT_EVERY == 0:
                with opening.reading(DataDirectory(data_dir)) as reader:
                    rebuild(reader, data_dir / "index")
    finally:
        server.kill()
    tally.acknowledged = sum(write.acknowledged for write in known)
    return tally


def _kill_while_writing(
    server: Deployment, desk: Desk, tally: Tally, chance: random.Random, target: str, enough: int
) -> list[Write]:
    """Kill once so many writes are acknowledged; return all writes that were sent."""
    with desk.open():
        clients = Clients(desk, chance, _THREADS)
        give_up_s = time.monotonic() + 30
        while clients.acknowledged < enough and time.monotonic() < give_up_s:
            time.sleep(0.005)
        if chance.random() < 0.75 and DataDirectory(server.data_dir).registry_url is None:
            _wait_for_a_write(server.data_dir / "registry.db-wal")
        time.sleep(chance.choice((0, 0, 0.001, 0.005, 0.05)) * chance.random())
        killed_s = time.monotonic()
        if target == "everything":
            server.kill()
        elif target == "supervisor":
            server.kill_supervisor()
        else:
            for process in processes(server.process.pid, target):
                os.kill(process, signal.SIGKILL)
        clients.end()
        tally.kills[target] += desk.unanswered(killed_s) > 0
    tally.problems += [f"a call failed: {failure}" for failure in clients.failures]
    return clients.writes


def _wait_for_a_write(log: Path) -> None:
    """Return as soon as the database's log is written to, so that a commit is under way."""
    before = log.stat()
    give_up_s = time.monotonic() + 0.5
    while time.monotonic() < give_up_s:
        now = log.stat()
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            return


def _check(
    server: Deployment, register: str, match: str, tally: Tally, known: list[Write]
) -> list[str]:
    """Return what is wrong about any known write; send those without an answer again."""
    items = stored(server.data_dir)
    problems = [
        problem
        for write in known
        if write.receipt is not None
        for problem in kept(write, [items.get(item_id) for item_id in write.item_ids])
    ]
    problems += outcomes_kept(server.data_dir, known)
    if problems:
        return problems
    with Desk(server.address, register).open() as desk:
        for write in known:
            problems += _replay(write, items, desk, tally)
        for write in [each for each in known if not each.withdrawal_sent][-1:]:
            problems += _replay_acknowledged(write, desk)
    return [*problems, *_look_up(server, match, known), *verified(server.data_dir)]


def _replay(write: Write, items: dict[bytes, bytes], desk: Desk, tally: Tally) -> Iterator[str]:
    """Send a write without an answer again; it must be stored wholly or not at all."""
    if write.receipt is None:
        ids = {blob: item_id for item_id, blob in items.items()}
        stored_ids = [ids[blob] for blob in write.blobs if blob in ids]
        if 0 < len(stored_ids) < len(write.blobs):
            yield "a part of a registration is stored"
        receipt = patiently(lambda: desk.register(write))
        tally.in_flight[bool(stored_ids)] += 1
        if stored_ids and [item.item_id for item in receipt.items] != stored_ids:
            yield "a registration that was stored was registered again"
        yield from _replay_acknowledged(write, desk)
    elif write.withdrawal_sent and write.withdrawal is None:
        tally.in_flight[write.item_ids[0] not in items] += 1
        try:
            patiently(lambda: desk.withdraw(write))
        except grpc.RpcError as error:
            yield f"a withdrawal was refused when it was sent again: {error.code().name}"


def _replay_acknowledged(write: Write, desk: Desk) -> Iterator[str]:
    if patiently(lambda: desk.register(write)) != write.receipt:
        yield "a request got another answer when it was sent again"


def _look_up(server: Deployment, key: str, known: list[Write]) -> Iterator[str]:
    """Look every hash up through the public API until the answers are right."""
    hashes = [code for write in known for code in write.hashes]
    give_up_s = time.monotonic() + _LEVEL_WITHIN_S
    with MatchClient(server.address, key=key, connections=1) as client:
        while hashes:
            answers = iter(client.match_hashes(hashes, max_distance_bits=0))
            are_matched = [
                item_id.hex() in {match.item_id for match in answer.matches}
                for write in known
                for item_id, answer in zip(write.item_ids, answers, strict=False)
            ]
            expected = [write.withdrawal is None for write in known for _ in write.item_ids]
            if are_matched == expected:
                return
            if time.monotonic() > give_up_s:
                yield "lookups do not find what is registered, or find what is withdrawn"
                return
            time.sleep(0.05)
