"""Erasing what was withdrawn from every file: by command at once, in time by the server itself."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

import structlog

from disrupt.errors import UnavailableError
from disrupt.feed import erasure
from disrupt.feed.erasure import Erased
from disrupt.feed.walk import Progress, quiet
from disrupt.registry.sql import SqlRegistry
from disrupt.server.administration import Administration, administration
from disrupt.server.config import Config
from disrupt.server.directory import DataDirectory

_HELD_UP_FOR_S = 30.0
_RETRY_S = 0.2

_LOOKS = 24
"""How often to look, in the time allowed; what is that old but for four looks is erased."""
_SPARE_LOOKS = 4
_FIRST_LOOK_S = 300.0
"""A server that is restarted often must look too."""
_H = 3600.0

_log = structlog.get_logger(__name__)


def erase(data_dir: Path, progress: Progress = quiet, *, older_than_s: float = 0.0) -> Erased:
    """Leaves no byte of what was withdrawn before in any file of the data directory.

    The database's log is cleared, by the running writer if there is one; then the index is, see
    ``feed.erasure.erase``, also for ``older_than_s``. UnavailableError if the log could not be
    cleared for half a minute, DataDirectoryError while another process writes the index.
    """
    directory = DataDirectory(data_dir)
    with SqlRegistry.open_reader(directory.registry) as reader:
        # The lock is not held for longer: a server may start while the index is rebuilt.
        with administration(data_dir) as admin:
            _clear_log(admin)
        return erasure.erase(reader, directory.index, progress, older_than_s=older_than_s)


def _clear_log(admin: Administration) -> None:
    give_up_s = time.monotonic() + _HELD_UP_FOR_S
    while not admin.checkpoint().done:
        if time.monotonic() >= give_up_s:
            raise UnavailableError(
                "Something reads the registry all the time, so that its log cannot be cleared."
                " Wait for a backup that is running, then erase again."
            )
        time.sleep(_RETRY_S)


async def erase_in_time(config: Config, stop: asyncio.Event) -> None:
    """Keeps what was withdrawn from staying on disk longer than the configuration allows.

    Looks now and then until ``stop``, in a process of its own, so that a rebuild takes nothing from
    a server's processes. What fails is logged, and tried again at the next look.
    """
    pause_s = config.erase_within_h * _H / _LOOKS
    older_than_h = config.erase_within_h * (_LOOKS - _SPARE_LOOKS) / _LOOKS
    next_s = min(pause_s, _FIRST_LOOK_S)
    while not await _stopped(stop, next_s):
        next_s = pause_s
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "disrupt", "erase", "--data-dir", config.data_dir),
            *("--older-than-h", str(older_than_h)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        ended = asyncio.create_task(process.communicate())
        while not ended.done() and not await _stopped(stop, _RETRY_S):
            pass
        if stop.is_set():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        _, said = await ended
        if process.returncode and not stop.is_set():
            _log.error("erasure_failed", code=process.returncode, reason=said.decode().strip())


async def _stopped(stop: asyncio.Event, within_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), within_s)
    return stop.is_set()
