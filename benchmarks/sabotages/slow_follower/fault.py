"""Let workers look at the registry every three seconds only."""

from __future__ import annotations

from disrupt.data_directory import DataDirectory
from disrupt.registry.contract import RegistryReader
from disrupt.server.following import Following
from disrupt.services.far_lookups import SeenLookups

_start = Following.__init__


def _start_slowly(
    self: Following,
    reader: RegistryReader,
    directory: DataDirectory,
    interval_s: float,
    stale_s: float,
    seen: SeenLookups,
) -> None:
    _start(self, reader, directory, max(interval_s, 3.0), stale_s, seen)


Following.__init__ = _start_slowly  # type: ignore[method-assign]
