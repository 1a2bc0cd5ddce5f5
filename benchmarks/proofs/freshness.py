"""Measure how soon every worker follows a registration, a withdrawal, and an item's state.

Clients register, switch, withdraw and look up on a real server all the time. Each worker is asked
again and again for what is new, until it answers rightly: that time is an upper bound. Exit code 1
if the 99th percentile, from the acknowledgement on, is over the limit.

    ./scripts/bench freshness --json out.json
"""

from __future__ import annotations

import json
import os
import platform
import random
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import click
import numpy as np

from benchmarks.harness.deployment import WITH_BYTECODE, Deployment
from benchmarks.harness.processes import client_of_each_worker
from benchmarks.harness.writes import Desk, Write
from benchmarks.sabotages import broken_by
from disrupt.client import MatchClient
from disrupt.core.media import ItemState
from disrupt.server.upkeep.administration import Administration, administration
from disrupt.wire import admin as wire

SABOTAGES = ("slow-follower",)
LIMIT_S = 1.0
EVENTS = ("registration", "disabling", "enabling", "withdrawal")
"""Events of each item, in this order; it matches after the first and the third."""

_POLL_S = 0.005
_LOOKUP_BATCH = 64
_GIVE_UP_S = 30.0


@dataclass(eq=False, slots=True)
class Event:
    """A change of one item: when it was sent, acknowledged, and known to each worker."""

    write: Write
    name: str
    matches: bool
    sent_s: float
    acknowledged_s: float = 0.0
    seen_s: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """Percentiles of times in ms; one sample is one event in one worker."""

    event: str
    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    from_sending_p50_ms: float
    from_sending_p99_ms: float
    from_sending_max_ms: float


class _Load:
    """Load beside the measurement: threads that look up, one connection each."""

    def __init__(self, server: Deployment, key: str, threads: int) -> None:
        self.lookups = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._look_up, args=(server.address, key))
            for _ in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _look_up(self, address: str, key: str) -> None:
        with MatchClient(address, key=key, connections=1) as client:
            while not self._stop.is_set():
                client.match_hashes(secrets.token_bytes(32 * _LOOKUP_BATCH))
                with self._lock:
                    self.lookups += _LOOKUP_BATCH


