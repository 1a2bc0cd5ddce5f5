"""Throttle PIN checks: they take turns, three a second, and lock nobody out (docs/throttle.md)."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn, TypeAlias

import structlog

from disrupt.errors import DataDirectoryError

CHECKS_PER_S = 3
"""Most PIN checks that begin within any second, of all callers together."""

REFUSED_AFTER_S = 3.0
"""Time from an attempt's turn to its refusal, also for a case that does not exist. A check is
shorter, so that the time of a refusal does not say whether a PIN was checked."""

REFUSALS_AHEAD_S = 60.0
"""Longest that refusals of a key, which are spaced like checks, lie ahead."""

FREE_CHECKS = 3
REST_S = 30.0
"""A case has priority for ``FREE_CHECKS`` checks, and then loses it for ``REST_S`` after each."""

KEPT_S = 90.0
"""Time after which an attempt that nobody has asked about is dropped."""

RETRY_MAX_S = 30.0
"""Longest wait that a caller gets before it asks again."""

REPORTED_EVERY = 1000
"""Number of wrong PINs after which the log names a key: some six minutes of guessing."""

_AGE_SHARE = 8
_MOST_ATTEMPTS = 100_000
_MOST_CASES = 20_000
"""Most case numbers that are kept for a key, beside those with attempts that wait."""
_TIDIED_AT_ONCE = 2

_log = structlog.get_logger(__name__)


class Asked(NamedTuple):
    """An attempt's key id, origin token, case number, and MAC of the PIN."""

    key: str
    origin: bytes
    case_number: str
    proof: bytes


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt, from when it is first asked about until its answer is given.

    ``pin_hash`` is None where no such case exists. ``right`` is None until the PIN was checked.
    ``problem`` says why it could not be checked, and is then the refusal.
    ``due_s`` is when a refusal may be given; ``since_s`` and ``seen_s`` are when it was first and
    last asked about.
    """

    asked: Asked
    pin_hash: str | None
    due_s: float
    since_s: float
    seen_s: float
    right: bool | None = None
    problem: DataDirectoryError | None = None

    def answered(self, now_s: float) -> bool:
        """Tell whether the answer may be given: a right PIN's at once, a refusal when it is due."""
        return bool(self.right) or (self.right is False and now_s >= self.due_s)


class NotYetError(Exception):
    """An attempt has no answer yet; ask again in ``wait_s``."""

    def __init__(self, attempt: Attempt, wait_s: float) -> None:
        super().__init__()
        self.attempt = attempt
        self.wait_s = wait_s


_Queue: TypeAlias = "OrderedDict[Asked, Attempt]"


@dataclass(slots=True, eq=False)
class _Case:
    """A case number that was tried, whether it exists or not, with its attempts that wait.

    ``paid_s`` is the time until which its checks are paid for, at one every ``REST_S``.
    """

    waiting: _Queue = field(default_factory=OrderedDict)
    paid_s: float = 0.0

    @property
    def rested_s(self) -> float:
        """Time at which it has priority again."""
        return self.paid_s - (FREE_CHECKS - 1) * REST_S


