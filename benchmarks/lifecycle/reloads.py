"""Reload a server again and again under load, and count the calls that it dropped.

Callers look hashes up and register, each call once: on connections that last, and, lookups, on new
ones. A call is dropped if it gets neither an answer nor a refusal of the server. One that arrives
in the instant in which a former worker stops has not begun: gRPC cancels it (its issue 41785), and
the client library sends it again; those are counted apart, and may be one for each reload and
caller. A wrong answer lacks the match that must be there. Registrations, and they alone, may be
refused while there is no writer. Each reload has ended when the server says so, with all processes
new. At the end everything acknowledged must be in the registry. Exit code 0 if all of it held.

    ./scripts/bench reloads --reloads 20 --json reloads.json
"""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import click
import grpc

from benchmarks.harness.deployment import FEW_DECODERS, READY_TIMEOUT_S, WITH_BYTECODE, Deployment
from benchmarks.harness.processes import processes
from benchmarks.harness.stored import Stored, verified
from benchmarks.harness.writes import TIMEOUT_S, Write
from benchmarks.sabotages import broken_by
from disrupt import logs
from disrupt.client.connection import connect
from disrupt.v1 import match_pb2, types_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from disrupt.wire.errors import details_of

SABOTAGES = ("hasty-ends",)

REGISTRATIONS = "registrations"
_ROLES = ("worker", "writer")
_PAUSE_S = 0.002
_CALM_S = 1.0
"""Time under load before each reload, and after the last."""


@dataclass
class Row:
    """Calls of a kind: how many, what became of those that failed, and the longest, in ms."""

    kind: str
    calls: int = 0
    refused: int = 0
    unbegun: int = 0
    dropped: int = 0
    wrong: int = 0
    answered: int = 0
    longest_ms: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)

    def add(self, call: Callable[[], bool]) -> None:
        """Make a call, which returns whether its answer is right, and count it."""
        began_s = time.perf_counter()
        self.calls += 1
        try:
            self.wrong += not call()
            self.answered += 1
        except grpc.RpcError as error:
            name = error.code().name
            self.statuses[name] = self.statuses.get(name, 0) + 1
            if details_of(error):
                self.refused += 1
            elif error.code() == grpc.StatusCode.CANCELLED:
                self.unbegun += 1
            else:
                self.dropped += 1
        self.longest_ms = max(self.longest_ms, round(1000 * (time.perf_counter() - began_s), 1))


@dataclass
class Report:
    """Counts of a run. ``verify`` holds what `disrupt-index verify` finds wrong at the end."""

    reloads: int = 0
    longest_reload_s: float = 0.0
    rows: list[Row] = field(default_factory=list)
    acknowledged: int = 0
    lost: int = 0
    exit_code: int = 0
    verify: str = ""

    @property
    def failed(self) -> bool:
        """True if a call was dropped or wrong, a write was lost, or the server did not end well."""
        broken = any(
            row.dropped
            or row.wrong
            or not row.answered
            or row.unbegun > self.reloads  # each worker that ends has one call of a caller at most
            or (row.refused and row.kind != REGISTRATIONS)
            for row in self.rows
        )
        return bool(broken or self.lost or self.exit_code or self.verify)


