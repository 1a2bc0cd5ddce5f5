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
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from disrupt.core.lookups import HashLookup
from disrupt.core.policy import LookupQuota
from disrupt.errors import LimitExceededError, QuotaExceededError
from disrupt.hashing.lookup import MOST_HASHES
from disrupt.server.metrics import families
from disrupt.server.worker.windows import DAY_S, MINUTE_S, Windows
from disrupt.services.keys import KeyRing


class Charge(NamedTuple):
    """What a call counts as: uploads, and the hashes of MatchHashes."""

    uploads: int = 1
    hashes: int = 0


UPLOAD = Charge()
"""Charge of a picture or video, whoever hashes it."""


def charged(lookup: HashLookup) -> Charge:
    """Return what a call of MatchHashes counts as.

    It is charged by hash unless it says how many uploads the hashes are of. Nobody can check that,
    so it is never charged less than if every upload had as many hashes as a lookup can have.
    """
    hashes = len(lookup.hashes)
    if lookup.uploads is None:
        return Charge(hashes, hashes)
    least = math.ceil(hashes / MOST_HASHES[lookup.options.effort])
    return Charge(max(lookup.uploads, least), hashes)


class LookupQuotas:
    """The quotas of organisations, as one worker sees them. For its event loop alone."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Start with none; ``clock`` returns seconds since 1970, UTC."""
        self._quotas: Mapping[str, LookupQuota] = {}
        self._clock = clock
        self._counts = {name: Windows(f"quota_{name}") for name in Charge._fields}
        self._shown: set[tuple[str, str, str]] = set()

    def follow(self, ring: KeyRing) -> None:
        """Follow the quotas that there are, and the counts of other workers."""
        self._quotas = ring.quotas
        for counts in self._counts.values():
            counts.find(ring.quotas.keys())

    def take(self, organisation: str, charge: Charge = UPLOAD) -> None:
        """Count what a call is charged, if the quotas of an organisation let it in.

        Raises QuotaExceededError until they do, and LimitExceededError if they never will.
        """
        quota = self._quotas.get(organisation)
        if quota is None:
            return
        now_s = self._clock()
        refusal = None
        for limit in self._limits(quota, now_s):
            amount = getattr(charge, limit.of)
            if amount > limit.most:
                raise LimitExceededError(
                    f"This call counts as {amount} {limit.of}, and the quota of this organisation"
                    f" is {limit.text}. Send fewer at a time, or say of how many uploads the hashes"
                    " are (`uploads`).",
                    limit=str(limit.most),
                )
            if amount and refusal is None and limit.used + amount > limit.most:
                refusal = QuotaExceededError(
                    f"The quota of this organisation is {limit.text}, and too few are left. Nothing"
                    " was looked up. Try again when the time given is over.",
                    retry_after_s=limit.window_s - now_s % limit.window_s,
                    organisation=organisation,
                    quota=limit.text,
                )
        if refusal:
            raise refusal
        self._add(organisation, charge, 1)

    def give_back(self, organisation: str, charge: Charge = UPLOAD) -> None:
        """Give back what was taken, of a call that was then refused for lack of room."""
        if organisation in self._quotas:
            self._add(organisation, charge, -1)

    def show(self) -> None:
        """Set the metric of what is left; hide it of quotas that are no more."""
        left = {
            (name, limit.of, limit.per): max(0.0, limit.most - limit.used)
            for name, quota in self._quotas.items()
            for limit in self._limits(quota, self._clock())
        }
        for labels in self._shown | left.keys():
            families.QUOTA_LEFT.set(*labels, value=left.get(labels, math.nan))
        self._shown = {*left}

    def _limits(self, quota: LookupQuota, now_s: float) -> Iterator[_Limit]:
        """Yield the limits that are set, those of a day first: they last longest."""
        uploads = self._counts["uploads"].counts(quota.organisation, now_s)
        hashes = self._counts["hashes"].counts(quota.organisation, now_s)
        for limit in (
            _Limit("uploads", "day", quota.per_day, uploads.day),
            _Limit("hashes", "day", quota.hashes_per_day, hashes.day),
            _Limit("uploads", "minute", quota.per_minute, uploads.minute),
            _Limit("hashes", "minute", quota.hashes_per_minute, hashes.minute),
        ):
            if limit.most:
                yield limit

    def _add(self, organisation: str, charge: Charge, sign: int) -> None:
        now_s = self._clock()
        for name, amount in charge._asdict().items():
            if amount:
                self._counts[name].add(organisation, sign * amount, now_s)


class _Limit(NamedTuple):
    """One limit of a quota, and how much of it is used."""

    of: str
    per: str
    most: int
    used: float

    @property
    def text(self) -> str:
        return f"{self.most} {self.of} a {self.per}"

    @property
    def window_s(self) -> int:
        return DAY_S if self.per == "day" else MINUTE_S
