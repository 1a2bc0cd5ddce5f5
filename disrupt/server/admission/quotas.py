"""Bound what an organisation takes over time, of the whole server, without locks.

The arithmetic is the generic cell rate algorithm (ITU-T I.371), in the form of a queue: each amount
is a time that it has to be served for, at the organisation's rate. The debt is how far the times
that were asked for run ahead of those that have passed. Whoever owes at most ``BURST_NS`` is let
in, and then owes what it takes, however much: so a large batch is never refused for good, and on
average nobody gets more than its rate.

The workers share the figures. Each writes two of its own for an organisation and kind, and reads
those of all: the time that it let in altogether, and the latest ``slack``, which is the clock less
the time that all have let in. The debt is the greatest slack there ever was less the present one.
Nobody adds to another's figure, so nothing is lost where two decide at once, or one is killed
(docs/decisions/0035).
"""

from __future__ import annotations

import math
import mmap
import time
from collections.abc import Callable

import structlog

from disrupt.core.organisations import Kind
from disrupt.errors import QuotaExceededError, UsedQuota

BURST_NS = 10 * 10**9
"""Time whose amount may be taken at once: ten seconds' worth, for callers that come in batches."""

_NS = 10**9
_MOST_NS = 2**62
"""Most that a worker counts as let in, 146 years: a figure has 63 bits, and a rate no least one."""
_REPORTED_EVERY_NS = 60 * _NS
_KINDS = tuple(Kind)
_FIGURE_BYTES = 8

_NOUNS = {
    Kind.HASHES: "hashes looked up",
    Kind.PICTURES: "pictures decoded",
    Kind.VIDEO_MIB: "MiB of videos decoded",
}

_log = structlog.get_logger(__name__)


class Meters:
    """The figures of all workers, in memory that processes share once they are forked.

    A worker's stay when it ends, and the one that takes its place goes on with them.
    """

    def __init__(self, places: int, rows: int) -> None:
        """Allocate the memory; call this before forking."""
        self.rows = rows
        size = places * len(_KINDS) * 2 * rows * _FIGURE_BYTES
        self._figures = memoryview(mmap.mmap(-1, size)).cast("q")

    def figures(self, place: int, kind: Kind) -> tuple[memoryview, memoryview]:
        """Return the times let in, and the greatest slacks seen, by row, in ns."""
        at = (place * len(_KINDS) + _KINDS.index(kind)) * 2 * self.rows
        return (
            self._figures[at : at + self.rows],
            self._figures[at + self.rows : at + 2 * self.rows],
        )


class Meter:
    """The quota of one organisation and kind, as one worker sees it. For its event loop alone."""

    __slots__ = ("_clock", "_kind", "_let_in", "_name", "_reported_ns", "_row", "_slacks", "rate")

    def __init__(
        self,
        figures: tuple[memoryview, memoryview],
        row: int,
        organisation: str,
        kind: Kind,
        rate: float,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """``rate`` is the amount a second; ``clock`` is one of all workers, in ns."""
        self._let_in, self._slacks = figures
        self._row = row
        self._name = organisation
        self._kind = kind
        self._clock = clock
        self._reported_ns = -_REPORTED_EVERY_NS
        self.rate = rate

    def check(self) -> None:
        """Raise QuotaExceededError where more is owed than a burst."""
        now_ns = self._clock()  # first: a worker that is held up here would see a debt too small
        slack = now_ns - sum(self._let_in)
        greatest = max(self._slacks)
        if slack > greatest:
            greatest = self._slacks[self._row] = slack
        over_ns = greatest - slack - BURST_NS
        if over_ns > 0:
            raise self._refusal(over_ns, now_ns)

    def charge(self, amount: float) -> None:
        """Count what was let in, just checked."""
        owed_ns = self._let_in[self._row] + math.ceil(min(amount * _NS / self.rate, _MOST_NS))
        self._let_in[self._row] = min(owed_ns, _MOST_NS)

    def _refusal(self, over_ns: int, now_ns: int) -> QuotaExceededError:
        limit = f"{self.rate:g} {_NOUNS[self._kind]} a second"
        if now_ns - self._reported_ns >= _REPORTED_EVERY_NS:
            self._reported_ns = now_ns
            _log.warning("quota_used_up", organisation=self._name, limit=limit)
        return QuotaExceededError(
            f"Your organisation's quota is used up: {limit}, on average. Nothing was done. Try"
            " again when the time given is over, or ask the operator for more.",
            quotas=(UsedQuota(f"organisation:{self._name}", limit),),
            retry_after_s=math.ceil(over_ns / 10**6) / 1000,
        )
