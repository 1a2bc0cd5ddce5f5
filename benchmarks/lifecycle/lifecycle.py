"""Measure time and memory to build, open, change and rebuild an index beside lookups.

It fills a registry and rebuilds its index by command. Then it measures lookups after 0 to 100 000
changes, and near a crowd of near-duplicates; the longest lookup while generations are built and
taken up, beside the same load without; a real server's memory, by itself and during a rebuild; and
how soon a registration reaches lookups there. It compares answers with brute force, and exits with
1 if any was wrong.

    ./scripts/bench lifecycle --size 1000000 --json out.json
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.harness import registries
from benchmarks.harness.brute_force import Codes
from benchmarks.harness.deployment import BIN, WITH_BYTECODE, Deployment
from benchmarks.harness.hash_sets import Distribution, queries, stored
from benchmarks.harness.processes import pss_mb, session
from benchmarks.lifecycle import changes as lifecycle_changes
from benchmarks.lifecycle import crowd as lifecycle_crowd
from benchmarks.lifecycle import opening as lifecycle_open
from benchmarks.lifecycle import swaps as lifecycle_swaps
from benchmarks.proofs import freshness
from disrupt import logs
from disrupt.index.generations import current, directory_of
from disrupt.index.snapshot import Snapshot

_QUERIES = 1000
_PACKAGES = ("disrupt-hashes", "faiss-cpu", "numba", "numpy")

_Result = TypeVar("_Result")


class Place:
    """A data directory with a registry of given codes, and the size of its items."""

    def __init__(self, work: Path, size: int, distribution: Distribution, hashes: int) -> None:
        self.data_dir = work / "data"
        self.index_dir = self.data_dir / "index"
        self.control_dir = work / "control"
        self.distribution: Distribution = distribution
        self.path = stored(distribution, size)
        self.hashes_per_item = hashes

    @property
    def codes(self) -> Codes:
        """All hashes, mapped."""
        codes: Codes = np.load(self.path, mmap_mode="r")
        return codes

    def asked(self) -> Codes:
        """Return queries, of which a tenth has a stored hash near it."""
        return queries(self.distribution, self.codes, _QUERIES)

    def snapshot(self) -> Snapshot:
        """Open and warm the served generation."""
        opened = Snapshot.open(directory_of(self.index_dir, current(self.index_dir)))
        opened.warm()
        return opened


def changes(
    place: Place, marks: tuple[int, ...], rounds: int, *, sabotage: bool
) -> list[lifecycle_changes.Row]:
    """Time lookups after changes."""
    setting = lifecycle_changes.Setting(
        place.snapshot(), np.array(place.codes), place.hashes_per_item, 1, sabotage
    )
    return lifecycle_changes.measure(setting, place.asked(), marks, rounds)


def crowd(place: Place) -> list[lifecycle_crowd.Row]:
    """Time lookups near very many near-duplicates."""
    return lifecycle_crowd.measure(place.codes, lifecycle_crowd.CROWD)


def swaps(place: Place, repeats: int) -> dict[str, Any]:
    """Measure the longest lookups while generations are built and taken up, and otherwise."""
    dirs = (place.data_dir, place.control_dir)
    # Changes come from another process, as from a server's writer.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as writer:
        builds = lifecycle_swaps.Builds(*dirs, place.codes, place.hashes_per_item, writer)
        return lifecycle_swaps.measure(builds, place.asked(), repeats)


def server(place: Place, seconds: float) -> dict[str, Any]:
    """Measure a real server: memory, freshness, and memory while its index is rebuilt."""
    running = Deployment.start(place.data_dir, wrapper=WITH_BYTECODE)
    try:
        memory = {"steady_mb": round(_server_mb(running), 1)}
        fresh = freshness.measure(running, seconds, seed=1, lookup_threads=1)
        indexer = subprocess.Popen(
            [BIN / "disrupt-index", "rebuild", "--data-dir", place.data_dir],
            stdout=subprocess.DEVNULL,
        )
        most_mb = 0.0
        ends_s = time.monotonic()
        while indexer.poll() is None or time.monotonic() < ends_s + 2:
            most_mb = max(most_mb, _server_mb(running) + pss_mb(indexer.pid))
            if indexer.poll() is None:
                ends_s = time.monotonic()
            time.sleep(0.05)
        memory |= {
            "during_a_swap_mb": round(most_mb, 1),
            "after_it_mb": round(_server_mb(running), 1),
            "processes": len(session(running.process.pid)),
        }
    finally:
        with suppress(ProcessLookupError):
            running.kill()
    return {"memory": memory, "freshness": fresh}


def _server_mb(running: Deployment) -> float:
    return sum(pss_mb(process) for process in session(running.process.pid))


def lifecycle(
    place: Place,
    *,
    cold: bool,
    openings: int,
    marks: tuple[int, ...],
    rounds: int,
    repeats: int,
    seconds: float,
    sabotage: bool,
) -> dict[str, Any]:
    """Run all parts, each in a process that ends with it; with sabotage, what it breaks."""
    began_s = time.perf_counter()
    _say("filling a registry")
    registries.fill(place.data_dir, place.codes, place.hashes_per_item)
    fill_s = time.perf_counter() - began_s
    _say("rebuilding")
    built = lifecycle_open.build(place.data_dir, place.codes)
    opened = [
        lifecycle_open.opened(place.index_dir, place.codes[0], cache)
        for cache in (*(("empty", "none") if cold else ()), *("kept",) * openings)
    ]
    _say("changing")
    aged = _apart(changes, place, marks, rounds, sabotage=sabotage)
    if sabotage:
        return {
            "changes": [asdict(row) for row in aged],
            "wrong": sum(row.wrong for row in aged),
            "sabotage": sabotage,
        }
    crowded = _apart(crowd, place)
    _say("swapping")
    swapped = _apart(swaps, place, repeats)
    _say("serving")
    served = server(place, seconds)
    return {
        "size": len(place.codes),
        "distribution": place.distribution,
        "hashes_per_item": place.hashes_per_item,
        "fill_s": round(fill_s, 1),
        "build": asdict(built),
        "open": [asdict(row) for row in opened],
        "changes": [asdict(row) for row in aged],
        "crowd": [asdict(row) for row in crowded],
        "swaps": swapped,
        **served,
        "wrong": sum(row.wrong for row in aged)
        + sum(row.wrong for row in crowded)
        + swapped["wrong"],
        "sabotage": sabotage,
        "machine": {"cores": os.cpu_count(), "os": platform.platform()},
        "versions": {name: version(name) for name in _PACKAGES},
    }


def _say(what: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S', time.gmtime())} {what} …", err=True)


def _apart(function: Callable[..., _Result], *arguments: Any, **options: Any) -> _Result:  # noqa: ANN401 those of the function
    """Call a function in a new process, so that its mappings are not counted as the server's."""
    context = multiprocessing.get_context("spawn")
    quiet = ("lifecycle", "warning")
    with ProcessPoolExecutor(1, context, logs.configure, quiet) as pool:
        return pool.submit(function, *arguments, **options).result()


