"""End calls that may last: when their key allows less, and when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from disrupt.core.policy import ApiKey
from disrupt.errors import DisruptError, UnauthenticatedError, UnavailableError
from disrupt.services.keys import KeyRing


@dataclass(slots=True)
class _Open:
    key: ApiKey
    refusal: DisruptError | None = None


class OpenCalls:
    """The open calls of one worker, with their keys. For its event loop alone."""

    def __init__(self) -> None:
        """Start with none."""
        self._open: dict[asyncio.Timeout, _Open] = {}
        self._streams: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def while_valid(self, key: ApiKey) -> AsyncIterator[None]:
        """Run a call of ``key``, and end it once that allows less.

        Raises UnauthenticatedError where the key is not valid any more, and UnavailableError where
        it lost a right or a bank, so that a call that it still allows is sent again.
        """
        opened = _Open(key)
        try:
            async with asyncio.timeout(None) as call:
                self._open[call] = opened
                try:
                    yield
                finally:
                    del self._open[call]
        except TimeoutError:
            if opened.refusal is not None:
                raise opened.refusal from None
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

    def end_changed(self, ring: KeyRing) -> None:
        """End the calls whose keys are not in ``ring``, or allow less there."""
        for call, opened in self._open.items():
            if opened.refusal is not None:  # it is ending already
                continue
            opened.refusal = _refusal(ring, opened.key)
            if opened.refusal is not None:
                _end(call)


def _end(call: asyncio.Timeout) -> None:
    if not call.expired():  # it may be ending already
        call.reschedule(asyncio.get_running_loop().time())


def _refusal(ring: KeyRing, key: ApiKey) -> DisruptError | None:
    try:
        now = ring.still(key)
    except UnauthenticatedError:
        return UnauthenticatedError("This key was revoked, or expired, during the call.")
    if (
        key.rights <= now.rights
        and key.banks <= now.banks
        and key.distance_bands >= now.distance_bands
    ):
        return None
    return UnavailableError("This key was changed during the call. Send the call again.")
