"""A real server under load: single lookups, batches of 64 and flows, beside what bounds them.

The server has one core and one worker, h2load the others, and they take turns with two bounds in
the same run: the bare engine on the server's core, over the same queries; and the same server whose
handler answers nothing (its interceptors and all else are the same). A tenth of the queries lies
near a stored hash. Answers are compared with brute force before and after, and a wrong one ends it
with exit code 1. Then latency while calls come at random moments.

    ./scripts/bench service --size 1000000 --json out.json
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import click
import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.brute_force import Codes, brute_force
from benchmarks.deployment import WITH_BYTECODE, Deployment
from benchmarks.h2load import Body, Target, calls_per_s, framed, latencies_us
from benchmarks.hash_sets import Distribution, queries, stored
from benchmarks.prepared import item_id, prepare
from benchmarks.sabotages import broken_by
from disrupt.client import MatchClient
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.index.live import LiveIndex
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub

BATCH = 64
FLOW_BATCHES = 32
CLIENTS = 8

_NOTHING = "empty-answers"
_LOADS = (0.2, 0.5, 0.8)
_PACKAGES = ("disrupt", "faiss-cpu", "grpcio", "numba", "numpy", "protobuf", "uvloop")


@dataclass(frozen=True, slots=True)
class Row:
    """One way of calling: the median of the rounds, and its bounds of the same run.

    ``of_nothing`` and ``of_engine`` are the medians of the ratios of each round.
    """

    calls: str
    size: int
    distribution: str
    calls_per_s: float
    items_per_s: float
    nothing_items_per_s: float
    engine_items_per_s: float
    of_nothing: float
    of_engine: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Single lookups that come at random moments, whatever is answered."""

    rate_per_s: float
    load: float
    calls: int
    p50_us: float
    p99_us: float
    p999_us: float


@dataclass(frozen=True, slots=True)
class Workload:
    """``method`` called with ``messages`` of ``hashes`` each by every client."""

    name: str
    method: str
    messages: int
    hashes: int
    open_calls: int

    @property
    def items(self) -> int:
        """Hashes in one call."""
        return self.messages * self.hashes


WORKLOADS = (
    Workload("unary", "MatchHashes", 1, 1, 8),
    Workload("batches of 64", "MatchHashes", 1, BATCH, 2),
    Workload("flows of 64", "StreamMatchHashes", FLOW_BATCHES, BATCH, 1),
)


class Run:
    """Two servers, one of which answers nothing, the same hashes in an index here, and queries."""

    def __init__(self, servers: dict[str, Deployment], live: LiveIndex, asked: Codes) -> None:
        self.keys = {name: server.make_key("bench", "match") for name, server in servers.items()}
        self._servers = servers
        self._live = live
        self._asked = asked

    def per_s(self, name: str, workload: Workload, seconds: float) -> float:
        """Items answered by a server in a second."""
        calls = calls_per_s(
            self.target(name, workload),
            self.bodies(name, workload),
            seconds=seconds,
            open_calls=workload.open_calls,
        )
        return calls * workload.items

    def engine_per_s(self, workload: Workload, seconds: float) -> float:
        """Items searched in a second by the index alone, on the server's core."""
        parts = [batch for client in self._queries(workload) for batch in client]
        with _on_cores(_server_core()):
            began_s, batches = time.perf_counter(), 0
            while (took_s := time.perf_counter() - began_s) < seconds:
                for part in parts:
                    self._live.search(part, MAX_DISTANCE_BITS)
                batches += len(parts)
        return batches * workload.hashes / took_s

    def bodies(self, name: str, workload: Workload) -> list[Body]:
        """A body for each client, and the length of what the server answers to it."""
        server, key = self._servers[name], self.keys[name]
        with grpc.insecure_channel(server.address) as channel:
            call: Any = getattr(MatchServiceStub(channel), workload.method)
            metadata = [("authorization", f"Bearer {key}")]
            bodies = []
            for batches in self._queries(workload):
                sent = [match_pb2.MatchHashesRequest(hashes=one.tobytes()) for one in batches]
                if workload.method == "MatchHashes":
                    answers = [call(one, metadata=metadata, timeout=60) for one in sent]
                    messages = [one.SerializeToString() for one in sent]
                else:
                    flow = [match_pb2.StreamMatchHashesRequest(batch=one) for one in sent]
                    answers = list(call(iter(flow), metadata=metadata, timeout=60))
                    messages = [one.SerializeToString() for one in flow]
                length = len(framed([one.SerializeToString() for one in answers]))
                bodies.append(Body(tuple(messages), length))
        return bodies

    def target(self, name: str, workload: Workload) -> Target:
        """Where h2load is to send calls."""
        address = self._servers[name].address
        return Target(address, self.keys[name], workload.method, _load_cores())

    def _queries(self, workload: Workload) -> list[list[Codes]]:
        """For each client its batches."""
        return [
            [
                self._asked[(client * workload.messages + at) * workload.hashes :][
                    : workload.hashes
                ]
                for at in range(workload.messages)
            ]
            for client in range(CLIENTS)
        ]


