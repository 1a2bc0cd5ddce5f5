"""Load a real server with the calls of platforms and of people, and soak it.

First a closed loop: callers that wait for each answer find the peak. Then open loops, at shares of
the peak: calls arrive at random times that do not depend on the answers, and each counts from when
it was due, so that a server that stands still for a moment is seen to have kept everybody waiting
(`served` leaves that out, as many tools do). Then the soak, at 70 % of the peak: lookups of hashes
and pictures, registrations, withdrawals, states, and a new generation again and again. It fails on
an error, on memory that may grow with the calls (the upper bound of the 95 % interval), on
processes that ended, on files left open, and on a p99 that rises.

    ./scripts/bench load --soak-minutes 30 --json load.json
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.deployment import WITH_BYTECODE, Deployment, run
from benchmarks.harness.hash_sets import queries, stored
from benchmarks.harness.prepared import prepare
from benchmarks.load import soak as soaks
from benchmarks.load.arrivals import OK, Called, closed_loop, due, goodput, open_loop, quantiles_ms
from benchmarks.load.mix import SHARES, Mix
from benchmarks.load.soak import Soak
from benchmarks.sabotages import broken_by
from disrupt import logs

SABOTAGES = ("leaky-lookups",)

_LOADS = (0.2, 0.5, 0.7, 0.9)
_SOAK_LOAD = 0.7
_CALLERS = 32
"""Callers of the closed loop."""
_SAMPLES = 180
"""Samples of a soak."""
_GENERATIONS = 10
"""New generations during a soak."""
_QUERIES = 100_000


@dataclass(frozen=True, slots=True)
class Row:
    """Calls of a kind in one loop: quantiles in ms, from when they were due, and from the sending.

    ``load`` is the share of the peak, 0 of the closed loop.
    """

    load: float
    kind: str
    calls: int
    per_s: float
    errors: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    served_p99_ms: float


def rows_of(load: float, seconds: float, called: Sequence[Called]) -> list[Row]:
    """Sum calls up by their kind."""
    rows = []
    for kind in SHARES:
        mine = [call for call in called if call.kind == kind]
        answered = [call for call in mine if call.outcome == OK]
        if answered:
            took_ms = quantiles_ms([call.took_s for call in answered], 0.5, 0.99, 0.999)
            served_ms = quantiles_ms([call.served_s for call in answered], 0.99)
            per_s, failed = round(len(mine) / seconds, 2), len(mine) - len(answered)
            rows.append(Row(load, kind, len(mine), per_s, failed, *took_ms, *served_ms))
    return rows


class _Load:
    def __init__(self, server: Deployment, mix: Mix, chance: random.Random) -> None:
        self._server, self._mix, self._chance = server, mix, chance

    async def closed(self, callers: int, seconds: float) -> list[Called]:
        called: list[Called] = []
        await closed_loop(self._mix.draw, callers, seconds, called)
        return called

    async def open(self, rate_per_s: float, seconds: float) -> list[Called]:
        called: list[Called] = []
        await open_loop(self._mix.draw, due(rate_per_s, seconds, self._chance), called)
        return called

    async def soak(self, rate_per_s: float, seconds: float, most_bytes: float) -> Soak:
        called: list[Called] = []
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            sampled = group.create_task(
                soaks.sampled(self._server, called, seconds / _SAMPLES, over)
            )
            generations = group.create_task(
                soaks.repeatedly(self._compact, seconds / (_GENERATIONS + 1), over)
            )
            times_s = due(rate_per_s, seconds, self._chance)
            await open_loop(self._mix.draw, times_s, called)
            over.set()
        return soaks.judged(
            sampled.result(),
            called,
            seconds=seconds,
            rate_per_s=rate_per_s,
            generations=generations.result(),
            most_bytes=most_bytes,
        )

    async def _compact(self) -> None:
        """Write a new generation, by the offline command."""
        await asyncio.to_thread(
            run, "disrupt-index", "compact", "--data-dir", self._server.data_dir
        )


async def measure(
    server: Deployment,
    asked: NDArray[np.uint8],
    *,
    seconds: float,
    soak_s: float,
    most_bytes: float,
    seed: int,
) -> tuple[list[Row], float, Soak]:
    """Run the loops and the soak; return the rows, the peak in calls a second, and the soak."""
    async with Mix(server, asked, seed) as mix:
        load = _Load(server, mix, random.Random(seed))
        called = await load.closed(_CALLERS, seconds)
        peak_per_s = goodput(called, seconds)
        rows = rows_of(0.0, seconds, called)
        for share in _LOADS:
            rows += rows_of(share, seconds, await load.open(share * peak_per_s, seconds))
        return rows, peak_per_s, await load.soak(_SOAK_LOAD * peak_per_s, soak_s, most_bytes)


@click.command(help=__doc__)
@click.option("--size", default=100_000, show_default=True, help="Hashes stored.")
@click.option("--seconds", default=20.0, show_default=True, help="Of each loop.")
@click.option("--soak-minutes", default=30.0, show_default=True)
@click.option(
    "--most-bytes",
    default=1.0,
    show_default=True,
    help="Growth of memory for each call that the soak allows.",
)
@click.option("--workers", default=2, show_default=True, help="Of the server.")
@click.option("--seed", default=1, show_default=True)
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: must be found.")
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
def main(
    size: int,
    seconds: float,
    soak_minutes: float,
    most_bytes: float,
    workers: int,
    seed: int,
    sabotage: str | None,
    json_path: str,
) -> None:
    """Load, soak, write the report; exit with 1 if the soak failed."""
    logs.configure("load", "warning")
    codes = np.load(stored("uniform", size), mmap_mode="r")
    with tempfile.TemporaryDirectory(prefix="disrupt-load-") as work:
        data_dir = Path(work) / "data"
        prepare(data_dir, codes)
        server = Deployment.start(
            data_dir, workers=workers, wrapper=(*WITH_BYTECODE, *broken_by(sabotage))
        )
        try:
            rows, peak_per_s, soak = asyncio.run(
                measure(
                    server,
                    queries("uniform", codes, _QUERIES),
                    seconds=seconds,
                    soak_s=60 * soak_minutes,
                    most_bytes=most_bytes,
                    seed=seed,
                )
            )
        finally:
            with suppress(ProcessLookupError):
                server.kill()
    for failure in soak.failures:
        print(f"The soak failed: {failure}.", file=sys.stderr)
    report = {
        "peak_per_s": round(peak_per_s, 1),
        "rows": [asdict(row) for row in rows],
        "soak": asdict(soak),
        "failed": bool(soak.failures),
        "settings": {"size": size, "callers": _CALLERS, "workers": workers, "sabotage": sabotage},
    }
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(report, indent=2) + "\n")
    sys.exit(bool(soak.failures))


if __name__ == "__main__":
    main()
