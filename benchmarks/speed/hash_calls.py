"""Call MatchHashes with single hashes and batches, beside upper bounds of the same run.

The server has one core and one worker, h2load the others, and they take turns with two bounds: the
bare engine on the server's core, over the same queries; and the same server whose handler answers
nothing (its interceptors and all else are the same). They are compared by processor time, which
other work on the machine lengthens less than time on a clock. The bytes of every answer are
counted. Then latency is measured, on the clock, while calls arrive at random moments.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.harness.h2load import Body, Rate, Target, calls, framed, latencies_us
from disrupt.client import MatchClient
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.lookups import MAX_MATCHES
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import same_limits
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from rig.faults.sabotages import broken_by
from rig.model.brute_force import Codes, answers
from rig.processes.running import cpu_s, processes
from rig.servers.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment

NOTHING = "empty-answers"


@dataclass(frozen=True, slots=True)
class Workload:
    """MatchHashes called with ``hashes`` queries by every client.

    Each client repeats its queries, and has ``open_calls`` open. Uploads do not repeat, so there
    should be more queries than the processor's cache has room for.
    """

    name: str
    hashes: int
    clients: int
    open_calls: int


WORKLOADS = (
    Workload("unary", 1, clients=32, open_calls=2),
    Workload("batches of 64", 64, clients=32, open_calls=1),
    Workload("batches of 1000", 1000, clients=8, open_calls=1),
)


class Run:
    """Two servers, of which one answers nothing, an index of the same hashes, and queries."""

    def __init__(self, servers: dict[str, Deployment], live: LiveIndex, asked: Codes) -> None:
        self.keys = {name: server.make_key("bench", "match") for name, server in servers.items()}
        self._servers = servers
        self._workers = {
            name: processes(server.process.pid, "worker")[0] for name, server in servers.items()
        }
        self._live = live
        self._asked = asked

    def served(self, name: str, workload: Workload, seconds: float) -> Rate:
        """Measure the calls answered by a server."""
        return calls(
            self.target(name),
            self.bodies(name, workload),
            lambda: cpu_s(self._workers[name]),
            seconds=seconds,
            open_calls=workload.open_calls,
        )

    def engine_per_cpu_s(self, workload: Workload, seconds: float) -> float:
        """Return items the index alone searches in a second of processor time, on the same core."""
        parts = self._queries(workload)
        limits_bits = same_limits(MAX_DISTANCE_BITS)
        ends_s, batches = time.monotonic() + seconds, 0
        with _on_core(server_core()):
            began_s = time.thread_time()
            while time.monotonic() < ends_s or not batches:
                for part in parts:
                    self._live.search(part, MAX_DISTANCE_BITS, limits_bits, MAX_MATCHES)
                batches += len(parts)
            took_s = time.thread_time() - began_s
        return batches * workload.hashes / took_s

    def bodies(self, name: str, workload: Workload) -> list[Body]:
        """Return a body for each client, with the length of the server's answer to it."""
        server, key = self._servers[name], self.keys[name]
        with grpc.insecure_channel(server.address) as channel:
            call: Any = MatchServiceStub(channel).MatchHashes
            metadata = [("authorization", f"Bearer {key}")]
            bodies = []
            for queries in self._queries(workload):
                request = match_pb2.MatchHashesRequest(hashes=queries.tobytes())
                answer = call(request, metadata=metadata, timeout=60).SerializeToString()
                bodies.append(Body(request.SerializeToString(), len(framed([answer]))))
        return bodies

    def target(self, name: str) -> Target:
        """Return where h2load is to send calls."""
        address = self._servers[name].address
        return Target(address, self.keys[name], "MatchHashes", load_cores())

    def _queries(self, workload: Workload) -> list[Codes]:
        """Return the batch of each client."""
        return [
            self._asked[client * workload.hashes : (client + 1) * workload.hashes]
            for client in range(workload.clients)
        ]


