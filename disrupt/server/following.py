"""What a worker follows of the registry: the index, and the keys and banks that are valid now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from disrupt.core.policy import ApiKey
from disrupt.errors import DisruptError, UnauthenticatedError
from disrupt.feed.follower import Follower
from disrupt.index.live import LiveIndex
from disrupt.registry.contract import RegistryReader
from disrupt.server.directory import DataDirectory
from disrupt.services.keys import KeyRing

_WAITING_MAX = 32
"""Unknown keys at once that wait for the next look at the registry."""

_log = structlog.get_logger(__name__)


class Following:
    """Live index and keys of one worker, kept level by one thread beside the event loop."""

    def __init__(self, reader: RegistryReader, directory: DataDirectory, interval_s: float) -> None:
        self.live = LiveIndex()
        self.ring = KeyRing()
        self._reader = reader
        self._follower = Follower(reader, self.live, directory.index)
        self._interval_s = interval_s
        self._looked = asyncio.Event()
        self._waiting = 0
        self._fault = ""

    def look(self) -> None:
        """One look at the registry: keys and banks, then changes and snapshots."""
        try:
            self.ring = KeyRing(self._reader.keys(), self._reader.banks())
        except DisruptError as error:
            if error.message != self._fault:  # at the beginning of a fault, not at every look
                _log.error("keys_unreadable", reason=error.message)
            self._fault = error.message
        else:
            self._fault = ""
        self._follower.step()

    async def run(self, looked: Callable[[], Awaitable[None]]) -> None:
        """Looks again and again until cancelled; ``looked`` is called after each look."""
        while True:
            await asyncio.to_thread(self.look)
            await looked()
            waiting, self._looked = self._looked, asyncio.Event()
            waiting.set()
            await asyncio.sleep(self._interval_s)

    def lag_s(self) -> float:
        """As ``Follower.behind_s``, now."""
        return self._follower.behind_s(time.monotonic())

    async def authenticate(self, secret: str) -> ApiKey:
        """The key with this secret, or UnauthenticatedError.

        One that is not known may have been made a moment ago: it is looked for once more after the
        next look at the registry.
        """
        try:
            return self.ring.authenticate(secret)
        except UnauthenticatedError:
            if self._waiting >= _WAITING_MAX:
                raise
        self._waiting += 1
        try:
            # two looks: the one under way may have read the keys before
            for _ in range(2):
                await self._looked.wait()
        finally:
            self._waiting -= 1
        return self.ring.authenticate(secret)
