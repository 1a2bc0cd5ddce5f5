"""Start a server anew when it ends, as a service manager does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from rig.servers.deployment import CommandFailedError, Deployment

_RESTART_S = 0.1
"""Pause before a start, as of systemd's RestartSec."""


class Kept:
    """A context: a server that is started anew when it ends, as a service manager does."""

    def __init__(self, start: Callable[[], Deployment]) -> None:
        self._start, self._ending = start, threading.Event()
        self.server, self.starts = start(), 1
        self._keeper = threading.Thread(target=self._keep)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._keeper.join()
        self.server.kill()

    def _keep(self) -> None:
        while not self._ending.wait(0.02):
            if self.server.process.poll() is None:
                continue
            if self.server.process.stdout:
                self.server.process.stdout.close()
            while not self._ending.wait(_RESTART_S):
                self.starts += 1
                with suppress(CommandFailedError, OSError):
                    self.server = self._start()
                    break
