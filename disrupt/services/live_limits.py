"""Bound how many new items of one origin go live at once; what is beyond waits for a review."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from disrupt.core.states import ItemState

_DAY_S = 86_400.0

_KEPT_MAX = 10_000
"""Most origins that are kept before those are first dropped whose limit is whole again."""


@dataclass(slots=True)
class LiveLimits:
    """Let a day's items of an origin, or of a key, go live at once; they grow back with time.

    A call with an origin token is bounded by the limit of that origin alone, so that nobody makes
    registrations of others wait; the limit of the key bounds its calls without one. What waits
    counts against no limit. For one thread at a time; limits are whole after a restart.
    """

    items_per_key: float = math.inf
    items_per_origin: float = math.inf
    _whole_at_s: dict[tuple[str, bytes], float] = field(default_factory=dict, init=False)
    """When the limit of a key, with an empty token, or of an origin will be whole again."""
    _kept_max: int = field(default=_KEPT_MAX, init=False)

    def state(self, caller: str, origin: bytes, items: int, now_s: float) -> ItemState:
        """Return the state of ``items`` that a caller registers: LIVE or WAITING, all alike."""
        ahead_s = self._whole_at((caller, origin), now_s) - now_s
        fits = ahead_s + self._refill_s(origin, items) <= _DAY_S
        return ItemState.LIVE if fits else ItemState.WAITING

    def charge(self, caller: str, origin: bytes, items: int, now_s: float) -> None:
        """Charge a caller with items that went live."""
        if len(self._whole_at_s) > self._kept_max:
            kept = {of: at_s for of, at_s in self._whole_at_s.items() if at_s > now_s}
            self._whole_at_s, self._kept_max = kept, max(_KEPT_MAX, 2 * len(kept))
        of = (caller, origin)
        self._whole_at_s[of] = self._whole_at(of, now_s) + self._refill_s(origin, items)

    def _refill_s(self, origin: bytes, items: int) -> float:
        """Return the time in which the limit of so many items grows back."""
        return items * _DAY_S / (self.items_per_origin if origin else self.items_per_key)

    def _whole_at(self, of: tuple[str, bytes], now_s: float) -> float:
        return max(self._whole_at_s.get(of, now_s), now_s)
