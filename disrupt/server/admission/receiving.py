"""Receive the messages of a call: in time, bounded before they are decoded, and decoded aside.

Handlers receive their messages by this themselves, once their caller was let in: gRPC reads that of
a unary handler before the handler runs, so that no deadline and no share would hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError
from grpc import aio

from disrupt.errors import DeadlineExceededError, InvalidRequestError, LimitExceededError
from disrupt.server.admission.limits import RECEIVE_WITHIN_S, MessageLimits
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.shares import Resource, holder
from disrupt.tasks import ignore_error
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX, no_message

Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Decode: TypeAlias = Callable[[bytes], Any]

_SOON_S = 1.0
"""Time after which a message is slow, and counted as its caller's: nearly all are there by then, so
that a burst of many small calls is not refused, and none can hold more than what came meanwhile."""

_QUEUED = 10_000
"""Messages that may wait to be decoded. Admission bounds them first, so this is never reached."""


class Receiver:
    """Receive and decode messages. For one event loop."""

    def __init__(self, limits: MessageLimits, decoders: Mapping[str, Decode]) -> None:
        """Take the ``decoders`` that are not protobuf's own, by method."""
        self._limits = limits
        self._decoders = decoders
        # a thread: decoding holds the GIL, more would only hold more memory
        self._decoding = Pool("decode", threads=1, queued=_QUEUED)

    def of(self, method: str, decode: Decode | None) -> Reading:
        """Return the Reading of one method's messages; ``decode`` is protobuf's."""
        chosen = self._decoders.get(method, decode)
        if chosen is None:
            raise TypeError(f"{method} has no decoder")
        return Reading(chosen, self._limits(method), self._decoding)


class Reading:
    """Receive the messages of one method, which come as bytes."""

    def __init__(self, decode: Decode, most_bytes: int, decoding: Pool) -> None:
        self._decode = decode
        self._most_bytes = most_bytes
        self._decoding = decoding

    async def single(self, context: Context) -> Any:  # noqa: ANN401 any message
        """Receive the only message of a call.

        Raises InvalidRequestError, LimitExceededError, DeadlineExceededError, OverloadedError.
        """
        data = await _read(context, RECEIVE_WITHIN_S)
        if data is aio.EOF:
            raise InvalidRequestError("The call ended before its message: send one.")
        return await self._decoded(data)

    async def each(self, context: Context) -> AsyncGenerator[Any, None]:
        """Receive the messages of a stream, each when it is asked for.

        Raises what ``single`` does but DeadlineExceededError: a stream may pause.
        """
        while (data := await _read(context, None)) is not aio.EOF:
            yield await self._decoded(data)

    async def _decoded(self, data: bytes) -> Any:  # noqa: ANN401 any message
        if len(data) > self._most_bytes:
            raise LimitExceededError(
                f"The message has {len(data)} bytes; this call takes at most {self._most_bytes}."
                " Send less at a time.",
                limit=str(self._most_bytes),
            )
        try:
            if len(data) <= ENVELOPE_BYTES_MAX:
                return self._decode(data)
            return await self._decoding.run(self._decode, data)
        except DecodeError:
            raise no_message() from None


async def _read(context: Context, within_s: float | None) -> Any:  # noqa: ANN401 bytes or EOF
    """Read a message, which counts as its caller's where it is slow, until the read itself ends.

    The read goes on where its call is given up: gRPC would never free the message of one that is
    cancelled. It ends with the call.
    """
    read = asyncio.ensure_future(context.read())
    read.add_done_callback(ignore_error)
    await asyncio.wait((read,), timeout=_SOON_S)
    if not read.done():
        if (by := holder.get(None)) is not None:
            by.take_until_done(read, Resource.READS)
        await asyncio.wait((read,), timeout=within_s)
        if not read.done():
            raise DeadlineExceededError(f"The message did not arrive within {within_s:g} s.")
    return read.result()
