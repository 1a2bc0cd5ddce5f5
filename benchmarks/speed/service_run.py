"""Run `bench service` once: two servers on one core, and the engine alone on it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.harness.h2load import Body, Rate, Target, calls, framed
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.lookups import MAX_MATCHES
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import same_limits
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from rig.faults.sabotages import broken_by
from rig.model.brute_force import Codes
from rig.processes.running import cpu_s, processes
from rig.servers.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment
from rig.servers.prepared import prepare

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


@contextmanager
def prepared_run(work: Path, codes: Codes, asked: Codes) -> Iterator[tuple[Run, Deployment]]:
    """Run both servers over one snapshot until the block ends."""
    snapshot = prepare(work / "disrupt", codes)
    shutil.copytree(work / "disrupt", work / "nothing", ignore=shutil.ignore_patterns("index"))
    # Hard links let both servers map the same pages.
    shutil.copytree(work / "disrupt/index", work / "nothing/index", copy_function=os.link)
    with ExitStack() as stack:
        servers = {}
        for name, broken in (("disrupt", None), ("nothing", NOTHING)):
            pinned = ("taskset", "-c", str(server_core()), *WITH_BYTECODE, *broken_by(broken))
            servers[name] = Deployment.start(
                work / name, workers=1, settings=FEW_DECODERS, wrapper=pinned
            )
            stack.callback(servers[name].stop)
        yield Run(servers, LiveIndex(snapshot), asked), servers["disrupt"]


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
