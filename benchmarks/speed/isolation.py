"""Measure the cost of isolation, and how MatchImage scales with workers.

In one run and in turns, the same pictures are hashed by threads of one process and by isolated
processes, as many as cores. Then a real server answers MatchImage with one worker and with one per
core, each with one decoding process, to a client that sends bytes made beforehand. The best round
of each way counts, since other work on the machine only slows it. The report names the processor
time beside the throughput: of decoding processes, of workers (gRPC, search) and of the client,
which runs on the same cores, so that ``most_per_s`` is what all cores could do. Decoding overlaps
with gRPC where decoding processes are busy nearly all the time. Answers are compared with hashes
computed here.

    ./scripts/bench isolation --json -
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import grpc
import uvloop

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from benchmarks.harness.photographs import KINDS, encode, photographs
from benchmarks.harness.processes import client_of_each_worker, cpu_s, processes
from disrupt.hashing import ImageQuery, hash_image
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.server.admission.pool import Pool
from disrupt.v1 import match_pb2

INPUTS = ("jpeg_720", "jpeg_1920", "jpeg_12mp", "png_1920", "webp_1920")
SERVED = ("jpeg_1920", "jpeg_12mp")
_CORES = len(os.sched_getaffinity(0))
_IN_FLIGHT = 4
"""Open calls for each process that works."""
_DECODER = "disrupt.isolation.picture_worker"


@click.command(help=__doc__)
@click.option("--json", "json_path", required=True, help="File for the report, - for stdout.")
@click.option("--rounds", default=15, show_default=True, help="Turns of each way.")
@click.option("--round-s", default=0.5, show_default=True, help="About how long a turn takes.")
@click.option("--input", "kinds", multiple=True, type=click.Choice(INPUTS), default=INPUTS)
def main(json_path: str, rounds: int, round_s: float, kinds: tuple[str, ...]) -> None:
    """Measure and write the report."""
    name, load = next(photographs())
    photograph = load()
    files = {kind: encode(photograph, KINDS[kind]) for kind in kinds}
    rows = uvloop.run(_compare(files, rounds, round_s))
    served = _scaling(files, rounds, round_s)
    report = {
        "rows": rows,
        "match_image": served,
        "photograph": name,
        "machine": {"cores": _CORES, "processor": platform.machine()},
    }
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(report, indent=2) + "\n")


async def _compare(files: dict[str, bytes], rounds: int, round_s: float) -> list[dict[str, Any]]:
    threads = Pool("hash", threads=_CORES, queued=_IN_FLIGHT * _CORES)
    rows = []
    async with IsolatedHashing(workers=_CORES, queued=_IN_FLIGHT * _CORES) as isolated:
        for name, data in files.items():
            expected = hash_image(data)

            async def in_threads(data: bytes = data) -> object:
                return await threads.run(hash_image, data)

            async def in_isolation(data: bytes = data) -> object:
                return await isolated.hash_image(data)

            plain, apart = [], []
            for _ in range(rounds):
                plain.append(await _per_s(in_threads, expected, round_s))
                apart.append(await _per_s(in_isolation, expected, round_s))
            rows.append(
                {
                    "input": name,
                    "size_bytes": len(data),
                    "in_threads_per_s": round(max(plain), 1),
                    "isolated_per_s": round(max(apart), 1),
                    "isolated_of_in_threads": round(max(apart) / max(plain), 3),
                }
            )
    return rows


async def _per_s(
    hashed: Callable[[], Awaitable[object]], expected: object, round_s: float
) -> float:
    """Return pictures per second; each open call is made once at least."""
    done = 0
    began_s = time.perf_counter()

    async def keep_asking() -> None:
        nonlocal done
        while True:
            if await hashed() != expected:
                raise RuntimeError("a picture was hashed wrongly")
            done += 1
            if time.perf_counter() - began_s >= round_s:
                return

    await asyncio.gather(*(keep_asking() for _ in range(_IN_FLIGHT * _CORES)))
    return done / (time.perf_counter() - began_s)


def _scaling(files: dict[str, bytes], rounds: int, round_s: float) -> list[dict[str, Any]]:
    """Measure one worker and one per core, in turns; return the best round of each, by file."""
    numbers = sorted({1, _CORES})
    with contextlib.ExitStack() as stack:
        servers = {workers: stack.enter_context(_serving(workers)) for workers in numbers}
        return [
            _scaled(kind, files[kind], servers, rounds, round_s) for kind in SERVED if kind in files
        ]


def _scaled(
    kind: str, data: bytes, servers: dict[int, _Served], rounds: int, round_s: float
) -> dict[str, Any]:
    expected = hash_image(data)
    quality = expected.quality if isinstance(expected, ImageQuery) else -1
    body = match_pb2.MatchImageRequest(image=data).SerializeToString()
    by_workers: dict[int, list[dict[str, Any]]] = {workers: [] for workers in servers}
    for _ in range(rounds):
        for workers, served in servers.items():
            by_workers[workers].append(_round(served, body, quality, round_s))
    rows = [
        {"workers": workers, **max(results, key=lambda result: result["per_s"])}
        for workers, results in by_workers.items()
    ]
    return {
        "input": kind,
        "size_bytes": len(data),
        "rows": rows,
        "speedup": round(rows[-1]["per_s"] / rows[0]["per_s"], 2),
    }


@dataclass(frozen=True, slots=True)
class _Served:
    """A server, a key, and a connection to each of its workers."""

    server: Deployment
    key: str
    channels: list[grpc.Channel]

    def spent_s(self) -> dict[str, float]:
        """Return processor time so far, of processes by what they do."""
        workers = processes(self.server.process.pid, "worker")
        decoders = [decoder for worker in workers for decoder in processes(worker, _DECODER)]
        return {
            "decoders": sum(map(cpu_s, decoders)),
            "workers": sum(map(cpu_s, workers)),
            "client": time.process_time(),
        }


@contextlib.contextmanager
def _serving(workers: int) -> Iterator[_Served]:
    """Run a server with ``workers`` workers, each with one decoding process."""
    with tempfile.TemporaryDirectory(prefix="disrupt-isolation-") as folder:
        server = Deployment.start(Path(folder, "data"), workers=workers, settings=FEW_DECODERS)
        try:
            key = server.make_key("platform", "match")
            with client_of_each_worker(server, key) as clients:
                channels = [client._channels[0] for client in clients.values()]  # noqa: SLF001
                yield _Served(server, key, channels)
        finally:
            server.stop()


def _round(served: _Served, body: bytes, quality: int, seconds: float) -> dict[str, Any]:
    """Measure throughput, and the processor time of a picture by process."""
    with ThreadPoolExecutor(_IN_FLIGHT * len(served.channels)) as pool:
        before, began_s = served.spent_s(), time.perf_counter()
        asked = [
            pool.submit(_ask, channel, served.key, body, quality, began_s + seconds)
            for channel in served.channels
            for _ in range(_IN_FLIGHT)
        ]
        answered = sum(task.result() for task in asked)
        took_s, after = time.perf_counter() - began_s, served.spent_s()
    spent_s = {name: after[name] - before[name] for name in after}
    return {
        "per_s": round(answered / took_s, 1),
        "most_per_s": round(_CORES * answered / sum(spent_s.values()), 1),
        "decoders_busy": round(spent_s["decoders"] / len(served.channels) / took_s, 2),
        "cpu_ms_per_picture": {
            name: round(1000 * spent / answered, 2) for name, spent in spent_s.items()
        },
        "cores_used": round(sum(spent_s.values()) / took_s, 2),
    }


def _ask(channel: grpc.Channel, key: str, body: bytes, quality: int, until_s: float) -> int:
    """Ask once, and again until then; return the number of answers."""
    call: Any = channel.unary_unary("/disrupt.v1.MatchService/MatchImage")
    metadata = [("authorization", f"Bearer {key}")]
    answered = 0
    while not answered or time.perf_counter() < until_s:
        answer = match_pb2.MatchImageResponse.FromString(call(body, metadata=metadata))
        if answer.quality != quality or answer.HasField("low_quality"):
            raise RuntimeError("a picture was hashed wrongly")
        answered += 1
    return answered


if __name__ == "__main__":
    main()
