"""Bound how many hashes each caller registers: what it may register grows back with time."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import structlog

from disrupt.errors import LimitExceededError, QuotaExceededError, UsedQuota

_HOUR_S = 3600.0

_SMALL_HASHES = 300
"""Most hashes of a small registration, which a picture with all of its versions is."""
_RESERVE_S = 60.0
"""Time in which what is kept for small registrations grows back."""
_PLACE_S = 60.0
"""Time for which a place is kept once its turn has come."""
_PLACES_MAX = 10_000
"""Most places of one caller."""

_REPORTED_EVERY_S = 60.0
"""Refusals of one caller are logged at most so often."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Place:
    """The place of an origin that waits."""

    hashes: int = 0
    """Most that it asked for: who shares a place, and asks for less, does not overtake others."""
    until_s: float = math.inf


@dataclass(slots=True)
class Quota:
    """Bound each caller to ``hashes_per_h``, of which it may register an hour's at once.

    What is let in fits whole, so a small registration waits for less than a large one. A large one
    leaves a reserve, and of small ones origins take turns: so nobody who shares a quota is kept out
    by those who ask for more, or more often.

    For one thread at a time. A caller is whoever shares a quota: its name is that of an
    organisation. Quotas are full after a restart.
    """

    hashes_per_h: float = math.inf
    _full_at_s: dict[str, float] = field(default_factory=dict, init=False)
    """When the quota of a caller will be full again (generic cell rate algorithm)."""
    _places: defaultdict[str, dict[bytes, _Place]] = field(
        default_factory=lambda: defaultdict(dict), init=False
    )
    """Origins of small registrations that wait, by caller, in the order in which they came."""
    _reported_s: dict[str, float] = field(default_factory=dict, init=False)

    def check(self, caller: str, origin: bytes, hashes: int, now_s: float) -> None:
        """Let a registration of ``hashes`` in; ``now_s`` of one clock.

        Raises QuotaExceededError until it fits, and LimitExceededError if it never will.
        """
        is_small = hashes <= _SMALL_HASHES
        most_s = _HOUR_S if is_small else _HOUR_S - _RESERVE_S
        if self._time_s(hashes) > most_s:
            most = math.floor(self.hashes_per_h * most_s / _HOUR_S)
            raise LimitExceededError(
                f"Your organisation may register at most {most} hashes at once. Send fewer.",
                limit=str(most),
            )
        places = self._places_of(caller, now_s) if is_small else {}
        if is_small and (origin in places or len(places) < _PLACES_MAX):
            place = places.setdefault(origin, _Place())
            place.hashes = max(place.hashes, hashes)
            hashes = _up_to(origin, places)
        wait_s = self._full_at(caller, now_s) - now_s + self._time_s(hashes) - most_s
        if wait_s <= 0:
            places.pop(origin, None)
            return
        wait_s = max(wait_s, 1.0)
        if origin in places:
            places[origin].until_s = now_s + wait_s + _PLACE_S
        self._report(caller, now_s)
        limit = f"{self.hashes_per_h:.0f} hashes registered in an hour"
        raise QuotaExceededError(
            f"Your organisation's quota is used up: {limit}. Nothing was stored. Try again when the"
            " time given is over.",
            quotas=(UsedQuota(f"organisation:{caller}", limit),),
            retry_after_s=wait_s,
        )

    def charge(self, caller: str, hashes: int, now_s: float) -> None:
        """Charge ``caller``, just checked, with hashes that were stored."""
        self._full_at_s[caller] = self._full_at(caller, now_s) + self._time_s(hashes)

    def _places_of(self, caller: str, now_s: float) -> dict[bytes, _Place]:
        places = self._places[caller]
        for lapsed in [origin for origin, place in places.items() if place.until_s < now_s]:
            del places[lapsed]
        return places

    def _time_s(self, hashes: int) -> float:
        """Return the time in which so many hashes grow back."""
        return hashes * _HOUR_S / self.hashes_per_h

    def _full_at(self, caller: str, now_s: float) -> float:
        return max(self._full_at_s.get(caller, now_s), now_s)

    def _report(self, caller: str, now_s: float) -> None:
        if now_s - self._reported_s.get(caller, -math.inf) >= _REPORTED_EVERY_S:
            self._reported_s[caller] = now_s
            _log.warning("quota_used_up", organisation=caller, hashes_per_h=self.hashes_per_h)


def _up_to(origin: bytes, places: dict[bytes, _Place]) -> int:
    """Return how many hashes an origin waits for, with those of all who wait before it."""
    hashes = 0
    for each, place in places.items():
        hashes += place.hashes
        if each == origin:
            break
    return hashes
