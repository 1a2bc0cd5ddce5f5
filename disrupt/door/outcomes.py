"""Report what was blocked; outcomes wait in a file while the hotline is away."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Self

import structlog

from disrupt.core.outcomes import MatchOutcome
from disrupt.door.hotline import Hotline
from disrupt.door.metrics import Metrics
from disrupt.errors import ConfigurationError, DisruptError, InvalidRequestError, NotFoundError

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
            self._file = sqlite3.connect(path, isolation_level=None)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.execute("PRAGMA secure_delete = ON")
            self._file.execute("CREATE TABLE IF NOT EXISTS blocked (match_id BLOB PRIMARY KEY)")
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"The queue of outcomes in --state-dir cannot be used: {error}.",
                setting="state_dir",
            ) from error
        self._metrics = metrics
        self._new = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def waiting(self) -> int:
        """Number of outcomes that were not sent yet."""
        return int(self._file.execute("SELECT count(*) FROM blocked").fetchone()[0])

    def add(self, match_ids: Iterable[bytes]) -> None:
        """Queue matches that were blocked; on disk when it returns, or lost and counted."""
        rows = [(match_id,) for match_id in match_ids]
        if not rows:
            return
        try:
            with self._file:
                self._file.execute("BEGIN IMMEDIATE")
                self._file.executemany("INSERT OR IGNORE INTO blocked VALUES (?)", rows)
                lost = max(0, self.waiting - WAITING_MAX)
                self._file.execute(
                    "DELETE FROM blocked WHERE rowid IN"
                    " (SELECT rowid FROM blocked ORDER BY rowid LIMIT ?)",
                    (lost,),
                )
        except sqlite3.Error as error:  # the upload is refused all the same
            lost = len(rows)
            _log.error("outcomes_not_queued", problem=str(error))
        self._metrics.outcomes.labels("lost").inc(lost)
        self._new.set()

    async def send(self, hotline: Hotline) -> None:
        """Send what waits and what comes, until cancelled."""
        while True:
            self._new.clear()
            try:
                is_done = await self._send_waiting(hotline)
            except sqlite3.Error as error:
                _log.error("outcomes_not_read", problem=str(error))
                is_done = False
            await (self._new.wait() if is_done else asyncio.sleep(_PAUSE_S))

    async def _send_waiting(self, hotline: Hotline) -> bool:
        """Send all; tell whether none is left that has to be tried again."""
        with closing(self._file.execute("SELECT match_id FROM blocked ORDER BY rowid")) as waiting:
            match_ids = [match_id for (match_id,) in waiting]
        for match_id in match_ids:
            try:
                await hotline.report_outcome(match_id, MatchOutcome.BLOCKED)
                result = "sent"
            except (NotFoundError, InvalidRequestError):
                result = "dropped"
            except DisruptError as error:
                _log.warning("outcomes_wait", reason=error.reason, waiting=self.waiting)
                return False
            self._file.execute("DELETE FROM blocked WHERE match_id = ?", (match_id,))
            self._metrics.outcomes.labels(result).inc()
        return True
