"""Look hashes up singly, in Disrupt's index, FAISS and python-threatexchange, in the same run.

It prints a table and, with --json, writes rows. Each engine gets a process, the same hashes, the
same queries in the same order, and one thread to search with. A lookup's time is processor time of
that thread, which other work on the machine lengthens less than time on a clock. Every answer is
compared with brute force. It exits with 1 if Disrupt missed or invented anything.

    ./scripts/bench search --size 1000000 --json out.json
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import get_args

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.harness.brute_force import Answer, brute_force
from benchmarks.harness.hash_sets import MAX_REGIONS, PLANTED_EVERY, Distribution, queries, stored
from benchmarks.speed.search_engines import SETTINGS, Measured, Task, measure
from disrupt.core.hashes import MAX_DISTANCE_BITS

_MULTIHASH_MAX_SIZE = 20_000_000
"""Beyond this size FAISS multi-hash, as in PDQIndex, takes more than 16 GB of memory."""

_FILE_WIDTH = 130
_LEAST_QUERIES = 100
_MOST_PAIRS = 10**11
"""Comparisons that brute force makes in a minute or two."""
_PACKAGES = ("disrupt-hashes", "faiss-cpu", "numba", "numpy", "pdqhash", "threatexchange")


@dataclass(frozen=True, slots=True)
class Row:
    """One engine over one set; ``recall`` and ``wrong`` are over all ``queries`` it answered."""

    engine: str
    size: int
    distribution: str
    lookups_per_s: float
    p50_us: float
    p99_us: float
    recall: float
    build_s: float
    build_cpu_s: float
    pss_mb: float
    wrong: int
    queries: int
    engine_chosen: str


@click.command(help=__doc__)
@click.option("--size", default=1_000_000, show_default=True, help="Hashes to search in.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the rows.")
@click.option(
    "--engine", "engines", multiple=True, type=click.Choice(list(SETTINGS)), help="Only these."
)
@click.option(
    "--distribution",
    "distributions",
    multiple=True,
    default=get_args(Distribution),
    type=click.Choice(get_args(Distribution)),
    help="Only these.",
)
@click.option("--max-distance-bits", default=MAX_DISTANCE_BITS, show_default=True)
@click.option("--queries", "n_queries", type=int, help="At most.  [20000, fewer beyond 5 million]")
@click.option("--seconds", default=10.0, show_default=True, help="To ask each engine for.")
@click.option("--build-threads", default=os.cpu_count() or 1, show_default=True)
@click.option("--sabotage", is_flag=True, help="Drop postings of Disrupt's index: must fail.")
def main(  # noqa: PLR0913  (an option each)
    *,
    size: int,
    json_path: Path | None,
    engines: tuple[str, ...],
    distributions: tuple[Distribution, ...],
    max_distance_bits: int,
    n_queries: int | None,
    seconds: float,
    build_threads: int,
    sabotage: bool,
) -> None:
    """Measure, print, write; exit with 1 if Disrupt's answers were not exact."""
    console = Console() if sys.stdout.isatty() else Console(width=_FILE_WIDTH)
    chosen = engines or tuple(
        name
        for name in SETTINGS
        if (name in {"disrupt", "faiss_flat"} or size <= _MULTIHASH_MAX_SIZE)
        and (name != "threatexchange_pdqindex" or max_distance_bits == MAX_DISTANCE_BITS)
    )
    rows: list[Row] = []
    report = _report(max_distance_bits, build_threads, min(size, MAX_REGIONS))
    for distribution in distributions:
        codes_path = stored(distribution, size)
        codes = np.load(codes_path, mmap_mode="r")
        asked = queries(distribution, codes, n_queries or min(20_000, _MOST_PAIRS // size))
        queries_path = codes_path.with_name(f"queries-{os.getpid()}.npy")
        np.save(queries_path, asked)
        try:
            truth = brute_force(codes, asked, max_distance_bits)
            for engine in chosen:
                console.print(f"{distribution}: {engine} …", highlight=False)
                task = Task(
                    engine,
                    codes_path,
                    queries_path,
                    max_distance_bits,
                    seconds,
                    _LEAST_QUERIES,
                    build_threads,
                    sabotage,
                )
                rows.append(_row(task, size, distribution, _alone(task), truth))
                if json_path:  # after each engine, as the next may take an hour at large sizes
                    whole = {"rows": [asdict(row) for row in rows]} | report
                    json_path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        finally:
            queries_path.unlink()
    _show(console, rows, report)
    inexact = [row for row in rows if row.engine == "disrupt" and (row.recall < 1 or row.wrong)]
    if inexact:
        console.print("[red]Disrupt's answers are not exact.[/red]")
        raise SystemExit(1)


def _report(max_distance_bits: int, build_threads: int, hashed_regions: int) -> dict[str, object]:
    """Return the report without its rows."""
    return {
        "max_distance_bits": max_distance_bits,
        "threads": 1,
        "times": "processor time of the searching thread; build_s by the clock",
        "build_threads": build_threads,
        "planted_every": PLANTED_EVERY,
        "hashed_regions": hashed_regions,
        "settings": SETTINGS,
        "versions": {name: version(name) for name in _PACKAGES},
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "os": platform.platform()},
    }


def _alone(task: Task) -> Measured:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, task).result()


