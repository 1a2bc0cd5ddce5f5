"""Share the places at the server, and the memory for bodies, fairly among origins."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from disrupt.errors import OverloadedError
from disrupt.web.limits import RETRY_AFTER_S, TICKET_S, WAIT_S, WAITING_MAX

_Key = TypeVar("_Key", bound=Hashable)


class Place(NamedTuple):
    """When a request came: lower places of an origin are served first.

    ``round`` is the round of turns at that time, ``number`` the order of arrival, and ``ends_s``
    the second of the clock until which a ticket keeps the place.
    """

    round: int
    number: int
    ends_s: int


class NoTurnError(Exception):
    """A request left the line without a turn; ``place`` is where it was."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place


def busy() -> OverloadedError:
    """Make the error for a caller who has to come back."""
    return OverloadedError(
        "Many people use the service just now. Nothing was changed. Come back when this time is"
        " over.",
        retry_after_s=RETRY_AFTER_S,
    )


@dataclass(slots=True)
class Shares:
    """An amount of which an origin that holds some may take more only if it leaves as much free.

    So an origin alone gets half, and no number of its requests keeps another origin out.
    """

    free: int
    held: Counter[bytes] = field(default_factory=Counter)

    def fits(self, origin: bytes, amount: int) -> bool:
        """Tell whether an origin may take an amount."""
        left = self.free - amount
        return left >= 0 and (not self.held[origin] or self.held[origin] + amount <= left)

    def take(self, origin: bytes, amount: int) -> None:
        """Take an amount that fits."""
        self.free -= amount
        self.held[origin] += amount

    def give_back(self, origin: bytes, amount: int) -> None:
        """Give an amount back."""
        self.free += amount
        self.held[origin] -= amount
        if not self.held[origin]:
            del self.held[origin]

    @contextmanager
    def growing(self, origin: bytes) -> Iterator[Callable[[int], None]]:
        """Hold what is taken by calls; one that does not fit raises OverloadedError."""
        taken = 0

        def take(amount: int) -> None:
            nonlocal taken
            if not self.fits(origin, amount):
                raise busy()
            self.take(origin, amount)
            taken += amount

        try:
            yield take
        finally:
            self.give_back(origin, taken)


class _Recent(Generic[_Key]):
    """Rounds by key, each for as long as a ticket that is older may still be valid."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[_Key, tuple[int, float]] = {}

    def __contains__(self, key: _Key) -> bool:
        return key in self._entries

    def __getitem__(self, key: _Key) -> int:
        """Return the round of a key, -1 for one that is not known."""
        return self._entries.get(key, (-1, 0.0))[0]

    def __setitem__(self, key: _Key, turn_round: int) -> None:
        now_s = self._clock()
        self._entries.pop(key, None)
        self._entries[key] = turn_round, now_s + TICKET_S
        while (oldest := next(iter(self._entries))) != key and self._entries[oldest][1] < now_s:
            del self._entries[oldest]


class _Waiting(NamedTuple):
    place: Place
    origin: bytes
    called: asyncio.Future[None]


class _Turn(NamedTuple):
    """The turn that a request would have, in the order of all turns."""

    round: int
    number: int
    waiting: _Waiting


class Turns:
    """Let requests have the places at the server in fair turns. For one event loop.

    Start-time fair queueing (Goyal, Vin, Cheng 1996) with equal weights: an origin has one turn in
    each round. The requests of an origin have its turns in the order of their places.
    """

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._shares = Shares(places)
        self._clock = clock
        self._waiting: dict[bytes, list[_Waiting]] = {}
        self._count = 0
        self._round = 0
        self._number = 0
        self._last_round = _Recent[bytes](clock)
        self._had_turns = _Recent[int](clock)

    def place(self, origin: bytes, kept: Place | None = None) -> Place:
        """Return the place of a request of an origin: a kept one counts once, else a new one.

        A place counts once, so that copies of a ticket are worth no more than the ticket.
        """
        if kept is not None and kept.number not in self._had_turns:
            waiting = self._waiting.get(origin, ())
            if all(each.place.number != kept.number for each in waiting):
                return kept
        self._number += 1
        return Place(self._round, self._number, int(self._clock() + TICKET_S))

    @asynccontextmanager
    async def turn(self, origin: bytes, kept: Place | None = None) -> AsyncIterator[None]:
        """Wait for a turn, and hold it; ``kept`` is a place that the request had before.

        Raises NoTurnError where it does not come in time.
        """
        called = asyncio.get_running_loop().create_future()
        await self._wait(_Waiting(self.place(origin, kept), origin, called))
        try:
            yield
        finally:
            self._shares.give_back(origin, 1)
            self._call()

    async def _wait(self, waiting: _Waiting) -> None:
        line = self._waiting.setdefault(waiting.origin, [])
        bisect.insort(line, waiting, key=lambda each: each.place)
        self._count += 1
        self._call()
        if self._count > WAITING_MAX:
            self._send_last_away()
        try:
            async with asyncio.timeout(WAIT_S):
                await waiting.called
        except TimeoutError:
            self._leave(waiting)
            raise NoTurnError(waiting.place) from None
        except BaseException:
            self._leave(waiting)
            raise

    def _send_last_away(self) -> None:
        """Send away whoever would be served last; that may be the newcomer itself."""
        turns = (turn for origin in self._waiting for turn in self._turns(origin))
        last = max(turns, key=itemgetter(0, 1)).waiting
        self._remove(last)
        last.called.set_exception(NoTurnError(last.place))

    def _leave(self, waiting: _Waiting) -> None:
        """Take a request out of the line, or give back the place that it was just called to."""
        if waiting in self._waiting.get(waiting.origin, ()):
            self._remove(waiting)
        elif not waiting.called.cancelled() and waiting.called.exception() is None:
            self._shares.give_back(waiting.origin, 1)
            self._call()

    def _remove(self, waiting: _Waiting) -> None:
        line = self._waiting[waiting.origin]
        line.remove(waiting)
        self._count -= 1
        if not line:
            del self._waiting[waiting.origin]

    def _call(self) -> None:
        """Call those who may have a place now."""
        while (turn := self._first()) is not None:
            waiting = turn.waiting
            self._remove(waiting)
            self._shares.take(waiting.origin, 1)
            self._round = max(self._round, turn.round)
            self._last_round[waiting.origin] = turn.round
            self._had_turns[waiting.place.number] = turn.round
            waiting.called.set_result(None)

    def _first(self) -> _Turn | None:
        turns = (
            next(self._turns(origin), None)
            for origin in self._waiting
            if self._shares.fits(origin, 1)
        )
        return min(filter(None, turns), key=itemgetter(0, 1), default=None)

    def _turns(self, origin: bytes) -> Iterator[_Turn]:
        """Yield the turns of those of an origin who wait: no two are in one round."""
        turn_round = self._last_round[origin]
        for waiting in self._waiting[origin]:
            if not waiting.called.done():  # cancelled, and about to leave
                turn_round = max(turn_round + 1, waiting.place.round)
                yield _Turn(turn_round, waiting.place.number, waiting)