def wrong_answers(server: Deployment, key: str, codes: Codes, asked: Codes) -> int:
    """Queries that the server answers otherwise than brute force: in batches, singly, in a flow."""
    truth = [
        sorted((item_id(entry).hex(), distance) for entry, distance in answer)
        for answer in brute_force(codes, asked, MAX_DISTANCE_BITS)
    ]
    batches = [asked[at : at + BATCH] for at in range(0, len(asked), BATCH)]
    with MatchClient(server.address, key=key, timeout_s=60) as client:
        answered = [
            client.match_hashes(asked, max_matches=1000),
            [client.match_hashes(one[None], max_matches=1000)[0] for one in asked],
            [one for batch in client.stream_hashes(batches, max_matches=1000) for one in batch],
        ]
    return sum(
        sorted((match.item_id, match.distance_bits) for match in answer.matches) != expected
        for answers in answered
        for answer, expected in zip(answers, truth, strict=True)
    )


def measure(run: Run, size: int, distribution: str, seconds: float, rounds: int) -> list[Row]:
    """Every workload, ``rounds`` times in turn with its bounds."""
    rows = []
    for workload in WORKLOADS:
        each = [
            (
                run.per_s("disrupt", workload, seconds),
                run.per_s("nothing", workload, seconds),
                run.engine_per_s(workload, seconds),
            )
            for _ in range(rounds)
        ]
        ours, nothing, engine = (statistics.median(column) for column in zip(*each, strict=True))
        rows.append(
            Row(
                workload.name,
                size,
                distribution,
                round(ours / workload.items, 1),
                round(ours, 1),
                round(nothing, 1),
                round(engine, 1),
                round(statistics.median(one / other for one, other, _ in each), 3),
                round(statistics.median(one / other for one, _, other in each), 3),
            )
        )
    return rows


def latencies(run: Run, capacity_per_s: float, seconds: int) -> list[Latency]:
    """Single lookups at shares of what the server answers at most."""
    workload = WORKLOADS[0]
    bodies, found = run.bodies("disrupt", workload), []
    for load in _LOADS:
        rate = load * capacity_per_s
        target = run.target("disrupt", workload)
        took_us = latencies_us(target, bodies, seconds=seconds, rate=rate, seed=1)
        p50, p99, p999 = np.percentile(took_us, (50, 99, 99.9)).round(0).tolist()
        found.append(Latency(round(rate), load, len(took_us), p50, p99, p999))
    return found


@contextmanager
def prepared_run(
    work: Path, codes: Codes, asked: Codes, sabotage: str | None
) -> Iterator[tuple[Run, Deployment]]:
    """Both servers over one snapshot, while they last."""
    snapshot = prepare(work / "disrupt", codes)
    shutil.copytree(work / "disrupt", work / "nothing", ignore=shutil.ignore_patterns("index"))
    # both map the same pages
    shutil.copytree(work / "disrupt/index", work / "nothing/index", copy_function=os.link)
    with ExitStack() as stack:
        servers = {}
        for name, broken in (("disrupt", sabotage), ("nothing", _NOTHING)):
            pinned = ("taskset", "-c", str(_server_core()), *WITH_BYTECODE, *broken_by(broken))
            servers[name] = Deployment.start(work / name, workers=1, wrapper=pinned)
            stack.callback(servers[name].stop)
        yield Run(servers, LiveIndex(snapshot), asked), servers["disrupt"]


