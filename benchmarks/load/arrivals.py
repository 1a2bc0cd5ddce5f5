"""Make calls, and note for each when it was due, when it began and when it ended.

In an open loop, calls are due at times that were drawn beforehand, whatever became of those before:
callers out there do not wait for each other. A call that begins late, as the one before held it up,
has waited since it was due; leaving that out is called coordinated omission.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

OK = "OK"


class Call(NamedTuple):
    """A call to make, of a kind. ``make`` returns OK, or the reason of the error."""

    kind: str
    make: Callable[[], Awaitable[str]]


Draw: TypeAlias = "Callable[[], Call]"
"""Draws the next call."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call that has ended; times in s since the loop began."""

    kind: str
    due_s: float
    began_s: float
    ended_s: float
    outcome: str

    @property
    def took_s(self) -> float:
        """Time from when it was due to its end."""
        return self.ended_s - self.due_s

    @property
    def served_s(self) -> float:
        """Time from when it was sent to its end."""
        return self.ended_s - self.began_s


def due(rate_per_s: float, seconds: float, chance: random.Random) -> Iterator[float]:
    """Draw the times of independent arrivals at a mean rate, ascending, in s."""
    at_s = chance.expovariate(rate_per_s)
    while at_s < seconds:
        yield at_s
        at_s += chance.expovariate(rate_per_s)


async def open_loop(draw: Draw, times_s: Iterable[float], called: list[Called]) -> None:
    """Make a call at each of these times, and note each in ``called`` when it has ended."""
    clock = asyncio.get_running_loop().time
    zero_s = clock()

    async def run(call: Call, due_s: float) -> None:
        began_s = clock() - zero_s
        outcome = await call.make()
        called.append(Called(call.kind, due_s, began_s, clock() - zero_s, outcome))

    async with asyncio.TaskGroup() as group:
        for due_s in times_s:
            await asyncio.sleep(max(zero_s + due_s - clock(), 0))
            group.create_task(run(draw(), due_s))


async def closed_loop(draw: Draw, callers: int, seconds: float, called: list[Called]) -> None:
    """Let callers make one call after another for so long; none is due before it begins."""
    clock = asyncio.get_running_loop().time
    zero_s = clock()

    async def repeat() -> None:
        while (began_s := clock() - zero_s) < seconds:
            call = draw()
            outcome = await call.make()
            called.append(Called(call.kind, began_s, began_s, clock() - zero_s, outcome))

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(repeat())


def goodput(called: Sequence[Called], seconds: float) -> float:
    """Return the calls that were answered within so many seconds, a second."""
    return sum(call.outcome == OK and call.ended_s <= seconds for call in called) / seconds


def quantiles_ms(times_s: Sequence[float], *shares: float) -> list[float]:
    """Return the times within which these shares lie, in ms; empty without times."""
    if not times_s:
        return []
    return [round(1000 * float(each), 2) for each in np.quantile(times_s, shares)]
