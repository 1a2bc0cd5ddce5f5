"""Load a real server with single lookups and batches of 64 and of 1 000, beside upper bounds.

The server has one core and one worker, h2load the others, and they take turns with two bounds in
the same run: the bare engine on the server's core, over the same queries; and the same server whose
handler answers nothing (its interceptors and all else are the same). They are compared by processor
time, which other work on the machine lengthens less than time on a clock. A tenth of the queries
lies near a stored hash. The benchmark counts the bytes of every answer, and compares answers with
brute force before and after: a wrong answer ends it with exit code 1. Then it measures latency, on
the clock, while calls arrive at random moments.

    ./scripts/bench service --size 1000000 --json out.json
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import click
import numpy as np

from benchmarks.harness import report
from benchmarks.harness.h2load import latencies_us
from benchmarks.harness.hash_sets import Distribution, queries, stored
from benchmarks.speed.service_run import WORKLOADS, Run, prepared_run
from disrupt.client import MatchClient
from rig.model.brute_force import Codes, answers
from rig.servers.deployment import Deployment

_LOADS = (0.2, 0.5, 0.8)


@dataclass(frozen=True, slots=True)
class Row:
    """One way of calling: the median of the rounds, and its bounds of the same run.

    Rates are per second on the clock, or of processor time: the worker's, or the bare engine's.
    ``of_nothing`` and ``of_engine`` are the medians of the ratios of each round, of processor time.
    """

    calls: str
    size: int
    distribution: str
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


def measure(run: Run, size: int, distribution: str, seconds: float, rounds: int) -> list[Row]:
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
                size,
                distribution,
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


@click.command(help=__doc__)
@click.option("--size", default=1_000_000, show_default=True, help="Hashes to search in.")
@report.outputs(
    cannot_show="Callers share the machine with the server, over loopback and without TLS."
)
@click.option(
    "--distribution", default="uniform", type=click.Choice(get_args(Distribution)), help="Hashes."
)
@click.option("--seconds", default=5.0, show_default=True, help="For each measurement.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--checked", default=2000, show_default=True, help="Queries to check, three ways.")
def main(
    *,
    size: int,
    distribution: Distribution,
    seconds: float,
    rounds: int,
    checked: int,
) -> None:
    """Measure, print, write; exit with 1 if an answer was wrong."""
    codes = np.load(stored(distribution, size), mmap_mode="r")
    most = max(workload.clients * workload.hashes for workload in WORKLOADS)
    asked = queries(distribution, codes, max(most, checked))
    with (
        tempfile.TemporaryDirectory(prefix="disrupt-service-") as work,
        prepared_run(Path(work), codes, asked) as (run, server),
    ):
        rows, under_load = list[Row](), list[Latency]()
        wrong = wrong_answers(server, run.keys["disrupt"], codes, asked[:checked])
        if not wrong:
            rows = measure(run, size, distribution, seconds, rounds)
            under_load = latencies(run, rows[0].calls_per_s, seconds)
            wrong = wrong_answers(server, run.keys["disrupt"], codes, asked[:checked])
    figures = {
        "rows": [asdict(row) for row in rows],
        "latencies": [asdict(latency) for latency in under_load],
    }
    for table in figures.values():
        report.show(table)
    failures = [f"{wrong} of {3 * checked} answers are wrong"] if wrong else []
    report.publish(figures, failures=failures)


if __name__ == "__main__":
    main()
