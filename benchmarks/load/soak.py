"""Watch what a server takes while it is under load, and judge how that grows with its calls."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.load.arrivals import (
    OK,
    Called,
    arrivals,
    closed_loop,
    goodput_per_s,
    open_loop,
    quantile_ms,
)
from benchmarks.load.calls import Callers
from benchmarks.load.site import Result, Settings, Site
from rig.processes.running import memory_mb, session
from rig.servers.deployment import Deployment, run

_PROC = Path("/proc")
_CALLERS = 16
"""Callers of the closed loop."""
_LOAD = 0.7
_PARTS = 10
"""Parts of a soak, each of which finds the peak again: the machine may do other things, too."""
_FINDING = 0.05
"""Share of a part that finds the peak."""
_SAMPLES = 300
_MOST_BYTES = 1.0
_GENERATIONS = 10
"""New generations during a soak."""
_BLOCKS = 30
"""Blocks of which means are taken, since samples that follow each other are alike."""
_STUDENT = 2.048
"""97.5 % quantile of Student's t with _BLOCKS - 2 degrees of freedom."""

_Seen = TypeVar("_Seen")
_WARM = 0.2
"""Share of the time at the beginning that is left out: memory is taken for the first time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory (bytes), open files and processes of a server after a number of calls."""

    calls: int
    memory_bytes: float
    files: int
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Soak:
    """A soak's figures. ``growth_bytes`` of memory for each call: low, mean and high (95 %)."""

    seconds: float
    calls: int
    per_s: float
    errors: dict[str, int]
    growth_bytes: tuple[float, float, float]
    memory_mb: list[float]
    files: list[int]
    p99_ms: list[float]
    """99th percentile of lookups by hash in each part, from when they were due."""
    generations: int
    failures: list[str] = field(default_factory=list)

    @property
    def tables(self) -> dict[str, list[dict[str, object]]]:
        """Return the figures as tables: of the whole, of its parts, of errors."""
        low, growth, high = self.growth_bytes
        return {
            "soak": [
                {
                    "seconds": self.seconds,
                    "calls": self.calls,
                    "per_s": self.per_s,
                    "errors": sum(self.errors.values()),
                    "growth_bytes_a_call": growth,
                    "low": low,
                    "high": high,
                    "least_mb": min(self.memory_mb),
                    "most_mb": max(self.memory_mb),
                    "least_files": min(self.files),
                    "most_files": max(self.files),
                    "generations": self.generations,
                }
            ],
            "soak_parts": [
                {"part": at + 1, "lookups_p99_ms": p99_ms} for at, p99_ms in enumerate(self.p99_ms)
            ],
            "soak_errors": [{"error": name, "calls": of} for name, of in self.errors.items()],
        }


def soak(settings: Settings) -> Result:
    """Soak a server at a share of its peak, with new generations of the index, and judge it."""
    with Site.started(settings) as site:
        soaked = asyncio.run(_soaked(site, 60 * settings.minutes))
    return Result({**soaked.tables}, soaked.failures)


async def _soaked(site: Site, seconds: float) -> Soak:
    parts: list[list[Called]] = []
    over, chance = asyncio.Event(), random.Random(site.seed)
    finding_s = _FINDING * seconds / _PARTS

    async def looked_at() -> Sample:
        return await asyncio.to_thread(sample, site.server, sum(map(len, parts)))

    async def compacted() -> str:
        words = ("compact", "--data-dir", site.server.data_dir)
        return await asyncio.to_thread(run, "disrupt-index", *words)

    async with (
        Callers(site.server, site.codes, site.seed) as callers,
        asyncio.TaskGroup() as group,
    ):
        sampling = group.create_task(until(over, seconds / _SAMPLES, looked_at))
        compacting = group.create_task(until(over, seconds / (_GENERATIONS + 1), compacted))
        for _ in range(_PARTS):
            parts.append([])
            await closed_loop(callers.mixed, _CALLERS, finding_s, parts[-1])
            # The peak that it has just now.
            peak_per_s = max(goodput_per_s(parts[-1], finding_s), 1 / finding_s)
            rest_s = seconds / _PARTS - finding_s
            times_s = arrivals(_LOAD * peak_per_s, rest_s, chance)
            await open_loop(callers.mixed, times_s, parts[-1])
        over.set()
    return judged(
        sampling.result(),
        parts,
        seconds=seconds,
        generations=len(compacting.result()),
        most_bytes=_MOST_BYTES,
    )


