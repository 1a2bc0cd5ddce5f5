"""Look, in the writer, at what the disk holds: room, withdrawn bytes, states of items, backups."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import suppress

from disrupt.core.states import ItemState
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.index import generations
from disrupt.registry import backup
from disrupt.registry.registry import RegistryReader
from disrupt.server.config import Config
from disrupt.server.metrics import families
from disrupt.upkeep import erasure

LOOK_S = 10.0
"""Pause between two looks."""

_H = 3600.0


class Storage:
    """The state of the disk as of the last look."""

    def __init__(
        self, config: Config, reader: RegistryReader, uncleared_s: Callable[[], float] | None = None
    ) -> None:
        """``uncleared_s`` is that of the RegistryWriter; None where others write."""
        self._config = config
        self._uncleared_s = uncleared_s
        self._directory = DataDirectory(config.data_dir)
        self._reader = reader
        self._within_s = config.erase_within_h * _H
        self._clean_s: float | None = None
        """Begin of the last look that found nothing withdrawn, of ``_now_s``."""
        self.erasure_late_s = 0.0
        """Time since withdrawn bytes should have been erased; 0 where they are in time."""

    async def look(self) -> None:
        """Look once, in a thread, and set the metrics."""
        families.ERASE_WITHIN.set(value=self._within_s)
        with suppress(OSError):
            usage = await asyncio.to_thread(shutil.disk_usage, self._directory.path)
            families.DISK_FREE.set(value=usage.free)
            unfinished_s = await asyncio.to_thread(generations.unfinished_s, self._directory.index)
            families.INDEX_UNFINISHED.set(value=unfinished_s)
        with suppress(DisruptError, OSError):  # workers and doctor say what is wrong
            oldest_s = await asyncio.to_thread(self._oldest_withdrawn_s)
            if self._uncleared_s:
                oldest_s = max(oldest_s, await asyncio.to_thread(self._uncleared_s))
            families.OLDEST_WITHDRAWN.set(value=oldest_s)
            self.erasure_late_s = max(oldest_s - self._within_s, 0.0)
            counts = await asyncio.to_thread(self._reader.count_states)
            for state in ItemState:
                if state != ItemState.LIVE:
                    families.ITEMS.set(state.name.lower(), value=counts.get(state, 0))
            disputed = await asyncio.to_thread(self._reader.count_disputes)
            for reason, count in disputed.items():
                families.DISPUTES.set(reason, value=count)
        if self._config.backups_dir is not None:
            families.BACKUP_TIME.set(value=await asyncio.to_thread(self._newest_backup_s))

    def _oldest_withdrawn_s(self) -> float:
        """Return a bound on the age of the oldest withdrawn byte; 0 without any.

        What is there now was withdrawn since the last look that found nothing: a generation that is
        older than ``erase_within_h`` may hold what was withdrawn a moment ago.
        """
        began_s = _now_s()
        oldest_s = erasure.oldest_withdrawn_s(self._reader, self._directory.index)
        if not oldest_s:
            self._clean_s = began_s
        elif self._clean_s is not None:
            oldest_s = min(oldest_s, _now_s() - self._clean_s)
        return oldest_s

    def _newest_backup_s(self) -> float:
        try:
            path = self._config.backups_dir and backup.newest(self._config.backups_dir)
            return backup.read_manifest(path).made_s if path else 0.0
        except (DisruptError, OSError):
            return 0.0


def _now_s() -> float:
    """Return the time of a clock that nobody sets, and that goes on in a suspended machine."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