def table(report: dict[str, Any]) -> Table:
    """Return a table of what was promised, and what was measured."""
    rows = Table("what", "promised at ten million", "found")
    kept = [row["answered_s"] for row in report["open"] if row["cache"] == "kept"]
    slowest = max(report["changes"], key=lambda row: row["times_slower"])
    build, memory = report["build"], report["memory"]
    fresh = max(row["p99_ms"] for row in report["freshness"]["rows"])
    rows.add_row("rebuild from the registry", "60 s", f"{build['rebuild_s']} s")
    rows.add_row("its memory beside files", "", f"{build['own_peak_mb']} MB")
    rows.add_row("tables from codes in memory", "", f"{build['from_codes_s']} s")
    rows.add_row("open to first answer", "2 s", f"{np.median(kept):.3f} s")
    rows.add_row(
        "lookup after changes",
        "2 times",
        f"{slowest['times_slower']} times ({slowest['count']} {slowest['changes']})",
    )
    longest = max(row["longest_us"] for row in report["crowd"])
    rows.add_row("lookup near a crowd of 50 000", "", f"{longest / 1000:.1f} ms")
    swaps = report["swaps"]
    rows.add_row(
        "longest lookup, swap against the same load", "+ 5 ms", f"{swaps['swap_adds_ms']:+} ms"
    )
    own = max(swaps["in_swaps_own_longest_ms"])
    rows.add_row("the longest in a swap, but for waiting for a core", "+ 5 ms", f"{own} ms")
    rows.add_row("change to lookups, 99th percentile", "1000 ms", f"{fresh} ms")
    rows.add_row("memory of all processes", "1600 MB", f"{memory['steady_mb']} MB")
    rows.add_row("during a swap", "3000 MB", f"{memory['during_a_swap_mb']} MB")
    rows.add_row("wrong answers", "0", str(report["wrong"]))
    return rows


@click.command(help=__doc__)
@click.option("--size", default=1_000_000, show_default=True, help="Hashes in the registry.")
@click.option("--hashes-per-item", default=80, show_default=True, help="A picture has so many.")
@click.option(
    "--distribution",
    default="uniform",
    show_default=True,
    type=click.Choice(get_args(Distribution)),
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the report.")
@click.option("--cold", is_flag=True, help="Open it with nothing compiled yet, too.")
@click.option("--openings", default=5, show_default=True, help="Processes that open it.")
@click.option("--most-changes", default=lifecycle_changes.MARKS[-1], show_default=True)
@click.option("--rounds", default=40, show_default=True, help="Of 50 lookups after changes.")
@click.option("--repeats", default=6, show_default=True, help="Swaps, and builds without.")
@click.option("--seconds", default=20.0, show_default=True, help="To measure freshness for.")
@click.option("--sabotage", is_flag=True, help="Lose changes: must fail.")
def main(  # noqa: PLR0913  (an option each)
    *,
    size: int,
    hashes_per_item: int,
    distribution: Distribution,
    json_path: Path | None,
    cold: bool,
    openings: int,
    most_changes: int,
    rounds: int,
    repeats: int,
    seconds: float,
    sabotage: bool,
) -> None:
    """Measure, print, write; exit with 1 if any answer was wrong."""
    logs.configure("lifecycle", "warning")
    marks = tuple(mark for mark in lifecycle_changes.MARKS if mark <= most_changes)
    with tempfile.TemporaryDirectory(prefix="disrupt-lifecycle-") as work:
        report = lifecycle(
            Place(Path(work), size, distribution, hashes_per_item),
            cold=cold,
            openings=openings,
            marks=marks,
            rounds=rounds,
            repeats=repeats,
            seconds=seconds,
            sabotage=sabotage,
        )
    if not sabotage:
        Console().print(table(report))
    if json_path:
        json_path.write_text(json.dumps(report, indent=2) + "\n")
    sys.exit(report["wrong"] > 0)


if __name__ == "__main__":
    main()
