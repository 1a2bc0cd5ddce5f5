"""Measure what a call costs: with hashes, with pictures, and stage by stage, beside upper bounds.

- ``hashes``: single lookups and batches of 64 and of 1 000, and their latency under load; needs
  h2load.
- ``stages``: the stages of these calls in one process, without gRPC.
- ``pictures``: lookups and registrations of photographs of 1920 px, plain, framed, on a screen, in
  a collage and in a story, beside the same work without a server; and the stages of a lookup.

Times are of processors where other work on the machine would lengthen them. Answers are compared
with brute force, and a wrong one makes the exit code 1.

    ./scripts/bench call_cost --part hashes --json calls.json
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import get_args

import click
import numpy as np

from benchmarks.harness import report
from benchmarks.harness.hash_sets import Distribution, queries, stored
from benchmarks.recall.originals import chosen, collection, folder_option
from benchmarks.speed.hash_calls import WORKLOADS, hash_calls
from benchmarks.speed.hash_stages import stages
from benchmarks.speed.picture_calls import picture_calls
from disrupt.index.live import LiveIndex
from rig.servers.prepared import prepare

PARTS = ("hashes", "stages", "pictures")
_QUERIES = max(16_384, *(workload.clients * workload.hashes for workload in WORKLOADS))


@click.command(help=__doc__)
@click.option("--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only these.")
@click.option("--size", default=1_000_000, show_default=True, help="Hashes to search in.")
@click.option("--distribution", default="real", type=click.Choice(get_args(Distribution)))
@click.option("--seconds", default=5.0, show_default=True, help="For each measurement of hashes.")
@click.option("--rounds", default=5, show_default=True, help="Turns with the bounds.")
@click.option("--photographs", "n_photographs", default=8, show_default=True, help="At most.")
@folder_option
@report.outputs(
    cannot_show="Callers share the machine with the server, over loopback and without TLS."
)
def main(
    *,
    parts: tuple[str, ...],
    size: int,
    distribution: Distribution,
    seconds: float,
    rounds: int,
    n_photographs: int,
    folder: Path | None,
) -> None:
    """Measure, print, write; exit with 1 if an answer was wrong."""
    parts = parts or PARTS
    codes = np.load(stored(distribution, size), mmap_mode="r")
    asked = queries(distribution, codes, _QUERIES)
    figures: dict[str, report.Rows] = {}
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="disrupt-calls-") as work:
        data_dir = Path(work, "data")
        live = LiveIndex(prepare(data_dir, codes))
        if "stages" in parts:
            figures["stages"] = stages(live, asked, rounds)
        if "hashes" in parts:
            tables, wrong = hash_calls(data_dir, live, codes, asked, seconds, rounds)
            figures |= tables
            failures += wrong
        if "pictures" in parts:
            photographs = chosen(
                collection(folder), "all" if folder else "development", n_photographs
            )
            tables, wrong = picture_calls(data_dir, live, photographs, rounds)
            figures |= tables
            failures += wrong
    for rows in figures.values():
        report.show(rows)
    report.publish(figures, failures=failures)


if __name__ == "__main__":
    main()
