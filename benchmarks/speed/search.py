"""Look hashes up singly, in Disrupt's index, FAISS and python-threatexchange, in the same run.

Each engine gets a process, the same hashes, the
same queries in the same order, and one thread to search with. A lookup's time is processor time of
that thread, which other work on the machine lengthens less than time on a clock. Every answer is
compared with brute force. It exits with 1 if Disrupt missed or invented anything.

    ./scripts/bench search --size 1000000 --json out.json
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from typing import get_args

import click
import numpy as np

from benchmarks.harness import report
from benchmarks.harness.hash_sets import Distribution, queries, stored
from benchmarks.speed.search_engines import SETTINGS, Measured, Task, measure
from disrupt.core.hashes import MAX_DISTANCE_BITS
from rig.model.brute_force import Answer, brute_force

_MULTIHASH_MAX_SIZE = 20_000_000
"""Beyond this size FAISS multi-hash, as in PDQIndex, takes more than 16 GB of memory."""

_LEAST_QUERIES = 100
_MOST_PAIRS = 10**11
"""Comparisons that brute force makes in a minute or two."""


@dataclass(frozen=True, slots=True)
class Row:
    """One engine over one set; ``recall`` and ``wrong`` are over all ``queries`` it answered."""

    size: int
    distribution: str
    engine: str
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
@report.outputs(
    cannot_show="Many lookups at once; other processors. Stored hashes are made, not registered."
)
@click.option(
    "--engine", "engines", multiple=True, type=click.Choice(list(SETTINGS)), help="Only these."
)
@click.option(
    "--distribution",
    "distributions",
    multiple=True,
    default=("uniform", "real"),
    type=click.Choice(get_args(Distribution)),
    help="Only these.",
)
@click.option("--max-distance-bits", default=MAX_DISTANCE_BITS, show_default=True)
@click.option("--queries", "n_queries", type=int, help="At most.  [20000, fewer beyond 5 million]")
@click.option("--seconds", default=10.0, show_default=True, help="To ask each engine for.")
@click.option("--build-threads", default=os.cpu_count() or 1, show_default=True)
def main(
    *,
    size: int,
    engines: tuple[str, ...],
    distributions: tuple[Distribution, ...],
    max_distance_bits: int,
    n_queries: int | None,
    seconds: float,
    build_threads: int,
) -> None:
    """Measure, print, write; exit with 1 if Disrupt's answers were not exact."""
    chosen = engines or tuple(
        name
        for name in SETTINGS
        if (name in {"disrupt", "faiss_flat"} or size <= _MULTIHASH_MAX_SIZE)
        and (name != "threatexchange_pdqindex" or max_distance_bits == MAX_DISTANCE_BITS)
    )
    rows: list[Row] = []
    for distribution in distributions:
        codes_path = stored(distribution, size)
        codes = np.load(codes_path, mmap_mode="r")
        asked = queries(distribution, codes, n_queries or min(20_000, _MOST_PAIRS // size))
        queries_path = codes_path.with_name(f"queries-{os.getpid()}.npy")
        np.save(queries_path, asked)
        try:
            truth = brute_force(codes, asked, max_distance_bits)
            for engine in chosen:
                task = Task(
                    engine,
                    codes_path,
                    queries_path,
                    max_distance_bits,
                    seconds,
                    _LEAST_QUERIES,
                    build_threads,
                )
                rows.append(_row(task, size, distribution, _alone(task), truth))
                # Now: the next may take an hour at large sizes.
                report.publish({"rows": [asdict(row) for row in rows]}, is_complete=False)
        finally:
            queries_path.unlink()
    figures = {"rows": [asdict(row) for row in rows]}
    report.show(figures["rows"])
    is_exact = all(row.engine != "disrupt" or (row.recall == 1 and not row.wrong) for row in rows)
    failures = [] if is_exact else ["Disrupt's answers are not exact"]
    report.publish(figures, failures=failures)


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
        lookups_per_s=1e6 / float(took_us.mean()),
        p50_us=float(np.percentile(took_us, 50)),
        p99_us=float(np.percentile(took_us, 99)),
        recall=right / expected,
        build_s=measured.build_s,
        build_cpu_s=measured.build_cpu_s,
        pss_mb=measured.pss_mb,
        wrong=answered - right,
        queries=len(took_us),
        engine_chosen=measured.engine_chosen,
    )


if __name__ == "__main__":
    main()
