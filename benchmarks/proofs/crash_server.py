"""Kill the real server while it registers, again and again, and count what was lost."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np

from benchmarks.harness.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment
from benchmarks.harness.processes import processes
from benchmarks.harness.stored import Stored, verified
from benchmarks.harness.writes import Clients, Desk, Write, patiently
from disrupt.client import MatchClient
from disrupt.data_directory import DataDirectory
from disrupt.feed.rebuild import rebuild
from disrupt.registry.sql import SqlRegistry
from disrupt.services.cursors import SealedCursors

TARGETS = ("writer", "everything", "writer", "supervisor")
"""Processes that are killed, in turn.

A supervisor waits ever longer before it restarts a writer that keeps dying, so it is killed, too: a
new one begins with no wait.
"""

_THREADS = 4
_REBUILT_EVERY = 10
_LEVEL_WITHIN_S = 5.0
_WRITE_WITHIN_S = 0.5


@dataclass
class Tally:
    """Counts of a run; ``lost`` are acknowledged writes that a kill undid or changed."""

    kills: int = 0
    acknowledged: int = 0
    in_flight_at_kill: int = 0
    lost: int = 0
    verify_failures: int = 0

    least_in_flight: int = 0
    kills_of: dict[str, int] = field(default_factory=dict)
    kept_in_flight: int = 0
    """Writes without an answer that were stored; those that were not are counted below."""
    dropped_in_flight: int = 0
    torn: int = 0
    """Writes without an answer of which a part was stored."""
    changed_replays: int = 0
    """Requests that got another answer when they were sent again."""
    unexpected: int = 0
    """Calls that failed in another way than those of a killed server."""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """True if the run broke a promise."""
        return bool(self.problems)

    def problem(self, text: str) -> None:
        """Note a problem."""
        self.problems.append(text)


def crash(
    data_dir: Path,
    kills: int,
    *,
    seed: int,
    wrapper: tuple[str | Path, ...] = (),
    acknowledged_per_kill: int = 7,
) -> Tally:
    """Kill a server on a new data directory so many times, each time with a write in flight."""
    began_s = time.monotonic()

    def start() -> Deployment:
        wrapped = (*WITH_BYTECODE, *wrapper)
        return Deployment.start(data_dir, workers=1, settings=FEW_DECODERS, wrapper=wrapped)

    chance, tally = random.Random(seed), Tally()
    sent, known = list[Write](), list[Write]()
    server = start()
    try:
        register, match = (server.make_key(right, right) for right in ("register", "match"))
        while tally.kills < kills:
            target = TARGETS[tally.kills % len(TARGETS)]
            new = _kill_while_registering(
                server, register, tally, chance, target, acknowledged_per_kill
            )
            sent, known = sent + new, known + new
            if server.process.poll() is not None:
                server = start()
            known = _check(server, register, match, tally, known)
            if tally.kills % _REBUILT_EVERY == 0:
                with SqlRegistry.open_reader(data_dir / "registry.db") as reader:
                    rebuild(reader, data_dir / "index")
            _tell(tally)
    finally:
        with suppress(ProcessLookupError):
            server.kill()
    tally.acknowledged = sum(write.acknowledged for write in sent)
    tally.seconds = round(time.monotonic() - began_s, 1)
    return tally


def _kill_while_registering(
    server: Deployment,
    key: str,
    tally: Tally,
    chance: random.Random,
    target: str,
    acknowledged: int,
) -> list[Write]:
    """Kill once; return all writes that were sent before."""
    with Desk(server.address, key).open() as desk:
        clients = Clients(desk, chance, _THREADS)
        give_up_s = time.monotonic() + 30
        enough = chance.randint(acknowledged, acknowledged + 4)
        while clients.acknowledged < enough and time.monotonic() < give_up_s:
            time.sleep(0.005)
        if chance.random() < 0.75:
            _wait_for_a_write(server.data_dir / "registry.db-wal")
        time.sleep(chance.choice((0, 0, 0.001, 0.005, 0.05)) * chance.random())
        killed_s = time.monotonic()
        _kill(server, target)
        clients.end()
        in_flight = desk.unanswered(killed_s)
    for failure in clients.failures:
        tally.unexpected += 1
        tally.problem(f"a call failed: {failure}")
    if in_flight:
        tally.kills += 1
        tally.kills_of[target] = tally.kills_of.get(target, 0) + 1
        tally.in_flight_at_kill += in_flight
        tally.least_in_flight = min(in_flight, tally.least_in_flight or in_flight)
    return clients.writes


def _wait_for_a_write(log: Path) -> None:
    """Return as soon as the database's log is written to, so that a commit is under way."""
    before = log.stat()
    give_up_s = time.monotonic() + _WRITE_WITHIN_S
    while time.monotonic() < give_up_s:
        now = log.stat()
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            return


def _kill(server: Deployment, target: str) -> None:
    if target == "everything":
        server.kill()
    elif target == "supervisor":
        server.kill_supervisor()
    else:
        for process in processes(server.process.pid, target):
            os.kill(process, signal.SIGKILL)