_LOADS = (0.2, 0.5, 0.8)
_CHECKED = 2000
"""Queries to check, three ways, before and after."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way of calling: the median of the rounds, and its bounds of the same run.

    Rates are per second on the clock, or of processor time: the worker's, or the bare engine's.
    ``of_nothing`` and ``of_engine`` are the medians of the ratios of each round, of processor time.
    """

    calls: str
    calls_per_s: float
    items_per_s: float
    items_per_cpu_s: float
    nothing_items_per_cpu_s: float
    engine_items_per_cpu_s: float
    of_nothing: float
    of_engine: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of single lookups that arrive at random moments, whatever is answered."""

    rate_per_s: float
    load: float
    calls: int
    p50_us: float
    p99_us: float
    p999_us: float


def wrong_answers(server: Deployment, key: str, codes: Codes, asked: Codes) -> int:
    """Count queries answered otherwise than by brute force: in batches, singly, all at once."""
    truth = [[(item.hex(), distance) for item, distance in each] for each in answers(codes, asked)]
    with MatchClient(server.address, key=key, timeout_s=60) as client:
        answered = [
            [
                answer
                for at in range(0, len(asked), 64)
                for answer in client.match_hashes(asked[at : at + 64], max_matches=1000)
            ],
            [client.match_hashes(query[None], max_matches=1000)[0] for query in asked],
            client.match_hashes(asked, max_matches=1000),
        ]
    return sum(
        sorted((match.item_id, match.distance_bits) for match in answer.matches) != expected
        for way in answered
        for answer, expected in zip(way, truth, strict=True)
    )


def measure(run: Run, seconds: float, rounds: int) -> list[Row]:
    """Measure every workload, ``rounds`` times in turn with its bounds."""
    rows = []
    for workload in WORKLOADS:
        measured = [
            (
                run.served("disrupt", workload, seconds),
                run.served("nothing", workload, seconds).per_cpu_s,
                run.engine_per_cpu_s(workload, seconds) / workload.hashes,
            )
            for _ in range(rounds)
        ]
        calls_per_s = statistics.median(server.per_s for server, _, _ in measured)
        ours, nothing, engine = (
            statistics.median(column) * workload.hashes
            for column in zip(
                *((server.per_cpu_s, *peers) for server, *peers in measured), strict=True
            )
        )
        of_nothing = statistics.median(server.per_cpu_s / peer for server, peer, _ in measured)
        of_engine = statistics.median(server.per_cpu_s / peer for server, _, peer in measured)
        rows.append(
            Row(
                workload.name,
                calls_per_s,
                calls_per_s * workload.hashes,
                ours,
                nothing,
                engine,
                of_nothing,
                of_engine,
            )
        )
    return rows


def latencies(run: Run, capacity_per_s: float, seconds: float) -> list[Latency]:
    """Measure single lookups at shares of the server's capacity."""
    workload = WORKLOADS[0]
    bodies, measured = run.bodies("disrupt", workload), []
    target = run.target("disrupt")
    for load in _LOADS:
        rate = load * capacity_per_s
        took_us = latencies_us(target, bodies, seconds=seconds, rate=rate, seed=1)
        p50, p99, p999 = np.percentile(took_us, (50, 99, 99.9)).round(0).tolist()
        measured.append(Latency(round(rate), load, len(took_us), p50, p99, p999))
    return measured


def hash_calls(
    data_dir: Path, live: LiveIndex, codes: Codes, asked: Codes, seconds: float, rounds: int
) -> tuple[dict[str, list[dict[str, object]]], list[str]]:
    """Measure calls of hashes, and their latency; return tables and failures."""
    with prepared_run(data_dir, live, asked) as (run, server):
        rows, under_load = list[Row](), list[Latency]()
        checked = asked[:_CHECKED]
        wrong = wrong_answers(server, run.keys["disrupt"], codes, checked)
        if not wrong:
            rows = measure(run, seconds, rounds)
            under_load = latencies(run, rows[0].calls_per_s, seconds)
            wrong = wrong_answers(server, run.keys["disrupt"], codes, checked)
    tables = {
        "hash_calls": [asdict(row) for row in rows],
        "latencies": [asdict(latency) for latency in under_load],
    }
    return tables, [f"{wrong} of {3 * len(checked)} answers are wrong"] if wrong else []


@contextmanager
def prepared_run(data_dir: Path, live: LiveIndex, asked: Codes) -> Iterator[tuple[Run, Deployment]]:
    """Run both servers over the snapshot of ``data_dir`` until the block ends."""
    empty = data_dir.with_name("nothing")
    shutil.copytree(data_dir, empty, ignore=shutil.ignore_patterns("index"))
    # Hard links let both servers map the same pages.
    shutil.copytree(data_dir / "index", empty / "index", copy_function=os.link)
    with ExitStack() as stack:
        servers = {}
        for name, directory, broken in (("disrupt", data_dir, None), ("nothing", empty, NOTHING)):
            pinned = ("taskset", "-c", str(server_core()), *WITH_BYTECODE, *broken_by(broken))
            servers[name] = Deployment.start(
                directory, workers=1, settings=FEW_DECODERS, wrapper=pinned
            )
            stack.callback(servers[name].stop)
        yield Run(servers, live, asked), servers["disrupt"]


def server_core() -> int:
    """Return the one core that servers and the bare engine run on."""
    return min(os.sched_getaffinity(0))


def load_cores() -> str:
    """Return all other cores, as taskset has them; where there is one core, that."""
    cores = sorted(os.sched_getaffinity(0))
    return ",".join(map(str, cores[1:] or cores))


@contextmanager
def _on_core(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
