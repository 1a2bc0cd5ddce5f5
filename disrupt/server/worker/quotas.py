"""Bound what an organisation looks up in a minute and in a day, over all workers.

Each worker counts in its own row of the memory that all share, and sums the rows of all: so a quota
holds whichever workers the connections of an organisation reach, and nobody waits for a lock. Two
workers that decide at the same instant may both let the last lookup in. If each worker granted a
part instead, an organisation with four connections would get 68 % of its quota from four workers on
average, and 41 % from eight: connections do not spread evenly.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from disrupt.core.policy import LookupQuota
from disrupt.errors import LimitExceededError, QuotaExceededError
from disrupt.server.metrics import families
from disrupt.server.worker.windows import DAY_S, MINUTE_S, Windows
from disrupt.services.keys import KeyRing


class LookupQuotas:
    """The quotas of organisations, as one worker sees them. For its event loop alone."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Start with none; ``clock`` returns seconds since 1970, UTC."""
        self._quotas: Mapping[str, LookupQuota] = {}
        self._clock = clock
        self._lookups = Windows("quota_lookups")
        self._shown: set[tuple[str, str]] = set()

    def follow(self, ring: KeyRing) -> None:
        """Follow the quotas that there are, and the counts of other workers."""
        self._quotas = ring.quotas
        self._lookups.find(ring.quotas.keys())

    def take(self, organisation: str, amount: int = 1) -> None:
        """Count ``amount`` lookups, if the quotas of an organisation let them in.

        Raises QuotaExceededError until they do, and LimitExceededError if they never will.
        """
        quota = self._quotas.get(organisation)
        if quota is None:
            return
        most = min(quota.per_minute or math.inf, quota.per_day or math.inf)
        if amount > most:
            raise LimitExceededError(
                f"This call has {amount} lookups, and the quota of this organisation is {most:.0f}."
                " Send fewer at a time.",
                limit=f"{most:.0f}",
            )
        now_s = self._clock()
        used = self._lookups.counts(organisation, now_s)
        if quota.per_day and used.day + amount > quota.per_day:
            raise _refusal(organisation, f"{quota.per_day} lookups a day", DAY_S, now_s)
        if quota.per_minute and used.minute + amount > quota.per_minute:
            raise _refusal(organisation, f"{quota.per_minute} lookups a minute", MINUTE_S, now_s)
        self._lookups.add(organisation, amount, now_s)

    def give_back(self, organisation: str, amount: int = 1) -> None:
        """Give back what was taken, of a call that was then refused for lack of room."""
        if organisation in self._quotas:
            self._lookups.add(organisation, -amount, self._clock())

    def show(self) -> None:
        """Set the metric of what is left; hide it of quotas that are no more."""
        left = dict[tuple[str, str], float]()
        for name, quota in self._quotas.items():
            used = self._lookups.counts(name, self._clock())
            if quota.per_minute:
                left[name, "minute"] = max(0.0, quota.per_minute - used.minute)
            if quota.per_day:
                left[name, "day"] = max(0.0, quota.per_day - used.day)
        for labels in self._shown | left.keys():
            families.QUOTA_LEFT.set(*labels, value=left.get(labels, math.nan))
        self._shown = {*left}


def _refusal(organisation: str, quota: str, window_s: int, now_s: float) -> QuotaExceededError:
    return QuotaExceededError(
        f"The quota of this organisation is {quota}, and too few are left. Nothing was looked up."
        " Try again when the time given is over.",
        retry_after_s=window_s - now_s % window_s,
        organisation=organisation,
        quota=quota,
    )