class _Callers:
    """Threads that call without end, one for each row, from entering to leaving the context."""

    def __init__(self, server: Deployment, seed: int) -> None:
        """Make keys and connections, and register what is looked up."""
        self.acknowledged: list[Write] = []
        self._chance = random.Random(seed)
        self._matching, self._registering = (
            connect(server.address, server.make_key(right, right))
            for right in ("match", "register")
        )
        self._connections = ExitStack()
        match, register = (
            self._connections.enter_context(connection.open())
            for connection in (self._matching, self._registering)
        )
        self._stored = Write.new(self._chance, items=1, hashes=1)
        self._register(register, self._stored)
        while not self._look_up(match):
            time.sleep(_PAUSE_S)
        calls = {
            "lookups": lambda: self._look_up(match),
            "lookups on new connections": self._connect_and_look_up,
            REGISTRATIONS: lambda: self._register(register, Write.new(self._chance, items=1)),
        }
        self.rows = [Row(kind) for kind in calls]
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(row, call))
            for row, call in zip(self.rows, calls.values(), strict=True)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._connections.close()

    def _repeat(self, row: Row, call: Callable[[], bool]) -> None:
        while not self._over.is_set():
            row.add(call)
            time.sleep(_PAUSE_S)

    def _look_up(self, channel: grpc.Channel) -> bool:
        request = match_pb2.MatchHashesRequest(
            hashes=self._stored.hashes[0].value, profile=types_pb2.PROFILE_PDQ_512
        )
        answer = MatchServiceStub(channel).MatchHashes(
            request, timeout=TIMEOUT_S, metadata=self._matching.metadata
        )
        return len(answer.matches.queries) == 1

    def _connect_and_look_up(self) -> bool:
        with self._matching.open() as channel:
            return self._look_up(channel)

    def _register(self, channel: grpc.Channel, write: Write) -> bool:
        answer = RegistrationServiceStub(channel).RegisterHashes(
            write.request, timeout=TIMEOUT_S, metadata=self._registering.metadata
        )
        write.receipt = answer.receipt
        self.acknowledged.append(write)
        return len(write.item_ids) == len(write.hashes)


def reload(server: Deployment) -> float:
    """Reload a server; return how long that took, in s. Raises RuntimeError where it did not."""
    before = {process for role in _ROLES for process in processes(server.process.pid, role)}
    began_s = time.perf_counter()
    server.process.send_signal(signal.SIGHUP)
    watchdog = threading.Timer(READY_TIMEOUT_S, server.process.kill)
    watchdog.start()
    line = server.process.stdout.readline() if server.process.stdout else ""
    watchdog.cancel()
    took_s = time.perf_counter() - began_s
    after = {process for role in _ROLES for process in processes(server.process.pid, role)}
    if not line or before & after or len(after) != len(before):
        raise RuntimeError(f"the server did not reload; its log: {server.data_dir}.log")
    return took_s


def reloads(work: Path, times: int, *, workers: int, seed: int, sabotage: str | None) -> Report:
    """Reload so many times."""
    server = Deployment.start(
        work / "data",
        workers=workers,
        settings=FEW_DECODERS,
        wrapper=(*WITH_BYTECODE, *broken_by(sabotage)),
    )
    report = Report()
    try:
        with _Callers(server, seed) as callers:
            for at in range(times):
                time.sleep(_CALM_S)
                took_s = reload(server)
                report.reloads += 1
                report.longest_reload_s = max(report.longest_reload_s, round(took_s, 2))
                print(f"{at + 1}: {took_s:.1f} s", file=sys.stderr)
            time.sleep(_CALM_S)
        report.exit_code = server.stop()
    finally:
        if server.process.poll() is None:
            server.kill()
    report.rows = callers.rows
    report.acknowledged = len(callers.acknowledged)
    stored = Stored.read(server.data_dir).blobs
    report.lost = sum(
        [stored.get(item_id) for item_id in write.item_ids] != write.blobs
        for write in callers.acknowledged
    )
    report.verify = verified(server.data_dir)
    return report


@click.command(help=__doc__)
@click.option("--reloads", "times", default=20, show_default=True)
@click.option("--workers", default=2, show_default=True, help="Of the server.")
@click.option("--seed", default=1, show_default=True)
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: must be found.")
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
def main(times: int, workers: int, seed: int, sabotage: str | None, json_path: str) -> None:
    """Reload, check, write the report; exit with 1 if a promise was broken."""
    logs.configure("reloads", "warning")
    with tempfile.TemporaryDirectory(prefix="disrupt-reloads-") as work:
        report = reloads(Path(work), times, workers=workers, seed=seed, sabotage=sabotage)
    result = asdict(report) | {"failed": report.failed, "sabotage": sabotage, "seed": seed}
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(result, indent=2) + "\n")
    sys.exit(report.failed)


if __name__ == "__main__":
    main()
