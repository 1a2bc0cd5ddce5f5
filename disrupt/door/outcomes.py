"""Report what was blocked; outcomes wait in a file while the hotline is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import structlog

from disrupt.core.outcomes import MatchOutcome
from disrupt.door.hotline import Hotline
from disrupt.door.metrics import Metrics
from disrupt.durable_queue import DurableQueue
from disrupt.errors import (
    ConfigurationError,
    DisruptError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)

WAITING_MAX = 100_000
"""Most outcomes that wait; the oldest are lost beyond."""
_PAUSE_S = 30.0
"""Time between two tries while the hotline is away."""

_log = structlog.get_logger(__name__)


class Outcomes:
    """A queue of match ids to report as BLOCKED, each written before the upload is answered.

    Match ids are opaque, and refused by the hotline once their items are withdrawn.
    """

    def __init__(self, path: Path, metrics: Metrics) -> None:
        """Open or make the file. Raises ConfigurationError where that cannot be."""
        try:
            self._queue = DurableQueue(path, entries_max=WAITING_MAX)
        except UnavailableError as error:
            raise ConfigurationError(
                f"Check --state-dir. {error.message}", setting="state_dir"
            ) from error
        self._metrics = metrics
        self._new = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._queue.__exit__(*error)

    @property
    def waiting(self) -> int:
        """Number of outcomes that were not sent yet."""
        return len(self._queue)

    def add(self, match_ids: Iterable[bytes]) -> None:
        """Queue matches that were blocked; on disk when it returns, or lost and counted."""
        entries = list(match_ids)
        if not entries:
            return
        try:
            lost = self._queue.add(entries)
        except UnavailableError as error:  # the upload is refused all the same
            lost = len(entries)
            _log.error("outcomes_not_queued", problem=error.message)
        self._metrics.outcomes.labels("lost").inc(lost)
        self._new.set()

    async def send(self, hotline: Hotline) -> None:
        """Send what waits and what comes, until cancelled."""
        while True:
            self._new.clear()
            try:
                is_done = await self._send_waiting(hotline)
            except UnavailableError as error:  # of the queue: the hotline's are caught below
                _log.error("outcomes_not_read", problem=error.message)
                is_done = False
            await (self._new.wait() if is_done else asyncio.sleep(_PAUSE_S))

    async def _send_waiting(self, hotline: Hotline) -> bool:
        """Send all; tell whether none is left that has to be tried again."""
        for match_id in self._queue.entries():
            try:
                await hotline.report_outcome(match_id, MatchOutcome.BLOCKED)
                result = "sent"
            except (NotFoundError, InvalidRequestError):
                result = "dropped"
            except DisruptError as error:
                _log.warning("outcomes_wait", reason=error.reason, waiting=self.waiting)
                return False
            self._queue.remove(match_id)
            self._metrics.outcomes.labels(result).inc()
        return True
