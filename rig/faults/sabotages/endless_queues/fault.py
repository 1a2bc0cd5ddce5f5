"""Let all pictures and videos wait that come, however long that takes."""

from __future__ import annotations

from disrupt.server.config import Config
from disrupt.server.edge import limits
from disrupt.server.edge.shares import Capacities, Resource

_ENDLESS = 1_000_000

_capacities = limits.capacities


def _endless(config: Config) -> Capacities:
    return _capacities(config) | {Resource.PICTURES: _ENDLESS, Resource.VIDEOS: _ENDLESS}


limits.capacities = _endless
limits.by_delay = lambda *_: lambda: _ENDLESS
