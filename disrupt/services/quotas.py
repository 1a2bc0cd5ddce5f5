"""Bound how many hashes each caller registers: what it may register grows back with time."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import structlog

from disrupt.core.transforms import REGISTERED_MOST
from disrupt.errors import LimitExceededError, OverloadedError

_HOUR_S = 3600.0

_SMALL_HASHES = REGISTERED_MOST
"""Most hashes of a small registration, which a picture with all of its versions is."""
_RESERVE_S = 60.0
"""Time in which what is kept for small registrations grows back."""
_TURN_KEPT_S = 60.0
"""Time for which an origin keeps its turn once that has come."""
_WAITING_MAX = 10_000
"""Most origins of one caller that have a turn; further ones have none."""

_REPORTED_EVERY_S = 60.0
"""Refusals of one caller are logged at most so often."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Waiting:
    """The call that an origin waits for."""

    hashes: int = 0
    """Most that it asked for: who shares an origin, and asks for less, does not overtake others."""
    until_s: float = math.inf


@dataclass(slots=True)
class Quota:
    """Bound each caller to ``hashes_per_h``, of which it may register an hour's at once.

    What is let in fits whole, so a small registration waits for less than a large one. A large one
    leaves a reserve, and of small ones origins take turns: so nobody who shares a quota is kept out
    by those who ask for more, or more often.

    For one thread at a time. A caller is whoever shares a quota: its name is that of a key. Quotas
    are full after a restart.
    """

    hashes_per_h: float = math.inf
    _full_at_s: dict[str, float] = field(default_factory=dict, init=False)
    """When the quota of a caller will be full again (generic cell rate algorithm)."""
    _waiting: defaultdict[str, dict[bytes, _Waiting]] = field(
        default_factory=lambda: defaultdict(dict), init=False
    )
    """Origins of small registrations that wait, by caller, in the order in which they came."""
    _reported_s: dict[str, float] = field(default_factory=dict, init=False)

    def check(self, caller: str, origin: bytes, hashes: int, now_s: float) -> None:
        """Let a registration of ``hashes`` in; ``now_s`` of one clock.

        Raises OverloadedError until it fits, and LimitExceededError if it never will.
        """
        is_small = hashes <= _SMALL_HASHES
        most_s = _HOUR_S if is_small else _HOUR_S - _RESERVE_S
        if self._time_s(hashes) > most_s:
            most = math.floor(self.hashes_per_h * most_s / _HOUR_S)
            raise LimitExceededError(
                f"This key may register at most {most} hashes at once. Send fewer.",
                limit=str(most),
            )
        waiting = self._waiting_of(caller, now_s) if is_small else {}
        if is_small and (origin in waiting or len(waiting) < _WAITING_MAX):
            turn = waiting.setdefault(origin, _Waiting())
            turn.hashes = max(turn.hashes, hashes)
            hashes = _up_to(origin, waiting)
        wait_s = self._full_at(caller, now_s) - now_s + self._time_s(hashes) - most_s
        if wait_s <= 0:
            waiting.pop(origin, None)
            return
        wait_s = max(wait_s, 1.0)
        if origin in waiting:
            waiting[origin].until_s = now_s + wait_s + _TURN_KEPT_S
        self._report(caller, now_s)
        raise OverloadedError(
            f"This key may register {self.hashes_per_h:.0f} hashes in an hour, and too few are"
            " left. Nothing was stored. Try again when the time given is over.",
            retry_after_s=wait_s,
        )

    def charge(self, caller: str, hashes: int, now_s: float) -> None:
        """Charge ``caller``, just checked, with hashes that were stored."""
        self._full_at_s[caller] = self._full_at(caller, now_s) + self._time_s(hashes)

    def _waiting_of(self, caller: str, now_s: float) -> dict[bytes, _Waiting]:
        waiting = self._waiting[caller]
        for lapsed in [origin for origin, turn in waiting.items() if turn.until_s < now_s]:
            del waiting[lapsed]
        return waiting

    def _time_s(self, hashes: int) -> float:
        """Return the time in which so many hashes grow back."""
        return hashes * _HOUR_S / self.hashes_per_h

    def _full_at(self, caller: str, now_s: float) -> float:
        return max(self._full_at_s.get(caller, now_s), now_s)

    def _report(self, caller: str, now_s: float) -> None:
        if now_s - self._reported_s.get(caller, -math.inf) >= _REPORTED_EVERY_S:
            self._reported_s[caller] = now_s
            _log.error("quota_used_up", key_id=caller, hashes_per_h=self.hashes_per_h)


def _up_to(origin: bytes, waiting: dict[bytes, _Waiting]) -> int:
    """Return how many hashes an origin waits for, with those of all who wait before it."""
    hashes = 0
    for each, turn in waiting.items():
        hashes += turn.hashes
        if each == origin:
            break
    return hashes
