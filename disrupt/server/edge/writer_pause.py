"""Hold relayed calls while one writer ends and the next begins, so that none of them fails."""

from __future__ import annotations

import asyncio
import mmap
from contextlib import suppress

from grpc import aio

from disrupt.server.metrics import families

_LOOK_S = 0.01
LONGEST_S = 10.0
"""Time after which calls go on, and fail if there is no writer."""


class WriterPause:
    """A flag that the supervisor sets and workers see: make it before they are forked."""

    def __init__(self) -> None:
        """Start without a pause."""
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    def begin(self) -> None:
        """Hold calls from now on."""
        self._memory[0] = 1

    def end(self) -> None:
        """Let calls go on."""
        self._memory[0] = 0

    @property
    def is_on(self) -> bool:
        """Tell whether there is a pause."""
        return bool(self._memory[0])

    async def over(self, writer: aio.Channel) -> None:
        """Wait until there is no pause, and the channel to the new writer is connected."""
        if not self.is_on:
            return
        families.HELD.add()
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_S):
                while self.is_on:  # noqa: ASYNC110 it is another process's
                    await asyncio.sleep(_LOOK_S)
                await writer.channel_ready()