def _row(task: Task, size: int, distribution: str, measured: Measured, truth: list[Answer]) -> Row:
    checked = list(zip(measured.answers, truth, strict=False))
    expected = sum(len(true) for _, true in checked)
    right = sum(len(set(answer) & set(true)) for answer, true in checked)
    answered = sum(len(answer) for answer, _ in checked)
    if not expected:
        raise click.ClickException("No query has an answer: ask more of them.")
    took_us = measured.took_us
    return Row(
        engine=task.engine,
        size=size,
        distribution=distribution,
        lookups_per_s=round(1e6 / float(took_us.mean()), 1),
        p50_us=round(float(np.percentile(took_us, 50)), 2),
        p99_us=round(float(np.percentile(took_us, 99)), 2),
        recall=right / expected,
        build_s=round(measured.build_s, 2),
        build_cpu_s=round(measured.build_cpu_s, 2),
        pss_mb=round(measured.pss_mb, 1),
        wrong=answered - right,
        queries=len(took_us),
        engine_chosen=measured.engine_chosen,
    )


def _show(console: Console, rows: list[Row], report: dict[str, object]) -> None:
    table = Table(
        title=f"{rows[0].size:,} hashes, one lookup at a time, one thread, processor time"
    )
    fastest = {row.distribution: row.lookups_per_s for row in rows if row.engine == "disrupt"}
    headings = ("engine", "hashes", "lookups/s", "slower by", "p50 µs", "p99 µs", "recall")
    for heading in (*headings, "build s", "build CPU s", "PSS MB", "asked"):
        table.add_column(heading, justify="left" if heading in headings[:2] else "right")
    for row in rows:
        slower = fastest.get(row.distribution, row.lookups_per_s) / row.lookups_per_s
        table.add_row(
            row.engine,
            row.distribution,
            f"{row.lookups_per_s:,.0f}",
            f"{slower:.1f}",
            f"{row.p50_us:,.1f}",
            f"{row.p99_us:,.1f}",
            "1" if row.recall == 1 else f"{row.recall:.6f}",
            f"{row.build_s:.1f}",
            f"{row.build_cpu_s:.1f}",
            f"{row.pss_mb:,.0f}",
            str(row.queries),
        )
    console.print(table)
    for name in ("max_distance_bits", "build_threads", "versions", "machine"):
        console.print(f"{name}: {report[name]}", highlight=False)
    for engine in {row.engine: None for row in rows}:
        console.print(f"{engine}: {SETTINGS[engine]}", highlight=False)
    console.print(
        f"Every {PLANTED_EVERY}th query lies 0-31 bits from a stored hash; the others are fresh."
        f" Real hashes: {report['hashed_regions']} regions of photographs, the rest are of two of"
        " them laid over each other.",
        highlight=False,
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    main()