class _KeyQueue:
    """The attempts of one key that wait, in two queues: by case and by origin.

    1. ``add`` puts an attempt into both.
    2. ``next`` takes one out of both: every second time the oldest attempt of the first case with
       priority, otherwise, or if no case has it, that of the first origin. The origin then goes
       behind the others.
    3. ``count`` charges the turn to the case, which goes behind the others with priority, or loses
       it for a rest.

    So attempts on other cases delay a case by one turn each, and attempts on one case delay another
    origin by one turn each, however many attempts an origin makes.
    """

    def __init__(self) -> None:
        self._cases: OrderedDict[str, _Case] = OrderedDict()
        """All that are known, the one tried last at the end."""
        self._origins: OrderedDict[bytes, _Queue] = OrderedDict()
        """Origins with attempts that wait, in the order of their turns."""
        self._rested: OrderedDict[str, None] = OrderedDict()
        """Cases that have priority and attempts that wait, in the order of their turns."""
        self._resting: OrderedDict[str, None] = OrderedDict()
        """Cases without priority, in the order in which they get it back."""
        self._refusal_s = 0.0
        self._by_origin = False

    def __bool__(self) -> bool:
        """Tell whether an attempt waits."""
        return bool(self._origins)

    def refusal_s(self, now_s: float) -> float:
        """Return when a new attempt may be refused, spaced alike whether its case exists or not.

        The time is bounded, so that a flood of guesses does not keep a mistyped PIN waiting.
        """
        spaced_s = min(self._refusal_s + 1 / CHECKS_PER_S, now_s + REFUSALS_AHEAD_S)
        self._refusal_s = max(now_s + REFUSED_AFTER_S, spaced_s)
        return self._refusal_s

    def add(self, attempt: Attempt) -> None:
        """Queue an attempt."""
        number, origin = attempt.asked.case_number, attempt.asked.origin
        self._tidy(attempt.seen_s)
        case = self._cases.setdefault(number, _Case())
        self._cases.move_to_end(number)
        case.waiting[attempt.asked] = attempt
        if number not in self._resting:
            self._rested.setdefault(number)
        self._origins.setdefault(origin, OrderedDict())[attempt.asked] = attempt

    def remove(self, attempt: Attempt) -> None:
        """Remove an attempt, if it waits."""
        number, origin = attempt.asked.case_number, attempt.asked.origin
        case, of_origin = self._cases.get(number), self._origins.get(origin)
        if case is None or of_origin is None or attempt.asked not in case.waiting:
            return
        del case.waiting[attempt.asked], of_origin[attempt.asked]
        if not case.waiting:
            self._rested.pop(number, None)
        if not of_origin:
            del self._origins[origin]

    def next(self, now_s: float) -> Attempt:
        """Remove and return the attempt whose turn it is."""
        while self._resting and self._cases[next(iter(self._resting))].rested_s <= now_s:
            number, _ = self._resting.popitem(last=False)
            if self._cases[number].waiting:
                self._rested[number] = None
        if self._rested and not self._by_origin:
            queue = self._cases[next(iter(self._rested))].waiting
        else:
            queue = next(iter(self._origins.values()))
        attempt = next(iter(queue.values()))
        self.remove(attempt)
        if attempt.asked.origin in self._origins:
            self._origins.move_to_end(attempt.asked.origin)
        return attempt

    def count(self, attempt: Attempt, now_s: float) -> None:
        """Count a turn of a case, which then goes behind the other cases."""
        number = attempt.asked.case_number
        case = self._cases[number]
        case.paid_s = max(case.paid_s, now_s) + REST_S
        self._rested.pop(number, None)
        if case.rested_s > now_s:
            # Cases rest equally long, so that they end in order.
            case.paid_s = now_s + FREE_CHECKS * REST_S
            self._resting[number] = None
            self._resting.move_to_end(number)
        elif case.waiting:
            self._rested[number] = None
        if attempt.pin_hash is not None:
            self._by_origin = not self._by_origin

    def _tidy(self, now_s: float) -> None:
        """Forget some cases that are no longer needed, faster than new ones come."""
        for _ in range(min(_TIDIED_AT_ONCE, len(self._cases))):
            number, case = next(iter(self._cases.items()))
            if case.waiting or (case.paid_s > now_s and len(self._cases) < _MOST_CASES):
                self._cases.move_to_end(number)
            else:
                del self._cases[number]
                self._resting.pop(number, None)


