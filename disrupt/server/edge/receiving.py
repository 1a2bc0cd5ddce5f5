"""Receive the messages of a call: in time, bounded before they are decoded, and decoded aside.

Handlers receive their messages by this themselves, once their caller was let in: gRPC reads that of
a unary handler before the handler runs, so that no deadline and no share would hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from google.protobuf.message import DecodeError
from grpc import aio

from disrupt.errors import (
    DeadlineExceededError,
    InvalidRequestError,
    LimitExceededError,
    OverloadedError,
)
from disrupt.server.edge.limits import RECEIVE_WITHIN_S
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.shares import Resource, holder
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX, no_message

Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Decode: TypeAlias = Callable[[bytes], Any]

NO_DECODERS: Mapping[str, Decode] = MappingProxyType({})

_SOON_S = 1.0
"""Time after which a message is slow, and counted as its caller's: nearly all are there by then, so
that a burst of many small calls is not refused, and none can hold more than what came meanwhile."""

_QUEUED = 10_000
"""Messages that may wait to be decoded. Admission bounds them first, so this is never reached."""


class MessageLimit(NamedTuple):
    """Most bytes of one message of a call, and the words that name it."""

    size_bytes: int
    text: str


class Receiver:
    """Receive and decode messages. For one event loop."""

    def __init__(
        self, limit: Callable[[str], MessageLimit], decoders: Mapping[str, Decode] = NO_DECODERS
    ) -> None:
        """Take the limit of a message, and the ``decoders`` beside protobuf's, by path."""
        self._limit = limit
        self._decoders = decoders
        # a thread: decoding holds the GIL, more would only hold more memory
        self._decoding = Pool("decode", threads=1, queued=_QUEUED)

    def of(self, path: str, decode: Decode | None) -> Reading:
        """Return the Reading of one call's messages; ``decode`` is its handler's own."""
        chosen = self._decoders.get(path, decode)
        if chosen is None:
            raise TypeError(f"{path} has no decoder")
        return Reading(chosen, self._limit(path), self._decoding)


class Reading:
    """Receive the messages of one method, which come as bytes."""

    def __init__(self, decode: Decode, limit: MessageLimit, decoding: Pool) -> None:
        self._decode = decode
        self._limit = limit
        self._decoding = decoding

    async def single(self, context: Context) -> Any:  # noqa: ANN401 any message
        """Receive the only message of a call.

        Raises InvalidRequestError, LimitExceededError, DeadlineExceededError, OverloadedError.
        """
        data = await _Read(context, RECEIVE_WITHIN_S).message
        if data is aio.EOF:
            raise InvalidRequestError("The call ended before its message: send one.")
        return await self._decoded(data)

    async def each(self, context: Context) -> AsyncGenerator[Any, None]:
        """Receive the messages of a stream, each when it is asked for.

        Raises what ``single`` does but DeadlineExceededError: a stream may pause.
        """
        while (data := await _Read(context, None).message) is not aio.EOF:
            yield await self._decoded(data)

    async def _decoded(self, data: bytes) -> Any:  # noqa: ANN401 any message
        if len(data) > self._limit.size_bytes:
            raise LimitExceededError(
                f"The message has {len(data)} bytes; this call takes at most {self._limit.text}."
                " Send less at a time.",
                limit=str(self._limit.size_bytes),
            )
        try:
            if len(data) <= ENVELOPE_BYTES_MAX:
                return self._decode(data)
            return await self._decoding.run(self._decode, data)
        except DecodeError:
            raise no_message() from None


class _Read:
    """A read of the next message of a call, which counts as its caller's once it is slow.

    The read goes on where its call is given up, and ends with the call: gRPC would never free the
    message of one that is cancelled. Each call has one, so it runs gRPC's coroutine itself, which
    takes a third of the time of a task and a wait with a timeout.
    """

    __slots__ = ("_by", "_counted", "_steps", "_timer", "_within_s", "message")

    def __init__(self, context: Context, within_s: float | None) -> None:
        """Begin to read; a message that does not come ``within_s`` is a DeadlineExceededError."""
        loop = asyncio.get_running_loop()
        self.message: asyncio.Future[Any] = loop.create_future()
        """The bytes, or EOF. May be cancelled."""
        self._within_s = within_s
        self._by = holder.get(None)
        self._counted = False
        self._timer = loop.call_later(_SOON_S, self._slow)
        self._steps: Any = context.read()
        self._step()

    def _step(self, _: object = None) -> None:
        """Run gRPC's coroutine until it waits again, or to its end."""
        try:
            awaited = self._steps.send(None)
        except StopIteration as end:
            self._end()
            if not self.message.done():
                self.message.set_result(end.value)
        except asyncio.CancelledError:
            self._end()
            self.message.cancel()
        except Exception as error:  # noqa: BLE001 whoever awaits the message gets it
            self._end()
            if not self.message.done():
                self.message.set_exception(error)
        else:
            awaited._asyncio_future_blocking = False  # noqa: SLF001 what a task sets
            awaited.add_done_callback(self._step)

    def _slow(self) -> None:
        if self.message.done():
            return
        if self._by is not None:
            try:
                self._by.take(Resource.READS)
            except OverloadedError as error:
                self.message.set_exception(error)
                return
            self._counted = True
        if self._within_s is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._within_s, self._late)

    def _late(self) -> None:
        if not self.message.done():
            text = f"The message did not arrive within {self._within_s:g} s."
            self.message.set_exception(DeadlineExceededError(text))

    def _end(self) -> None:
        self._timer.cancel()
        if self._counted and self._by is not None:
            self._by.give_back(Resource.READS)
