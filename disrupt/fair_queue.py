"""A queue for places: the caller that was served least goes first."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_REMEMBERED_MAX = 4096

_WEIGHT = 0.1
"""Weight of the latest turn in the pace of a queue: some ten turns decide."""

turn_of: ContextVar[Hashable] = ContextVar("turn_of", default=None)
"""Caller of the call that is being answered; None where callers are not told apart."""


class FairQueue:
    """``places`` turns at once, of callers as ``turn_of`` names them. For one event loop.

    Of those that wait, the caller that was served for the least time has the next turn: one that
    asks for a lot delays others by the turns that it already has, and by none that it waits for.
    A caller that was away starts level with the others: it accumulates no credit.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._served_s: dict[Hashable, float] = {}
        self._level_s = 0.0
        """Time for which the caller of the latest turn had been served when that turn began."""
        self._pace_s = 0.0
        self._moved_s = 0.0
        """Time at which the queue moved on, or somebody first waited in it."""

    @property
    def waiting(self) -> int:
        """Number of those that wait for a turn."""
        return sum(map(len, self._waiting.values()))

    @property
    def pace_s(self) -> float:
        """Time in which the queue moves on by one call, as measured of late.

        Each call that waits delays those behind it by so much: at least the time for which the
        queue has not moved. It is 0 once nobody has waited for as long: one long call, or a stop of
        the machine, says nothing about later ones.
        """
        still_s = time.monotonic() - self._moved_s
        if self._waiting:
            return max(self._pace_s, still_s)
        return 0.0 if still_s > self._pace_s else self._pace_s

    def are_wanted(self) -> bool:
        """Tell whether another caller than this one waits."""
        return any(caller != turn_of.get() for caller in self._waiting)

    async def begin(self) -> Turn:
        """Wait for a turn. Whoever has it ends it."""
        caller = turn_of.get()
        if self._free:
            self._free -= 1
            self._pace_s = self.pace_s
            self._measure(0.0)
        else:
            await self._queue(caller)
        level_s = self._level_s = self._level(caller)
        return Turn(self, caller, level_s, time.monotonic())

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        turn = await self.begin()
        try:
            yield
        finally:
            turn.end()

    def ended(self, turn: Turn) -> None:
        """Note the duration of a turn, and pass it on to the next caller."""
        took_s = time.monotonic() - turn.began_s
        before_s = max(self._served_s.get(turn.caller, 0.0), turn.level_s)
        self._served_s[turn.caller] = before_s + took_s
        self._pass_on()

    def _measure(self, took_s: float) -> None:
        self._pace_s += _WEIGHT * (took_s - self._pace_s)

    async def _queue(self, caller: Hashable) -> None:
        if not self._waiting:
            self._moved_s = time.monotonic()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(caller, turn)
            else:  # It already had the turn.
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            caller = min(self._waiting, key=self._level)
            turn = self._waiting[caller][0]
            self._leave(caller, turn)
            # A call that was cancelled is in the queue until its task runs next.
            if not turn.done():
                turn.set_result(None)
                now_s = time.monotonic()
                self._measure(now_s - self._moved_s)
                self._moved_s = now_s
                return
        self._free += 1
        if len(self._served_s) > _REMEMBERED_MAX:
            self._served_s.clear()

    def _leave(self, caller: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(caller, deque())
        if turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[caller]

    def _level(self, caller: Hashable) -> float:
        return max(self._served_s.get(caller, 0.0), self._level_s)


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn in use: to be ended once."""

    queue: FairQueue
    caller: Hashable
    level_s: float
    """Time for which the caller was served before, or was level with others."""
    began_s: float

    def end(self) -> None:
        """End the turn and give it to the next caller."""
        self.queue.ended(self)