class Throttle:
    """Check PINs in turns. Thread-safe; memory is bounded.

    An attempt waits for its turn also while nobody asks about it. Attempts on cases that do not
    exist wait like others, but cost no check. Times are of one monotonic clock, in s.
    """

    def __init__(self, verify: Callable[[str, bytes], bool]) -> None:
        """``verify`` tells whether an encoded PIN hash is of the PIN with this MAC."""
        self._verify = verify
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._attempts: _Queue = OrderedDict()
        self._queues: OrderedDict[str, _KeyQueue] = OrderedDict()
        self._begun_s: deque[float] = deque(maxlen=CHECKS_PER_S)
        self._wrong: Counter[str] = Counter()

    def ask(self, asked: Asked, pin_hash: str | None, now_s: float) -> bool:
        """Tell whether the PIN is right. Raises NotYetError until that may be answered.

        DataDirectoryError where it cannot be checked.

        ``pin_hash`` is the case's, None if there is no such case. A caller that comes back within
        ``KEPT_S`` keeps its turn.
        """
        with self._lock:
            attempt = self._attempt(asked, pin_hash, now_s)
            attempt.seen_s = now_s
            self._attempts.move_to_end(asked)
            if attempt.answered(now_s):
                del self._attempts[asked]
                if attempt.problem is not None:
                    raise attempt.problem
                return bool(attempt.right)
            due_s = attempt.due_s
        wait_s = 1 + (now_s - attempt.since_s) / _AGE_SHARE
        if due_s > now_s:
            wait_s = min(wait_s, due_s - now_s)
        raise NotYetError(attempt, min(wait_s, RETRY_MAX_S))

    def work(self, clock: Callable[[], float]) -> float | None:
        """Check the attempts that are due; return the time until the next may be, or None."""
        while (attempt := self._next(clock)) is not None:
            try:
                right = self._verify(attempt.pin_hash or "", attempt.asked.proof)
            except DataDirectoryError as error:
                attempt.problem, right = error, False
            attempt.right = right
            self._report(attempt)
        with self._lock:
            return self._closed_s(clock()) if any(self._queues.values()) else None

    def run(self) -> NoReturn:
        """Check attempts for ever, in a thread of its own."""
        while True:
            self._news.clear()
            self._news.wait(self.work(time.monotonic))

    def _report(self, attempt: Attempt) -> None:
        """Count wrong PINs of a key, and log that it guesses, so that operators can revoke it."""
        if not attempt.right:
            key = attempt.asked.key
            with self._lock:
                self._wrong[key] += 1
                wrong = self._wrong[key]
            if wrong % REPORTED_EVERY == 0:
                _log.error("pins_guessed", key_id=key, wrong=wrong)

    def _attempt(self, asked: Asked, pin_hash: str | None, now_s: float) -> Attempt:
        attempt = self._attempts.get(asked)
        if attempt is not None and now_s - attempt.seen_s <= KEPT_S:
            return attempt
        if attempt is not None:
            self._drop(attempt)
        queue = self._queues.setdefault(asked.key, _KeyQueue())
        attempt = Attempt(asked, pin_hash, queue.refusal_s(now_s), now_s, now_s)
        queue.add(attempt)
        self._attempts[asked] = attempt
        if len(self._attempts) > _MOST_ATTEMPTS:
            self._drop(next(iter(self._attempts.values())))
        self._news.set()
        return attempt

    def _drop(self, attempt: Attempt) -> None:
        """Forget an attempt; if it is being checked, the result is ignored."""
        del self._attempts[attempt.asked]
        self._queues[attempt.asked.key].remove(attempt)

    def _next(self, clock: Callable[[], float]) -> Attempt | None:
        """Remove and return the attempt to check now; None if there is none."""
        with self._lock:
            now_s = clock()
            while self._closed_s(now_s) <= 0:
                key = next((key for key, queue in self._queues.items() if queue), None)
                if key is None:
                    return None
                queue = self._queues[key]
                self._queues.move_to_end(key)
                attempt = queue.next(now_s)
                if now_s - attempt.seen_s > KEPT_S:
                    self._attempts.pop(attempt.asked, None)
                    continue
                queue.count(attempt, now_s)
                attempt.due_s = max(attempt.due_s, now_s + REFUSED_AFTER_S)
                if attempt.pin_hash is None:
                    attempt.right = False
                    continue
                self._begun_s.append(now_s)
                return attempt
            return None

    def _closed_s(self, now_s: float) -> float:
        """Return the time until a check may begin; 0 or less means now."""
        if len(self._begun_s) < CHECKS_PER_S:
            return 0.0
        return self._begun_s[0] + 1 - now_s
