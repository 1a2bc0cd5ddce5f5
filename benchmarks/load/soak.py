"""Watch what a server takes while it is under load, and how that grows with the calls."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.harness.deployment import Deployment
from benchmarks.harness.processes import memory_mb, processes, session
from benchmarks.load.arrivals import OK, Called, quantiles_ms

_PROC = Path("/proc")
_ROLES = ("writer", "worker", "monitor")
_BLOCKS = 30
"""Blocks of which the means are taken, as samples that follow each other are alike."""
_STUDENT = 2.048
"""97.5 % of Student's t with _BLOCKS - 2 degrees of freedom."""
_WINDOWS = 10
_WARM = 0.1
"""Share of the time that is left out of the beginning, while memory is taken for the first time."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a server takes at a time: calls answered so far, own memory, open files, processes."""

    calls: int
    memory_bytes: float
    open_files: int
    pids: tuple[int, ...]


@dataclass
class Soak:
    """What a soak saw. ``slope_bytes``: growth of memory for each call, with its 95 % interval."""

    seconds: float
    calls: int
    rate_per_s: float
    errors: dict[str, int]
    slope_bytes: float
    slope_low_bytes: float
    slope_high_bytes: float
    memory_mb: list[float]
    open_files: list[int]
    p99_ms: list[float]
    """Of each tenth of the time, of lookups by hash."""
    new_processes: int
    generations: int
    failures: list[str] = field(default_factory=list)


def sample(server: Deployment, calls: int) -> Sample:
    """Look at all processes of a server, and what they started."""
    everyone = session(server.process.pid)
    roles = [pid for role in _ROLES for pid in processes(server.process.pid, role)]
    return Sample(
        calls,
        1e6 * sum(memory_mb(pid)[0] for pid in everyone),
        sum(_open_files(pid) for pid in everyone),
        tuple(sorted(roles)),
    )


def _open_files(pid: int) -> int:
    try:
        return len([*(_PROC / str(pid) / "fd").iterdir()])
    except OSError:  # it has ended
        return 0


async def sampled(
    server: Deployment, called: Sequence[Called], every_s: float, over: asyncio.Event
) -> list[Sample]:
    """Take samples until it is over; ``called`` grows meanwhile."""
    samples = []
    while not over.is_set():
        samples.append(await asyncio.to_thread(sample, server, len(called)))
        try:
            await asyncio.wait_for(over.wait(), every_s)
        except TimeoutError:
            continue
    return samples


async def repeatedly(
    act: Callable[[], Awaitable[None]], every_s: float, over: asyncio.Event
) -> int:
    """Act again and again until it is over; return how often."""
    times = 0
    while True:
        try:
            await asyncio.wait_for(over.wait(), every_s)
        except TimeoutError:
            await act()
            times += 1
        else:
            return times


def slope(calls: ArrayLike, memory_bytes: ArrayLike) -> tuple[float, float, float]:
    """Return the growth of memory for each call, in bytes, and its 95 % interval.

    By least squares over the means of _BLOCKS blocks. Raises ValueError with fewer samples, or
    without calls between them.
    """
    both = np.array([calls, memory_bytes], float)
    if both.shape[1] < _BLOCKS:
        raise ValueError(f"{both.shape[1]} samples, and {_BLOCKS} are needed")
    x, y = np.array([block.mean(axis=1) for block in np.array_split(both, _BLOCKS, axis=1)]).T
    apart = x - x.mean()
    if not (spread := float(apart @ apart)):
        raise ValueError("no calls between the samples")
    growth = float(apart @ y) / spread
    rest = y - y.mean() - growth * apart
    error = math.sqrt(float(rest @ rest) / (_BLOCKS - 2) / spread)
    return growth, growth - _STUDENT * error, growth + _STUDENT * error


def judged(
    samples: Sequence[Sample],
    called: Sequence[Called],
    *,
    seconds: float,
    rate_per_s: float,
    generations: int,
    most_bytes: float,
) -> Soak:
    """Judge a soak: no error, no growth, the same processes, and a steady p99."""
    warm = [*samples[int(_WARM * len(samples)) :]]
    growth, low, high, unknown = 0.0, 0.0, 0.0, ""
    try:
        growth, low, high = slope(
            [each.calls for each in warm], [each.memory_bytes for each in warm]
        )
    except ValueError as error:
        unknown = str(error)
    errors: dict[str, int] = {}
    for call in called:
        if call.outcome != OK:
            errors[call.outcome] = errors.get(call.outcome, 0) + 1
    lookups = [call for call in called if call.kind == "lookup"]
    windows = [
        [call.took_s for call in lookups if int(call.due_s / seconds * _WINDOWS) == at]
        for at in range(_WINDOWS)
    ]
    p99_ms = [quantiles_ms(window, 0.99)[0] if window else 0.0 for window in windows]
    new = len({pid for each in warm for pid in each.pids} - {*warm[0].pids})
    files = [each.open_files for each in warm]
    soak = Soak(
        seconds,
        len(called),
        round(rate_per_s, 1),
        errors,
        round(growth, 2),
        round(low, 2),
        round(high, 2),
        [round(each.memory_bytes / 1e6, 2) for each in samples],
        [each.open_files for each in samples],
        p99_ms,
        new,
        generations,
    )
    third = max(len(files) // 3, 1)
    checks = {
        "calls failed": bool(errors),
        f"growth of memory is not known: {unknown}": bool(unknown),
        f"memory may grow by more than {most_bytes:g} bytes a call": high > most_bytes,
        "processes ended": new > 0,
        "more files are open in the last third than in the first": np.median(files[-third:])
        > np.median(files[:third]) + len(warm[0].pids),
        "p99 of the last three tenths is beyond twice that of the first three": np.median(
            p99_ms[-3:]
        )
        > 2 * np.median(p99_ms[:3]),
    }
    soak.failures = [text for text, is_so in checks.items() if is_so]
    return soak
