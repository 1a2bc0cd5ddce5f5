"""Make calls, and note for each when it was due, when it was sent and when it ended.

In an open loop calls are due at random times, whatever became of those before, since callers do not
wait for each other. A call is timed from when it was due: one that is sent late, because another
held it up, has waited, too. To leave that out is known as coordinated omission.
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
    """A call to make, of a kind. ``make`` returns OK, or what went wrong."""

    kind: str
    make: Callable[[], Awaitable[str]]


Draw: TypeAlias = Callable[[], Call]
"""Draws the next call."""


@dataclass(frozen=True, slots=True)
class Called:
    """A call that has ended; times in seconds since its loop began."""

    kind: str
    due_s: float
    sent_s: float
    ended_s: float
    outcome: str

    @property
    def took_s(self) -> float:
        """Time from when the call was due to its end."""
        return self.ended_s - self.due_s

    @property
    def served_s(self) -> float:
        """Time from when the call was sent to its end."""
        return self.ended_s - self.sent_s


def arrivals(rate_per_s: float, seconds: float, chance: random.Random) -> Iterator[float]:
    """Draw the times of independent arrivals at a mean rate, ascending, in seconds."""
    at_s = chance.expovariate(rate_per_s)
    while at_s < seconds:
        yield at_s
        at_s += chance.expovariate(rate_per_s)


async def open_loop(draw: Draw, times_s: Iterable[float], called: list[Called]) -> None:
    """Make a call at each of these times; append each to ``called`` when it has ended."""
    clock = asyncio.get_running_loop().time
    zero_s = clock()

    async def run(call: Call, due_s: float) -> None:
        sent_s = clock() - zero_s
        outcome = await call.make()
        called.append(Called(call.kind, due_s, sent_s, clock() - zero_s, outcome))

    async with asyncio.TaskGroup() as group:
        for due_s in times_s:
            await asyncio.sleep(max(zero_s + due_s - clock(), 0.0))
            group.create_task(run(draw(), due_s))


async def closed_loop(
    draw: Draw,
    callers: int,
    seconds: float,
    called: list[Called],
    over: asyncio.Event | None = None,
) -> None:
    """Let callers make one call after another for so long, or until the event is set.

    A call is due when it is sent.
    """
    over = over or asyncio.Event()
    clock = asyncio.get_running_loop().time
    zero_s = clock()

    async def repeat() -> None:
        while (sent_s := clock() - zero_s) < seconds and not over.is_set():
            call = draw()
            outcome = await call.make()
            called.append(Called(call.kind, sent_s, sent_s, clock() - zero_s, outcome))

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(repeat())


def goodput_per_s(called: Sequence[Called], seconds: float) -> float:
    """Return the calls a second that were answered rightly within the loop's time."""
    return sum(call.outcome == OK and call.ended_s <= seconds for call in called) / seconds


def quantile_ms(times_s: Sequence[float], share: float) -> float:
    """Return the time within which this share of the times lies, in ms; NaN without times."""
    return 1000 * float(np.quantile(times_s, share)) if times_s else float("nan")
