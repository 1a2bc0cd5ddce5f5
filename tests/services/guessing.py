"""People who open cases and people who guess, on a simulated clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeAlias

from disrupt.services.throttle import Asked, NotYetError, Throttle

Waits: TypeAlias = "Generator[float, None, None]"
"""The actions of a person; each value is the time to wait until the next, in s."""

Patience: TypeAlias = "Callable[[float], float]"


def as_advised(wait_s: float) -> float:
    """Wait as long as the throttle says."""
    return wait_s


class World:
    """A throttle, the cases with their PINs, and people who wait for their turn.

    ``checks_s`` are the times of all PIN checks; each takes ``check_s``.
    """

    check_s = 0.0

    def __init__(self, **pins: str) -> None:
        self.now_s = 0.0
        self.checks_s: list[float] = []
        self.throttle = Throttle(self._verify)
        self._pins = pins
        self._people: list[tuple[float, int, Waits]] = []
        self._count = itertools.count()
        self._works_at_s: float | None = None

    def _verify(self, pin_hash: str, proof: bytes) -> bool:
        self.checks_s.append(self.now_s)
        self.now_s += self.check_s
        return pin_hash == proof.decode()

    def send(self, person: Waits, at_s: float) -> None:
        """Have somebody come at a time."""
        heapq.heappush(self._people, (at_s, next(self._count), person))

    def run(self, until: Callable[[], bool], most_s: float) -> None:
        """Let time pass until something holds, at most so long."""
        while self._people and not until() and self.now_s < most_s:
            at_s = self._people[0][0]
            if self._works_at_s is not None and self._works_at_s <= at_s:
                self._work(self._works_at_s)
                continue
            _, _, person = heapq.heappop(self._people)
            self.now_s = max(self.now_s, at_s)
            pause_s = next(person, None)
            if self._works_at_s is None:
                self._work(self.now_s)
            if pause_s is not None:
                self.send(person, self.now_s + pause_s)

    def _work(self, now_s: float) -> None:
        self.now_s = max(self.now_s, now_s)
        wait_s = self.throttle.work(lambda: self.now_s)
        self._works_at_s = None if wait_s is None else self.now_s + max(wait_s, 1e-3)

    def ask(
        self, key: str, origin: int, case: str, pin: str, patience: Patience = as_advised
    ) -> Generator[float, None, bool]:
        """Ask until there is an answer, and return it."""
        asked = Asked(key, origin.to_bytes(4), case, pin.encode())
        while True:
            try:
                return self.throttle.ask(asked, self._pins.get(case), self.now_s)
            except NotYetError as error:
                yield patience(error.wait_s)

    def guess(
        self,
        key: str,
        origin: int,
        cases: Iterable[str],
        patience: Patience = as_advised,
        pins: Iterator[str] | None = None,
    ) -> Waits:
        """Try a PIN on each case, one after the other."""
        pins = pins or (f"{origin}/{count}" for count in itertools.count())
        for case in cases:
            yield from self.ask(key, origin, case, next(pins), patience)
            yield 0.01

    def open_case(
        self, key: str, origin: int, case: str, waited_s: list[float], times: int = 1
    ) -> Waits:
        """Open a case with its PIN, some times, and add how long each took to ``waited_s``."""
        for _ in range(times):
            since_s = self.now_s
            assert (yield from self.ask(key, origin, case, self._pins[case]))
            waited_s.append(self.now_s - since_s)
            yield 1.0

    def most_checks_in_a_second(self) -> int:
        """Return how many checks began within a second at most."""
        return max(
            sum(at <= checked_s < at + 1 for checked_s in self.checks_s[place : place + 20])
            for place, at in enumerate(self.checks_s)
        )