def _server_core() -> int:
    return min(os.sched_getaffinity(0))


def _load_cores() -> str:
    cores = sorted(os.sched_getaffinity(0))
    return ",".join(map(str, cores[1:] or cores))


@contextmanager
def _on_cores(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@click.command(help=__doc__)
@click.option("--size", default=1_000_000, show_default=True, help="Hashes to search in.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the rows.")
@click.option(
    "--distribution", default="uniform", type=click.Choice(get_args(Distribution)), help="Hashes."
)
@click.option("--seconds", default=5, show_default=True, help="For each measurement.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--checked", default=2000, show_default=True, help="Queries to check, three ways.")
@click.option("--sabotage", type=click.Choice([_NOTHING]), help="Answer nothing: must fail.")
def main(
    *,
    size: int,
    json_path: Path | None,
    distribution: Distribution,
    seconds: int,
    rounds: int,
    checked: int,
    sabotage: str | None,
) -> None:
    """Measure, print, write; exit with 1 if an answer was wrong."""
    codes = np.load(stored(distribution, size), mmap_mode="r")
    most = CLIENTS * max(workload.items for workload in WORKLOADS)
    asked = queries(distribution, codes, max(most, checked))
    with (
        tempfile.TemporaryDirectory(prefix="disrupt-service-") as work,
        prepared_run(Path(work), codes, asked, sabotage) as (run, server),
    ):
        _check(server, run.keys["disrupt"], codes, asked[:checked])
        rows = measure(run, size, distribution, seconds, rounds)
        under_load = latencies(run, rows[0].calls_per_s, seconds)
        _check(server, run.keys["disrupt"], codes, asked[:checked])
    report = {
        "rows": [asdict(row) for row in rows],
        "latencies": [asdict(one) for one in under_load],
        "wrong": 0,
        "checked_queries": checked,
        "server_core": _server_core(),
        "load_cores": _load_cores(),
        "clients": CLIENTS,
        "workloads": [asdict(one) for one in WORKLOADS],
        "versions": {name: version(name) for name in _PACKAGES},
        "machine": {"cores": os.cpu_count(), "os": platform.platform()},
    }
    _show(rows, under_load, report)
    if json_path:
        json_path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _check(server: Deployment, key: str, codes: Codes, asked: Codes) -> None:
    wrong = wrong_answers(server, key, codes, asked)
    if wrong:
        raise click.ClickException(f"{wrong} of {3 * len(asked)} answers are wrong.")


def _show(rows: Sequence[Row], under_load: Sequence[Latency], report: dict[str, Any]) -> None:
    console = Console() if sys.stdout.isatty() else Console(width=130)
    table = Table(title=f"{rows[0].size:,} {rows[0].distribution} hashes, one core")
    columns: list[tuple[str, Callable[[Row], str]]] = [
        ("calls", lambda row: row.calls),
        ("calls/s", lambda row: f"{row.calls_per_s:,.0f}"),
        ("items/s", lambda row: f"{row.items_per_s:,.0f}"),
        ("answering nothing", lambda row: f"{row.nothing_items_per_s:,.0f}"),
        ("bare engine", lambda row: f"{row.engine_items_per_s:,.0f}"),
        ("of nothing", lambda row: f"{row.of_nothing:.0%}"),
        ("of engine", lambda row: f"{row.of_engine:.0%}"),
    ]
    for name, _ in columns:
        table.add_column(name, justify="left" if name == "calls" else "right")
    for row in rows:
        table.add_row(*(text(row) for _, text in columns))
    console.print(table)
    table = Table("load", "calls/s", "p50 µs", "p99 µs", "p99.9 µs", title="Single lookups")
    for one in under_load:
        times = (one.rate_per_s, one.p50_us, one.p99_us, one.p999_us)
        table.add_row(f"{one.load:.0%}", *(f"{number:,.0f}" for number in times))
    console.print(table)
    for name in ("wrong", "checked_queries", "versions", "machine"):
        console.print(f"{name}: {report[name]}", highlight=False)


if __name__ == "__main__":
    main()
