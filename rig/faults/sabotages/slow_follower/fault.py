"""Let workers look at the registry every three seconds only."""

from __future__ import annotations

from typing import Any

from disrupt.data_directory import DataDirectory
from disrupt.registry.registry import RegistryReader
from disrupt.server.worker.state import WorkerState

_start = WorkerState.__init__


def _start_slowly(
    self: WorkerState,
    reader: RegistryReader,
    directory: DataDirectory,
    interval_s: float,
    stale_s: float,
    **options: Any,
) -> None:
    _start(self, reader, directory, max(interval_s, 3.0), stale_s, **options)


WorkerState.__init__ = _start_slowly  # type: ignore[method-assign]
