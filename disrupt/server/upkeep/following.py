"""Make the steps of feed.node.Node beside calls: by a node, or by a writer of PostgreSQL."""

from __future__ import annotations

import asyncio
import time

import structlog

from disrupt.errors import DisruptError
from disrupt.feed.node import Node

_RETRY_S = 2.0
"""Pause after a step that failed: the registry cannot be read, or may not be followed."""

_log = structlog.get_logger(__name__)


class Following:
    """Makes the steps of a Node in threads; logs a fault when it begins."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._fault = ""
        self._level_s = time.monotonic()

    async def step(self) -> None:
        """Follow once. Waits a while where that failed."""
        began_s = time.monotonic()
        try:
            await asyncio.to_thread(self._node.step)
        except (DisruptError, OSError) as error:
            if str(error) != self._fault:
                _log.error("node_fault", reason=str(error))
            self._fault = str(error)
            await asyncio.sleep(_RETRY_S)
        else:
            self._level_s, self._fault = began_s, ""

    def lag_ms(self) -> int:
        """Return an upper bound on the age of the oldest removal that is not listed, in ms."""
        return round(1000 * (time.monotonic() - self._level_s))
