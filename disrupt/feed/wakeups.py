"""Hear of commits to a registry in PostgreSQL: a hint beside polling, for whoever follows it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.registry import opening

_WAIT_S = 60.0
_RETRY_S = 1.0
"""Pause after the connection was lost: polling goes on."""


def wake_at_commits(directory: DataDirectory, wake: Callable[[], None]) -> None:
    """Call ``wake`` in the running event loop soon after each commit, from now on.

    Does nothing where the registry is in SQLite.
    """
    if directory.registry_url is None:
        return
    loop = asyncio.get_running_loop()

    def listen() -> None:
        with suppress(RuntimeError):  # the loop has ended, and the process is about to
            while True:
                with suppress(DisruptError), opening.wakeups(directory) as wait:
                    while True:
                        if wait(_WAIT_S):
                            loop.call_soon_threadsafe(wake)
                time.sleep(_RETRY_S)

    threading.Thread(target=listen, name="wakeups", daemon=True).start()
