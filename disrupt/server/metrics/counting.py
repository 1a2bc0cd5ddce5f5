"""What a worker counts of its calls, in its row, and logs of some of them."""

from __future__ import annotations

import random

import numpy as np
import structlog
from numpy.typing import NDArray

from disrupt.core.organisations import Kind as Quota
from disrupt.core.outcomes import Outcome
from disrupt.server.admission.shares import Counts, Resource
from disrupt.server.calls.interceptors import caller
from disrupt.server.metrics import families
from disrupt.server.metrics.figures import Row

_log = structlog.get_logger(__name__)


class Counting(Counts):
    """Count calls, what callers take and are refused, and matches."""

    def __init__(self, row: Row, logged_share: float = 0.0) -> None:
        """Count in the row of this process; log this share of calls, drawn at random, 0-1."""
        self._row = row
        self._logged_share = logged_share

    def called(self, path: str, outcome: str, took_s: float) -> None:
        """Count a call that has ended; ``outcome`` as of ``interceptors.Called``."""
        method, outcome = families.method_of(path), families.outcome_of(outcome)
        self._row.observe(families.CALLS, method, outcome, value_s=took_s)
        if random.random() < self._logged_share:  # noqa: S311 nobody gains by guessing
            key = caller.get(None)
            _log.info(
                "call",
                method=method,
                outcome=outcome,
                took_ms=round(1000 * took_s, 3),
                key_id=key.key_id if key else "",
            )

    def charged(self, kind: Quota, place: int, amount: float) -> None:
        """Count what a caller had looked up."""
        self._row.add(families.LOOKED_UP, families.kind_of(kind), place, amount=amount)

    def refused(self, of: Resource | Quota, place: int) -> None:
        """Count a refusal of a resource, or of a quota."""
        self._row.add(families.REFUSED, families.refusal_of(of), place)

    def reported(self, outcome: Outcome, place: int) -> None:
        """Count an outcome that a caller reported."""
        self._row.add(families.REPORTS, outcome.name.lower(), place)

    def matched(self, banks: NDArray[np.uint16], distance_bits: NDArray[np.uint16]) -> None:
        """Count matches: uint16 (n,) each, the bank's number and the distance in bits."""
        pairs = np.stack([banks, distance_bits // families.BAND_BITS])
        for (bank, band), count in zip(
            *np.unique(pairs.T, axis=0, return_counts=True), strict=True
        ):
            name = families.BANDS[min(int(band), len(families.BANDS) - 1)]
            self._row.add(families.MATCHES, int(bank) % families.BANKS_MAX, name, amount=int(count))
