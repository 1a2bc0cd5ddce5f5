"""Measure time and memory to build, open, change and rebuild an index beside lookups.

It fills a registry and rebuilds its index by command, opens it in new processes, and measures
lookups after 0 to 100 000 changes, then a real server's memory by itself and during a rebuild. It
compares answers with brute force, and exits with 1 if any was wrong.

    ./scripts/bench lifecycle --size 1000000 --json out.json
"""

from __future__ import annotations

import multiprocessing
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
import numpy as np

from benchmarks.harness import report
from benchmarks.harness.hash_sets import Distribution, queries, stored
from benchmarks.speed import changes
from disrupt import logs
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.index.generations import current, directory_of
from disrupt.index.known_answers import check_table_search
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import same_limits
from disrupt.index.snapshot import Snapshot
from rig.model.brute_force import Codes
from rig.processes.running import memory_mb, pss_mb, session
from rig.servers import registries
from rig.servers.deployment import BIN, WITH_BYTECODE, Deployment

_QUERIES = 1000
_POLL_S = 0.02

_Result = TypeVar("_Result")


def build(data_dir: Path) -> dict[str, float]:
    """Rebuild the index by command; ``own_peak_mb`` leaves out mapped pages of files."""
    began_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    rebuild = _start_rebuild(data_dir)
    own_mb = 0.0
    while rebuild.poll() is None:
        own_mb = max(own_mb, memory_mb(rebuild.pid)[0])
        time.sleep(_POLL_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if rebuild.returncode:
        raise RuntimeError(f"disrupt-index rebuild: exit code {rebuild.returncode}")
    return {
        "rebuild_s": time.perf_counter() - began_s,
        "rebuild_cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "own_peak_mb": own_mb,
    }


def _start_rebuild(data_dir: Path) -> subprocess.Popen[bytes]:
    command: list[str | Path] = [BIN / "disrupt-index", "rebuild", "--data-dir", data_dir]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def opened_s(index_dir: Path, query: Codes) -> float:
    """Return the seconds from opening the served generation to the first answer.

    The search is compiled before, as a worker has it from the supervisor.
    """
    check_table_search()
    began_s = time.perf_counter()
    snapshot = _snapshot(index_dir)
    limits_bits = same_limits(MAX_DISTANCE_BITS)
    hits = LiveIndex(snapshot).search(query[None], MAX_DISTANCE_BITS, limits_bits, 1).hits
    took_s = time.perf_counter() - began_s
    if not len(hits):
        raise RuntimeError("a stored hash was not found")
    return took_s


def _snapshot(index_dir: Path) -> Snapshot:
    snapshot = Snapshot.open(directory_of(index_dir, current(index_dir)), checked=True)
    snapshot.warm()
    return snapshot


def changed(
    index_dir: Path, path: Path, hashes: int, asked: Codes, marks: tuple[int, ...], rounds: int
) -> list[changes.Row]:
    """Time lookups after changes; ``path`` has the codes of the index."""
    setting = changes.Setting(_snapshot(index_dir), np.load(path), hashes, 1)
    return changes.measure(setting, asked, marks, rounds)


def server_memory(data_dir: Path) -> dict[str, float]:
    """Measure the memory of a server's processes, by themselves and while a generation is swapped.

    The process that rebuilds is counted, too.
    """
    with Deployment.start(data_dir, wrapper=WITH_BYTECODE) as server:

        def server_mb() -> float:
            return sum(pss_mb(process) for process in session(server.process.pid))

        memory = {"steady_mb": server_mb()}
        rebuild = _start_rebuild(data_dir)
        most_mb, ended_s = 0.0, time.monotonic()
        while rebuild.poll() is None or time.monotonic() < ended_s + 2:  # workers swap after it
            most_mb = max(most_mb, server_mb() + pss_mb(rebuild.pid))
            if rebuild.poll() is None:
                ended_s = time.monotonic()
            time.sleep(0.05)
        return memory | {"during_a_swap_mb": most_mb, "after_it_mb": server_mb()}


def _apart(function: Callable[..., _Result], *arguments: object) -> _Result:
    """Call a function in a new process, so that its mappings are not counted as the server's."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, logs.configure, ("lifecycle", "warning")) as pool:
        return pool.submit(function, *arguments).result()


def measure(
    work: Path,
    path: Path,
    distribution: Distribution,
    hashes: int,
    marks: tuple[int, ...],
    rounds: int,
    openings: int,
) -> dict[str, list[dict[str, Any]]]:
    """Run all parts in an empty directory; ``path`` has codes of items of ``hashes`` each."""
    codes: Codes = np.load(path, mmap_mode="r")
    data_dir, index_dir = work / "data", work / "data" / "index"
    registries.fill(data_dir, codes, hashes)
    built = build(data_dir)
    opened = [_apart(opened_s, index_dir, codes[0].copy()) for _ in range(openings)]
    asked = queries(distribution, codes, _QUERIES)
    rows = _apart(changed, index_dir, path, hashes, asked, marks, rounds)
    return {
        "build": [built | {"open_s": float(np.median(opened))}],
        "changes": [asdict(row) for row in rows],
        "memory": [server_memory(data_dir)],
    }


@click.command(help=__doc__)
@click.option("--size", default=1_000_000, show_default=True, help="Hashes in the registry.")
@click.option("--hashes-per-item", default=80, show_default=True, help="A picture has so many.")
@click.option("--distribution", default="uniform", type=click.Choice(get_args(Distribution)))
@click.option("--openings", default=5, show_default=True, help="Processes that open it.")
@click.option("--most-changes", default=changes.MARKS[-1], show_default=True)
@click.option("--rounds", default=40, show_default=True, help="Of 50 lookups after changes.")
@report.outputs(cannot_show="Disks that are slower, and a registry that others write meanwhile.")
def main(
    *,
    size: int,
    hashes_per_item: int,
    distribution: Distribution,
    openings: int,
    most_changes: int,
    rounds: int,
) -> None:
    """Measure, print, write; exit with 1 if any answer was wrong."""
    logs.configure("lifecycle", "warning")
    marks = tuple(mark for mark in changes.MARKS if mark <= most_changes)
    path = stored(distribution, size)
    with tempfile.TemporaryDirectory(prefix="disrupt-lifecycle-") as work:
        measured = measure(Path(work), path, distribution, hashes_per_item, marks, rounds, openings)
    for table in measured.values():
        report.show(table)
    wrong = sum(row["wrong"] for row in measured["changes"])
    failures = [f"{wrong} answers after changes are wrong"] if wrong else []
    report.publish(measured, failures=failures)


if __name__ == "__main__":
    main()