class _Watch:
    """Ask one worker for what it should know by now, until it does."""

    def __init__(self, worker: int, client: MatchClient) -> None:
        self.pending: list[Event] = []
        self._worker = worker
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Wait until nothing is pending, or it takes too long."""
        give_up_s = time.monotonic() + _GIVE_UP_S
        while self.pending and time.monotonic() < give_up_s:
            time.sleep(_POLL_S)
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            asked = self.pending.copy()
            if asked:
                answers = self._client.match_hashes(
                    [event.write.hashes[0] for event in asked], max_distance_bits=0
                )
                now_s = time.monotonic()
                for event, answer in zip(asked, answers, strict=True):
                    if bool(answer.matches) == event.matches:
                        event.seen_s[self._worker] = now_s
                        self.pending.remove(event)
            time.sleep(_POLL_S)


def freshness(
    work: Path, seconds: float, *, seed: int, sabotage: str | None, lookup_threads: int
) -> dict[str, Any]:
    """Change items for ``seconds``, on a server of its own; return the report."""
    server = Deployment.start(work / "data", wrapper=(*WITH_BYTECODE, *broken_by(sabotage)))
    try:
        report = measure(server, seconds, seed=seed, lookup_threads=lookup_threads)
    finally:
        with suppress(ProcessLookupError):
            server.kill()
    return report | {
        "sabotage": sabotage,
        "machine": {"cores": os.cpu_count(), "os": platform.platform()},
    }


def measure(
    server: Deployment, seconds: float, *, seed: int, lookup_threads: int
) -> dict[str, Any]:
    """Do what ``freshness`` does on a server that runs."""
    with ExitStack() as stack:
        register, match = (server.make_key(right, right) for right in ("register", "match"))
        clients = stack.enter_context(client_of_each_worker(server, match))
        desk = stack.enter_context(Desk(server.address, register).open())
        admin = stack.enter_context(administration(server.data_dir))
        load = stack.enter_context(_Load(server, match, lookup_threads))
        watches = [_Watch(worker, client) for worker, client in clients.items()]
        began_s = time.monotonic()
        events = _write(desk, admin, watches, seed, until_s=began_s + seconds)
        took_s = time.monotonic() - began_s
        for watch in watches:
            watch.end()
    rows = [
        _row(name, [event for event in events if event.name == name], len(clients))
        for name in EVENTS
    ]
    return {
        "rows": [asdict(row) for row in rows],
        "limit_ms": LIMIT_S * 1000,
        "workers": len(clients),
        "changes_per_s": round(len(events) / took_s, 1),
        "lookups_per_s": round(load.lookups / took_s),
    }


def _write(
    desk: Desk, admin: Administration, watches: list[_Watch], seed: int, *, until_s: float
) -> list[Event]:
    """Run two threads that register a case, switch its item off and on, and withdraw it.

    Each step waits until every worker follows the one before.
    """
    events: list[Event] = []

    def observed(
        write: Write, name: str, call: Callable[[Write], object], *, matches: bool
    ) -> None:
        event = Event(write, name, matches, time.monotonic())
        for watch in watches:
            watch.pending.append(event)
        call(write)
        event.acknowledged_s = time.monotonic()
        events.append(event)
        give_up_s = time.monotonic() + _GIVE_UP_S
        while len(event.seen_s) < len(watches) and time.monotonic() < give_up_s:
            time.sleep(_POLL_S)

    def switched(state: ItemState) -> Callable[[Write], object]:
        return lambda write: admin.set_states(wire.states_request(write.item_ids, state))

    def person(chance: random.Random) -> None:
        while time.monotonic() < until_s:
            write = Write.new(chance, items=1, hashes=2)
            steps = (desk.register, switched(ItemState.DISABLED), switched(ItemState.LIVE))
            for at, (name, step) in enumerate(zip(EVENTS, (*steps, desk.withdraw), strict=True)):
                observed(write, name, step, matches=at % 2 == 0)

    people = [threading.Thread(target=person, args=(random.Random(seed + at),)) for at in range(2)]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    return events


def _row(name: str, events: list[Event], workers: int) -> Row:
    """Make a row; a worker that never knew counts with the longest time waited."""
    after, since_sent = [], []
    for event in events:
        seen = [*event.seen_s.values()]
        seen += [event.acknowledged_s + _GIVE_UP_S] * (workers - len(seen))
        after += [max(0.0, seen_s - event.acknowledged_s) for seen_s in seen]
        since_sent += [seen_s - event.sent_s for seen_s in seen]
    return Row(name, len(after), *_percentiles_ms(after), *_percentiles_ms(since_sent))


def _percentiles_ms(times_s: list[float]) -> tuple[float, float, float]:
    p50, p99, most = np.percentile(times_s, (50, 99, 100)) * 1000
    return round(p50, 1), round(p99, 1), round(most, 1)


@click.command(help=__doc__)
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
@click.option("--seconds", default=60.0, show_default=True, help="How long to measure.")
@click.option("--lookup-threads", default=2, show_default=True, help="Clients that look up beside.")
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Slow it down: must be found.")
@click.option("--seed", default=1, show_default=True)
def main(
    json_path: str, seconds: float, lookup_threads: int, sabotage: str | None, seed: int
) -> None:
    """Measure, write the report; exit with 1 where it takes too long."""
    with tempfile.TemporaryDirectory(prefix="disrupt-freshness-") as work:
        report = freshness(
            Path(work), seconds, seed=seed, sabotage=sabotage, lookup_threads=lookup_threads
        )
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(report, indent=2) + "\n")
    sys.exit(any(row["p99_ms"] > report["limit_ms"] for row in report["rows"]))


if __name__ == "__main__":
    main()
