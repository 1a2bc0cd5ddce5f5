"""Bound how many new items of one caller go live at once; what is beyond waits for a review."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from disrupt.core.states import ItemState

_DAY_S = 86_400.0

_KEPT_MAX = 10_000
"""Most origins that are kept before those are dropped whose limit is whole again."""


@dataclass(slots=True)
class LiveLimits:
    """Let a day's items of a key, and of an origin, go live at once; they grow back with time.

    Calls without an origin token are bounded by the limit of their key alone. What waits counts
    against no limit. For one thread at a time; limits are whole after a restart.
    """

    items_per_key: float = math.inf
    items_per_origin: float = math.inf
    _whole_at_s: dict[tuple[str, bytes], float] = field(default_factory=dict, init=False)
    """When the limit of a key, with an empty token, or of an origin will be whole again."""

    def state(self, caller: str, origin: bytes, items: int, now_s: float) -> ItemState:
        """Return the state of ``items`` that a caller registers: LIVE or WAITING, all alike."""
        fits = all(
            self._whole_at(of, now_s) - now_s + items * _DAY_S / limit <= _DAY_S
            for of, limit in self._limits(caller, origin).items()
        )
        return ItemState.LIVE if fits else ItemState.WAITING

    def charge(self, caller: str, origin: bytes, items: int, now_s: float) -> None:
        """Charge a caller with items that went live."""
        if len(self._whole_at_s) > _KEPT_MAX:
            kept = {of: at_s for of, at_s in self._whole_at_s.items() if at_s > now_s}
            self._whole_at_s = kept
        for of, limit in self._limits(caller, origin).items():
            self._whole_at_s[of] = self._whole_at(of, now_s) + items * _DAY_S / limit

    def _limits(self, caller: str, origin: bytes) -> dict[tuple[str, bytes], float]:
        limits = {(caller, b""): self.items_per_key}
        return limits | {(caller, origin): self.items_per_origin} if origin else limits

    def _whole_at(self, of: tuple[str, bytes], now_s: float) -> float:
        return max(self._whole_at_s.get(of, now_s), now_s)