def sample(server: Deployment, calls: int) -> Sample:
    """Look at all processes of a server."""
    pids = session(server.process.pid)
    return Sample(
        calls, 1e6 * sum(memory_mb(pid)[0] for pid in pids), sum(map(_files, pids)), tuple(pids)
    )


def _files(pid: int) -> int:
    try:
        return sum(1 for _ in (_PROC / str(pid) / "fd").iterdir())
    except OSError:  # it has ended
        return 0


async def until(
    over: asyncio.Event, every_s: float, act: Callable[[], Awaitable[_Seen]]
) -> list[_Seen]:
    """Act again and again, with pauses of ``every_s``, until it is over; return the results."""
    seen: list[_Seen] = []
    while True:
        try:
            await asyncio.wait_for(over.wait(), every_s)
        except TimeoutError:
            seen.append(await act())
        else:
            return seen


def growth_bytes(calls: ArrayLike, memory_bytes: ArrayLike) -> tuple[float, float, float]:
    """Return the growth of memory for each call, in bytes: low, mean and high (95 %).

    It is fitted by least squares to the means of _BLOCKS blocks. Without enough samples, or calls
    between them, nothing is known: it is between minus and plus infinity.
    """
    both = np.array([calls, memory_bytes], float)
    if both.shape[1] < _BLOCKS or both[0, 0] == both[0, -1]:
        return -math.inf, math.nan, math.inf
    x, y = np.array([block.mean(axis=1) for block in np.array_split(both, _BLOCKS, axis=1)]).T
    apart = x - x.mean()
    spread = float(apart @ apart)
    mean = float(apart @ y) / spread
    rest = y - y.mean() - mean * apart
    error = _STUDENT * math.sqrt(float(rest @ rest) / (_BLOCKS - 2) / spread)
    return mean - error, mean, mean + error


def judged(
    samples: Sequence[Sample],
    parts: Sequence[Sequence[Called]],
    *,
    seconds: float,
    generations: int,
    most_bytes: float,
) -> Soak:
    """Judge the parts of a soak: no error or growth, the same processes and files, steady p99."""
    warm = samples[int(_WARM * len(samples)) :]
    growth = growth_bytes([each.calls for each in warm], [each.memory_bytes for each in warm])
    called = [call for part in parts for call in part]
    errors = Counter(call.outcome for call in called if call.outcome != OK)
    p99_ms = [
        quantile_ms([call.took_s for call in part if call.kind == "lookup"], 0.99) for part in parts
    ]
    third = max(len(warm) // 3, 1)
    checks = {
        "calls failed": bool(errors),
        f"memory may grow by more than {most_bytes:g} bytes a call": growth[2] > most_bytes,
        "processes ended or came": warm[0].pids != warm[-1].pids,
        "more files are open in the last third than in the first": (
            _median(warm[-third:]) > _median(warm[:third]) + len(warm[0].pids)
        ),
        "p99 of the last three parts is more than twice that of the first three": (
            np.median(p99_ms[-3:]) > 2 * np.median(p99_ms[:3])
        ),
    }
    return Soak(
        seconds=seconds,
        calls=len(called),
        per_s=len(called) / seconds,
        errors=dict(errors),
        growth_bytes=growth,
        memory_mb=[round(each.memory_bytes / 1e6, 2) for each in samples],
        files=[each.files for each in samples],
        p99_ms=p99_ms,
        generations=generations,
        failures=[text for text, is_so in checks.items() if is_so],
    )


def _median(samples: Sequence[Sample]) -> float:
    return float(np.median([each.files for each in samples]))
