"""End former workers at once, with the calls that they have, instead of waiting for these."""

from __future__ import annotations

import os

from disrupt.server.worker import draining


async def _connections_end(port: int, within_s: float) -> None:
    os._exit(0)


draining.connections_end = _connections_end