def _check(
    server: Deployment, register: str, match: str, tally: Tally, known: list[Write]
) -> list[Write]:
    """Check all known writes; return those that are kept, all of them acknowledged."""
    stored = Stored.read(server.data_dir)
    known = [write for write in known if _is_kept(write, stored, tally)]
    with Desk(server.address, register).open() as desk:
        for write in known:
            _replay(write, stored, desk, tally)
        acknowledged = [write for write in known if write.receipt and not write.withdrawal_sent]
        if acknowledged:
            _replay_acknowledged(acknowledged[-1], desk, tally)
    _look_up(server, match, known, tally)
    _verify(server.data_dir, tally)
    return known


def _is_kept(write: Write, stored: Stored, tally: Tally) -> bool:
    """Tell whether a write that was acknowledged is in the registry, unchanged."""
    if write.receipt is None:
        return True
    stored_blobs = [stored.blobs.get(item_id) for item_id in write.item_ids]
    if write.withdrawal is not None:
        kept = stored_blobs == [None] * len(stored_blobs)
    elif write.withdrawal_sent:
        kept = stored_blobs in ([None] * len(stored_blobs), write.blobs)
        tally.torn += not kept
    else:
        kept = stored_blobs == write.blobs
    if not kept:
        tally.lost += 1
        what = "withdrawal" if write.withdrawal_sent else "registration"
        tally.problem(f"after kill {tally.kills} an acknowledged {what} is lost or changed")
    return kept


def _replay(write: Write, stored: Stored, desk: Desk, tally: Tally) -> None:
    """Send a write without an answer again; it must be stored wholly or not at all."""
    if write.receipt is None:
        stored_ids = [stored.ids[blob] for blob in write.blobs if blob in stored.ids]
        if 0 < len(stored_ids) < len(write.blobs):
            tally.torn += 1
            tally.problem(f"after kill {tally.kills} a part of a registration is stored")
        receipt = patiently(lambda: desk.register(write))
        _count_in_flight(tally, kept=bool(stored_ids))
        if stored_ids and [item.item_id for item in receipt.items] != stored_ids:
            tally.changed_replays += 1
            tally.problem("a registration that was stored was registered again")
        _replay_acknowledged(write, desk, tally)
    elif write.withdrawal_sent and write.withdrawal is None:
        _count_in_flight(tally, kept=write.item_ids[0] not in stored.blobs)
        try:
            patiently(lambda: desk.withdraw(write))
        except grpc.RpcError as error:
            tally.problem(f"a withdrawal was refused when it was sent again: {error.code().name}")


def _count_in_flight(tally: Tally, *, kept: bool) -> None:
    if kept:
        tally.kept_in_flight += 1
    else:
        tally.dropped_in_flight += 1


def _replay_acknowledged(write: Write, desk: Desk, tally: Tally) -> None:
    if patiently(lambda: desk.register(write)) != write.receipt:
        tally.changed_replays += 1
        tally.problem("a request got another answer when it was sent again")


def _look_up(server: Deployment, key: str, known: list[Write], tally: Tally) -> None:
    """Look every hash up through the public API, once a worker has followed the registry."""
    head = Stored.read(server.data_dir).head
    hashes = [code for write in known for code in write.hashes]
    if head is None or not hashes:
        return
    batch = np.frombuffer(b"".join(code.value for code in hashes), np.uint8).reshape(-1, 32)
    cursors = SealedCursors(DataDirectory(server.data_dir).secrets().match_tokens)
    with MatchClient(server.address, key=key, connections=1) as client:
        give_up_s = time.monotonic() + _LEVEL_WITHIN_S
        answers = client.match_hashes(batch, max_distance_bits=0)
        while cursors.open(answers[-1].index_cursor).sequence < head.sequence:
            if time.monotonic() > give_up_s:
                tally.problem("a worker does not follow the registry")
                break
            time.sleep(0.05)
            answers = client.match_hashes(batch, max_distance_bits=0)
    matched = iter(answers)
    for write in known:
        ids_by_hash = [{match.item_id for match in next(matched).matches} for _ in write.hashes]
        own = [
            item_id.hex() in ids for item_id, ids in zip(write.item_ids, ids_by_hash, strict=True)
        ]
        if any(own) if write.withdrawal else not all(own):
            tally.lost += 1
            what = "a withdrawn case matches" if write.withdrawal else "a case does not match"
            tally.problem(f"after kill {tally.kills} {what}")


def _verify(data_dir: Path, tally: Tally) -> None:
    if problems := verified(data_dir):
        tally.verify_failures += 1
        tally.problem(f"after kill {tally.kills} verify says: {problems}")


def _tell(tally: Tally) -> None:
    print(
        f"kill {tally.kills}: in flight {tally.in_flight_at_kill}, lost {tally.lost},"
        f" problems {len(tally.problems)}",
        file=sys.stderr,
    )
