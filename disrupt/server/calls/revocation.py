"""End calls that may last: when their key is revoked, and when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from disrupt.core.policy import ApiKey
from disrupt.errors import UnauthenticatedError, UnavailableError
from disrupt.services.keys import KeyRing


class OpenCalls:
    """The open calls of one worker, with their keys. For its event loop alone."""

    def __init__(self) -> None:
        """Start with none."""
        self._keys: dict[asyncio.Timeout, ApiKey] = {}
        self._streams: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def while_valid(self, key: ApiKey) -> AsyncIterator[None]:
        """Run a call of ``key``, and end it with UnauthenticatedError once that is revoked."""
        try:
            async with asyncio.timeout(None) as call:
                self._keys[call] = key
                try:
                    yield
                finally:
                    del self._keys[call]
        except TimeoutError:
            if call.expired():
                raise UnauthenticatedError("This key was revoked during the call.") from None
            raise

    @asynccontextmanager
    async def while_serving(self) -> AsyncIterator[None]:
        """Answer a call in a stream, and end it with UnavailableError at ``end_streams``."""
        try:
            async with asyncio.timeout(None) as call:
                self._streams.add(call)
                try:
                    yield
                finally:
                    self._streams.discard(call)
        except TimeoutError:
            if call.expired():
                raise UnavailableError(
                    "This server is being stopped or replaced. Call again.", retry_after_s=1.0
                ) from None
            raise

    def end_streams(self) -> None:
        """End all calls that are answered in streams: they might go on for ever."""
        for call in self._streams:
            _end(call)

    def end_revoked(self, ring: KeyRing) -> None:
        """End the calls whose keys are not in ``ring``."""
        for call, key in self._keys.items():
            try:
                ring.still(key)
            except UnauthenticatedError:
                _end(call)


def _end(call: asyncio.Timeout) -> None:
    if not call.expired():  # it may be ending already
        call.reschedule(asyncio.get_running_loop().time())
