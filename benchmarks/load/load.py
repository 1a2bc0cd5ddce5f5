"""Load a server with the calls of platforms and of people; soak it; give it more than it can take.

First callers that wait for each answer find the peak (a closed loop). Then calls arrive at random
times, at shares of the peak (open loops), and each is timed from when it was due; ``served`` times
it from when it was sent, as many tools do. With --soak follow so many minutes at 70 % of the peak,
which is found again in each tenth of them, with new generations of the index. With --overload come
at last five times the pictures and videos that the server sustains, and half of them again. Every
answer is checked.

Exit code 1 if an answer was wrong. A soak also fails on any error, on memory that may grow by more
than a byte a call (upper bound of the 95 % interval), on other processes, on more open files,
and on a p99 that doubles. Under overload the server has to answer 80 % of its peak, to refuse the
rest within 100 ms and with a time to try again, to answer all within 5 s of its end, and to look
hashes up meanwhile.

    ./scripts/bench load --soak 30 --overload --json load.json
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.harness import report
from benchmarks.harness.hash_sets import stored
from benchmarks.load.arrivals import (
    OK,
    Called,
    arrivals,
    closed_loop,
    goodput_per_s,
    open_loop,
    quantile_ms,
)
from benchmarks.load.calls import SHARES, WRONG, Callers
from benchmarks.load.overload import Overload, overload
from benchmarks.load.soak import Sample, Soak, judged, sample, until
from rig.faults.sabotages import broken_by
from rig.servers.deployment import WITH_BYTECODE, Deployment, run
from rig.servers.registries import fill

_CALLERS = 16
"""Callers of the closed loop."""
_LOADS = (0.3, 0.5, 0.7, 0.9)
_SOAK_LOAD = 0.7
_PARTS = 10
"""Parts of a soak, each of which finds the peak again: the machine may do other things, too."""
_FINDING = 0.05
"""Share of a part that finds the peak."""
_SAMPLES = 300
_MOST_BYTES = 1.0
_GENERATIONS = 10
"""New generations during a soak."""


@dataclass(frozen=True, slots=True)
class Row:
    """Calls of a kind in one loop, their rate and times; ``load`` is a share of the peak."""

    load: str
    kind: str
    calls: int
    per_s: float
    errors: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    served_p99_ms: float


def rows_of(load: str, seconds: float, called: Sequence[Called]) -> list[Row]:
    """Sum calls up by kind."""
    rows = []
    for kind in SHARES:
        calls = [call for call in called if call.kind == kind]
        answered = [call for call in calls if call.outcome == OK]
        took_s = [call.took_s for call in answered]
        rows.append(
            Row(
                load=load,
                kind=kind,
                calls=len(calls),
                per_s=len(calls) / seconds,
                errors=len(calls) - len(answered),
                p50_ms=quantile_ms(took_s, 0.5),
                p99_ms=quantile_ms(took_s, 0.99),
                p999_ms=quantile_ms(took_s, 0.999),
                served_p99_ms=quantile_ms([call.served_s for call in answered], 0.99),
            )
        )
    return [row for row in rows if row.calls]


class Load:
    """Loops of calls to one server."""

    def __init__(self, server: Deployment, callers: Callers, seconds: float, seed: int) -> None:
        self._server = server
        self._callers = callers
        self._seconds = seconds
        self._chance = random.Random(seed)
        self.rows: list[Row] = []
        self.wrong = 0
        self.peak_per_s = 0.0

    async def loops(self) -> None:
        """Find the peak, and measure at shares of it."""
        called: list[Called] = []
        await closed_loop(self._callers.mixed, _CALLERS, self._seconds, called)
        self.peak_per_s = goodput_per_s(called, self._seconds)
        self._note("closed", called, self._seconds)
        for share in _LOADS:
            called = []
            await self._open(share, self._seconds, called)
            self._note(f"{share:.0%}", called, self._seconds)

    async def soak(self, seconds: float) -> Soak:
        """Soak the server, and judge it."""
        parts: list[list[Called]] = []
        over = asyncio.Event()

        async def looked_at() -> Sample:
            return await asyncio.to_thread(sample, self._server, sum(map(len, parts)))

        async def compacted() -> str:
            words = ("compact", "--data-dir", self._server.data_dir)
            return await asyncio.to_thread(run, "disrupt-index", *words)

        async with asyncio.TaskGroup() as group:
            sampling = group.create_task(until(over, seconds / _SAMPLES, looked_at))
            compacting = group.create_task(until(over, seconds / (_GENERATIONS + 1), compacted))
            for _ in range(_PARTS):
                parts.append([])
                await self._soaked(seconds / _PARTS, parts[-1])
            over.set()
        self._note("soak", [call for part in parts for call in part], seconds)
        return judged(
            sampling.result(),
            parts,
            seconds=seconds,
            generations=len(compacting.result()),
            most_bytes=_MOST_BYTES,
        )

    async def _soaked(self, seconds: float, called: list[Called]) -> None:
        """Soak the server for a part of the time, at a share of the peak that it has just now."""
        finding_s = _FINDING * seconds
        await closed_loop(self._callers.mixed, _CALLERS, finding_s, called)
        self.peak_per_s = max(goodput_per_s(called, finding_s), 1 / finding_s)
        await self._open(_SOAK_LOAD, seconds - finding_s, called)

    async def _open(self, share: float, seconds: float, called: list[Called]) -> None:
        times_s = arrivals(share * self.peak_per_s, seconds, self._chance)
        await open_loop(self._callers.mixed, times_s, called)

    def _note(self, load: str, called: Sequence[Called], seconds: float) -> None:
        self.rows += rows_of(load, seconds, called)
        self.wrong += sum(call.outcome == WRONG for call in called)


SABOTAGES = ("empty-answers", "leaky-lookups", "endless-queues")


@click.command(help=__doc__)
@click.option("--size", default=100_000, show_default=True, help="Hashes stored.")
@click.option("--seconds", default=20.0, show_default=True, help="Length of each loop.")
@click.option("--workers", default=2, show_default=True, help="Workers of the server.")
@click.option("--soak", "minutes", default=0.0, show_default=True, help="Minutes of the soak.")
@click.option("--overload", "beyond", is_flag=True, help="Go beyond what the server can take.")
@click.option("--seed", default=1, show_default=True, help="Seed of arrivals and of calls.")
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: it has to fail.")
@report.outputs(
    cannot_show="Callers share the machine with the server; real networks lose and delay."
)
def main(
    *,
    size: int,
    seconds: float,
    workers: int,
    minutes: float,
    beyond: bool,
    seed: int,
    sabotage: str | None,
) -> None:
    """Load, print, write; exit with 1 where something failed."""
    codes = np.load(stored("uniform", size), mmap_mode="r")

    async def measured(server: Deployment) -> tuple[Load, Soak | None, Overload | None]:
        async with Callers(server, codes, seed) as callers:
            load = Load(server, callers, seconds, seed)
            await load.loops()
            soak = await load.soak(60 * minutes) if minutes else None
            return load, soak, await overload(callers, seconds, seed) if beyond else None

    with tempfile.TemporaryDirectory(prefix="disrupt-load-") as work:
        data_dir = Path(work) / "data"
        fill(data_dir, codes)
        run("disrupt-index", "rebuild", "--data-dir", data_dir)
        wrapper = (*WITH_BYTECODE, *broken_by(sabotage))
        with Deployment.start(data_dir, workers=workers, wrapper=wrapper) as server:
            load, soak, overloaded = asyncio.run(measured(server))
    failures = [f"{load.wrong} answers are wrong"] if load.wrong else []
    figures: dict[str, report.Rows] = {
        "rows": [asdict(row) for row in load.rows],
        "peak": [{"peak_per_s": load.peak_per_s}],
    }
    if soak:
        failures += soak.failures
        figures |= soak.tables
    if overloaded:
        failures += overloaded.failures
        figures |= overloaded.tables
    for rows in figures.values():
        report.show(rows)
    report.publish(figures, failures=failures)


if __name__ == "__main__":
    main()
