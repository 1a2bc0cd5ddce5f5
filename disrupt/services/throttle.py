"""Wrong PINs are answered ever more slowly, up to a limit: guessing is hopeless, no lock-out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from disrupt.errors import TooManyAttemptsError

FREE_ATTEMPTS = 5
MAX_DELAY_S = 60.0
FORGOTTEN_AFTER_S = 3600.0

GLOBAL_FREE_ATTEMPTS = 100
"""Wrong attempts of all callers together before the rate below holds for everybody."""
GLOBAL_ATTEMPTS_PER_S = 1.0

_FULL = GLOBAL_FREE_ATTEMPTS + MAX_DELAY_S * GLOBAL_ATTEMPTS_PER_S
_MOST_PAIRS = 100_000


@dataclass(slots=True)
class _Attempts:
    count: int = 0
    last_s: float = 0.0
    open_at_s: float = 0.0
    has_place: bool = False


class Throttle:
    """Counts attempts by (caller, case), whether the case exists or not, then over all callers.

    An attempt counts when it begins, so that many at once do not pass together; the right PIN
    forgets those of its pair. After five, the next must wait 1 s, then 2 s, 4 s, up to 60 s. All
    wrong attempts together drain from a bucket of 100 at one a second. While it is full, whoever
    comes gets a place in the queue, up to 60 s away, and may not be refused when that time has
    come: guesses under ever new origin tokens wait longest, and lock nobody out. Thread-safe;
    memory is bounded. Times are of one monotonic clock, in s.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pairs: OrderedDict[tuple[str, str], _Attempts] = OrderedDict()
        self._wrong = 0.0
        self._drained_s = 0.0

    def attempt(self, caller: str, case_number: str, now_s: float) -> None:
        """Before a PIN is checked; TooManyAttemptsError when it is too early for that."""
        with self._lock:
            self._drain(now_s)
            attempts = self._pairs.pop((caller, case_number), None)
            if attempts is None or now_s - attempts.last_s > FORGOTTEN_AFTER_S:
                attempts = _Attempts(last_s=now_s)
            self._pairs[caller, case_number] = attempts
            if len(self._pairs) > _MOST_PAIRS:
                self._pairs.popitem(last=False)
            if now_s < attempts.open_at_s:
                _refuse(attempts.open_at_s - now_s)
            if self._wrong >= GLOBAL_FREE_ATTEMPTS and not attempts.has_place:
                self._wrong = min(self._wrong + 1, _FULL)
                attempts.has_place = True
                wait_s = (self._wrong - GLOBAL_FREE_ATTEMPTS) / GLOBAL_ATTEMPTS_PER_S
                attempts.open_at_s = now_s + wait_s
                _refuse(wait_s)
            attempts.has_place = False
            attempts.count += 1
            attempts.last_s = now_s
            if attempts.count >= FREE_ATTEMPTS:
                doublings = min(attempts.count - FREE_ATTEMPTS, 10)
                attempts.open_at_s = now_s + min(MAX_DELAY_S, 2.0**doublings)

    def wrong(self, now_s: float) -> None:
        """After a wrong PIN, or an unknown case."""
        with self._lock:
            self._drain(now_s)
            self._wrong = min(self._wrong + 1, _FULL)

    def right(self, caller: str, case_number: str) -> None:
        """After the right PIN."""
        with self._lock:
            self._pairs.pop((caller, case_number), None)

    def _drain(self, now_s: float) -> None:
        elapsed_s = max(0.0, now_s - self._drained_s)
        self._wrong = max(0.0, self._wrong - elapsed_s * GLOBAL_ATTEMPTS_PER_S)
        self._drained_s = max(self._drained_s, now_s)  # threads come with times in any order


def _refuse(retry_after_s: float) -> None:
    raise TooManyAttemptsError(
        "Too many attempts with a wrong case number or PIN. Wait a little, then try again.",
        retry_after_s=retry_after_s,
    )
