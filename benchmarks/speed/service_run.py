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

from benchmarks.harness.brute_force import Codes
from benchmarks.harness.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment
from benchmarks.harness.h2load import Body, Rate, Target, calls, framed
from benchmarks.harness.prepared import prepare
from benchmarks.harness.processes import cpu_s, processes
from benchmarks.sabotages import broken_by
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.index.live import LiveIndex
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub

BATCH = 64
FLOW_BATCHES = 32

NOTHING = "empty-answers"


@dataclass(frozen=True, slots=True)
class Workload:
    """``method`` called with ``messages`` of ``hashes`` each by every client.

    Each client repeats its queries, and has ``open_calls`` open. Uploads do not repeat, so there
    should be more queries than the processor's cache has room for.
    """

    name: str
    method: str
    messages: int
    hashes: int
    clients: int
    open_calls: int

    @property
    def items(self) -> int:
        """Number of hashes in one call."""
        return self.messages * self.hashes


WORKLOADS = (
    Workload("unary", "MatchHashes", 1, 1, clients=32, open_calls=2),
    Workload("batches of 64", "MatchHashes", 1, BATCH, clients=32, open_calls=1),
    Workload("flows of 64", "StreamMatchHashes", FLOW_BATCHES, BATCH, clients=8, open_calls=1),
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
            self.target(name, workload),
            self.bodies(name, workload),
            lambda: cpu_s(self._workers[name]),
            seconds=seconds,
            open_calls=workload.open_calls,
        )

    def engine_per_cpu_s(self, workload: Workload, seconds: float) -> float:
        """Return items the index alone searches in a second of processor time, on the same core."""
        parts = [batch for client in self._queries(workload) for batch in client]
        ends_s, batches = time.monotonic() + seconds, 0
        with _on_core(server_core()):
            began_s = time.thread_time()
            while time.monotonic() < ends_s or not batches:
                for part in parts:
                    self._live.search(part, MAX_DISTANCE_BITS)
                batches += len(parts)
            took_s = time.thread_time() - began_s
        return batches * workload.hashes / took_s

    def bodies(self, name: str, workload: Workload) -> list[Body]:
        """Return a body for each client, with the length of the server's answer to it."""
        server, key = self._servers[name], self.keys[name]
        with grpc.insecure_channel(server.address) as channel:
            call: Any = getattr(MatchServiceStub(channel), workload.method)
            metadata = [("authorization", f"Bearer {key}")]
            bodies = []
            for batches in self._queries(workload):
                sent = [match_pb2.MatchHashesRequest(hashes=batch.tobytes()) for batch in batches]
                if workload.method == "MatchHashes":
                    answers = [call(request, metadata=metadata, timeout=60) for request in sent]
                    messages = [request.SerializeToString() for request in sent]
                else:
                    flow = [match_pb2.StreamMatchHashesRequest(batch=request) for request in sent]
                    answers = list(call(iter(flow), metadata=metadata, timeout=60))
                    messages = [message.SerializeToString() for message in flow]
                length = len(framed([answer.SerializeToString() for answer in answers]))
                bodies.append(Body(tuple(messages), length))
        return bodies

    def target(self, name: str, workload: Workload) -> Target:
        """Return where h2load is to send calls."""
        address = self._servers[name].address
        return Target(address, self.keys[name], workload.method, load_cores())

    def _queries(self, workload: Workload) -> list[list[Codes]]:
        """Return the batches of each client."""
        return [
            [
                self._asked[(client * workload.messages + at) * workload.hashes :][
                    : workload.hashes
                ]
                for at in range(workload.messages)
            ]
            for client in range(workload.clients)
        ]


@contextmanager
def prepared_run(
    work: Path, codes: Codes, asked: Codes, sabotage: str | None
) -> Iterator[tuple[Run, Deployment]]:
    """Run both servers over one snapshot until the block ends."""
    snapshot = prepare(work / "disrupt", codes)
    shutil.copytree(work / "disrupt", work / "nothing", ignore=shutil.ignore_patterns("index"))
    # Hard links let both servers map the same pages.
    shutil.copytree(work / "disrupt/index", work / "nothing/index", copy_function=os.link)
    with ExitStack() as stack:
        servers = {}
        for name, broken in (("disrupt", sabotage), ("nothing", NOTHING)):
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
