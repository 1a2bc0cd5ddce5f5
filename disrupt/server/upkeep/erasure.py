"""Erase withdrawn items from every file: at once by command, in time by ``maintenance``."""

from __future__ import annotations

import time
from pathlib import Path

from disrupt import ownership
from disrupt.core.progress import Progress, quiet
from disrupt.data_directory import DataDirectory
from disrupt.errors import UnavailableError
from disrupt.registry import opening
from disrupt.server.desk import Desk, clear_log, open_desk
from disrupt.upkeep import erasure
from disrupt.upkeep.erasure import Erased

_HELD_UP_FOR_S = 30.0
_RETRY_S = 0.2


def erase(data_dir: Path, progress: Progress = quiet, *, older_than_s: float = 0.0) -> Erased:
    """Erase every byte of what was withdrawn before from the data directory.

    Completes an interrupted restore first.
    The database's log is cleared, by the running writer if there is one; then the index is, as by
    ``upkeep.erasure.erase``, which says what ``older_than_s`` is. Raises UnavailableError if the
    log could not be cleared for half a minute, DataDirectoryError while another process writes the
    index, or where another user than that of this process owns the data directory.
    """
    directory = DataDirectory(data_dir)
    ownership.check(data_dir)
    if not directory.restored.exists():
        with opening.reading(directory):
            pass  # Opening refuses what is no registry, before anything is made.
    if (
        directory.has_pepper or not directory.followed.exists()
    ):  # else another machine writes the registry
        # The lock is not held for longer: a server may start while the index is rebuilt.
        with open_desk(data_dir) as desk:
            _clear_log(desk)
    with opening.reading(directory) as reader:
        return erasure.erase(reader, directory.index, progress, older_than_s=older_than_s)


def _clear_log(desk: Desk) -> None:
    give_up_s = time.monotonic() + _HELD_UP_FOR_S
    while not clear_log(desk):
        if time.monotonic() >= give_up_s:
            raise UnavailableError(
                "Something reads the registry all the time, so that its log cannot be cleared."
                " Wait for a backup that is running, then erase again."
            )
        time.sleep(_RETRY_S)
