"""Receive the messages of a call: bounded in size before they are decoded, and decoded aside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError
from grpc import aio

from disrupt.errors import InvalidRequestError, LimitExceededError
from disrupt.server.limits import MessageLimits
from disrupt.server.pool import Pool
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX, no_message

Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Decode: TypeAlias = Callable[[bytes], Any]

_QUEUED = 10_000
"""Messages that may wait to be decoded; admission bounds them, this never does."""


class Receiver:
    """Receives and decodes messages. For one event loop."""

    def __init__(self, limits: MessageLimits, decoders: Mapping[str, Decode]) -> None:
        """``decoders`` are those that are not protobuf's own, by method."""
        self._limits = limits
        self._decoders = decoders
        # a thread: decoding holds the GIL, more would only hold more memory
        self._decoding = Pool("decode", threads=1, queued=_QUEUED)

    def of(self, method: str, decode: Decode | None) -> Reading:
        """What receives the messages of one method; ``decode`` is protobuf's."""
        chosen = self._decoders.get(method, decode)
        if chosen is None:
            raise TypeError(f"{method} has no decoder")
        return Reading(chosen, self._limits(method), self._decoding)


class Reading:
    """Receives the messages of one method, which the handler leaves to it as bytes."""

    def __init__(self, decode: Decode, most_bytes: int, decoding: Pool) -> None:
        self._decode = decode
        self._most_bytes = most_bytes
        self._decoding = decoding

    async def single(self, context: Context) -> Any:  # noqa: ANN401 any message
        """Receive the only message of a call. InvalidRequestError, LimitExceededError."""
        data = await context.read()
        if data is aio.EOF:
            raise InvalidRequestError("The call ended before its message: send one.")
        return await self._decoded(data)

    async def each(self, context: Context) -> AsyncIterator[Any]:
        """Receive the messages of a stream, each when it is asked for."""
        while (data := await context.read()) is not aio.EOF:
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
