"""Bound how many hashes each caller registers: what it may register grows back with time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import structlog

from disrupt.errors import OverloadedError

_HOUR_S = 3600.0

_REPORTED_EVERY_S = 60.0
"""Refusals of one caller are logged at most so often."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Quota:
    """Bound each caller to ``hashes_per_h``, of which it may register an hour's at once.

    For one thread at a time. A caller is whoever shares a quota: its name is that of a key. Quotas
    are full after a restart.
    """

    hashes_per_h: float = math.inf
    _full_at_s: dict[str, float] = field(default_factory=dict, init=False)
    """When the quota of a caller will be full again (generic cell rate algorithm)."""
    _reported_s: dict[str, float] = field(default_factory=dict, init=False)

    def check(self, caller: str, now_s: float) -> None:
        """Raise OverloadedError once the quota of ``caller`` is used up; ``now_s`` of one clock."""
        wait_s = self._full_at(caller, now_s) - now_s - _HOUR_S
        if wait_s >= 0:
            self._report(caller, now_s)
            raise OverloadedError(
                f"This key has registered the {self.hashes_per_h:.0f} hashes that it may register"
                " in an hour. Nothing was stored. Try again when the time given is over.",
                retry_after_s=max(wait_s, 1.0),
            )

    def charge(self, caller: str, hashes: int, now_s: float) -> None:
        """Charge ``caller``, just checked, with hashes that were stored.

        The last registration may exceed the quota, so that none is too large for it.
        """
        full_at_s = self._full_at(caller, now_s)
        self._full_at_s[caller] = full_at_s + hashes * _HOUR_S / self.hashes_per_h

    def _full_at(self, caller: str, now_s: float) -> float:
        return max(self._full_at_s.get(caller, now_s), now_s)

    def _report(self, caller: str, now_s: float) -> None:
        if now_s - self._reported_s.get(caller, -math.inf) >= _REPORTED_EVERY_S:
            self._reported_s[caller] = now_s
            _log.warning("quota_used_up", key_id=caller, hashes_per_h=self.hashes_per_h)
