"""Maintain the index beside serving: erase in time, compact after many changes.

The supervisor starts a process for it now and then, so that it takes nothing from those that
serve. It ends with the supervisor; what it leaves half done, the next one does again.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sys
import time
from collections.abc import Awaitable, Callable

import structlog

from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.registry import opening
from disrupt.registry.registry import RegistryReader
from disrupt.server.config import Config
from disrupt.server.edge.serving import COMPACT, tell_supervisor
from disrupt.server.metrics import families
from disrupt.server.upkeep import erasure
from disrupt.upkeep.compaction import compact, is_due

_LOOKS = 24
"""Number of checks for withdrawn items to erase, within ``erase_within_h``."""
_SPARE_LOOKS = 4
"""Checks before the end of that time at which withdrawn items are erased already."""
_FIRST_LOOK_S = 300.0
"""Time of the first check after the start, so that a server that restarts often erases too."""

_COUNT_S = 2.0
"""Pause between two counts of the changes."""
_REST_S = 60.0
"""Pause after each process, so that one that fails is not started all the time."""
_H = 3600.0
LONGEST_S = _H
"""A process that takes longer hangs, and is killed: the next one finishes its work."""
_NICE = 5

_log = structlog.get_logger(__name__)


async def run_when_due(
    config: Config, start: Callable[[], Awaitable[int]], compact: asyncio.Event, stop: asyncio.Event
) -> None:
    """Have ``start`` run a process whenever one is due, until ``stop``.

    One is due as often as the time for erasure asks, and when ``compact`` is set. ``start`` returns
    the exit code.
    """
    pause_s = config.erase_within_h * _H / _LOOKS
    look_s = time.monotonic() + min(pause_s, _FIRST_LOOK_S)
    while not await _stopped(stop, _COUNT_S):
        if time.monotonic() < look_s and not compact.is_set():
            continue
        look_s = time.monotonic() + pause_s
        families.MAINTENANCE_STARTED.set(value=time.time())
        code = await start()
        families.MAINTENANCE_STARTED.set(value=math.nan)
        if code and not stop.is_set():
            _log.error("process_died", died="maintenance", code=code)
        await _stopped(stop, min(_REST_S, pause_s))
        compact.clear()


async def request_compaction(config: Config, reader: RegistryReader) -> None:
    """Tell the supervisor, from the writer, when the index is to be compacted, until cancelled."""
    index = DataDirectory(config.data_dir).index
    while True:
        await asyncio.sleep(_COUNT_S)
        with contextlib.suppress(DisruptError, OSError):  # the workers log what is wrong
            if await asyncio.to_thread(is_due, reader, index, config.compact_after_hashes):
                tell_supervisor(COMPACT)


async def run(config: Config) -> None:
    """Erase and compact where due. Raises SystemExit where something failed."""
    os.nice(_NICE)  # lookups go first
    done = True
    for failed, task in (("erasure_failed", _erase), ("compaction_failed", _compact)):
        try:
            await asyncio.to_thread(task, config)
        except DisruptError as error:
            _log.error(failed, reason=error.message)
            done = False
    if not done:
        sys.exit(1)


def _erase(config: Config) -> None:
    older_than_s = config.erase_within_h * _H * (_LOOKS - _SPARE_LOOKS) / _LOOKS
    erasure.erase(config.data_dir, older_than_s=older_than_s)


def _compact(config: Config) -> None:
    directory = DataDirectory(config.data_dir)
    with opening.reading(directory) as reader:
        if is_due(reader, directory.index, config.compact_after_hashes):
            compact(reader, directory.index)


async def _stopped(stop: asyncio.Event, within_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), within_s)
    return stop.is_set()
