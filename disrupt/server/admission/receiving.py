"""Receive the messages of a call: in time, bounded before they are decoded, and decoded aside."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, TypeAlias

from google.protobuf.message import DecodeError
from grpc import aio

from disrupt.errors import InvalidRequestError, LimitExceededError
from disrupt.server.admission.limits import MessageLimits
from disrupt.server.admission.operations import outlasting
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receipts import Receipt, Receipts
from disrupt.server.admission.shares import Resource
from disrupt.server.admission.shares import holder as current_holder
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX, no_message

Context: TypeAlias = "aio.ServicerContext[Any, Any]"
Decode: TypeAlias = Callable[[bytes], Any]

_QUEUED = 10_000
"""Messages that may wait to be decoded. Admission bounds them first, so this is never reached."""


class Receiver:
    """Receive and decode messages. For one event loop."""

    def __init__(
        self,
        limits: MessageLimits,
        decoders: Mapping[str, Decode],
        receipts: Receipts | None = None,
    ) -> None:
        """Take the ``decoders`` that are not protobuf's own, by method.

        Without ``receipts`` callers are trusted to send what they begin.
        """
        self._limits = limits
        self._decoders = decoders
        self._receipts = receipts
        # a thread: decoding holds the GIL, more would only hold more memory
        self._decoding = Pool("decode", threads=1, queued=_QUEUED)

    def of(self, method: str, decode: Decode | None) -> Reading:
        """Return the Reading of one method's messages; ``decode`` is protobuf's."""
        chosen = self._decoders.get(method, decode)
        if chosen is None:
            raise TypeError(f"{method} has no decoder")
        return Reading(
            chosen,
            self._limits(method),
            self._limits.time_s(method),
            self._decoding,
            self._receipts,
        )


class Reading:
    """Receive the messages of one method, which come as bytes."""

    def __init__(
        self,
        decode: Decode,
        most_bytes: int,
        time_s: float,
        decoding: Pool,
        receipts: Receipts | None,
    ) -> None:
        self._decode = decode
        self._most_bytes = most_bytes
        self._time_s = time_s
        self._decoding = decoding
        self._receipts = receipts

    async def single(self, context: Context) -> Any:  # noqa: ANN401 any message
        """Receive the only message of a call; what it holds is given back when the call ends.

        Raises InvalidRequestError, LimitExceededError, DeadlineExceededError, OverloadedError.
        """
        data = await self._read(context, self._time_s)
        if data is aio.EOF:
            raise InvalidRequestError("The call ended before its message: send one.")
        holder, size = current_holder.get(None), len(data)
        if holder is not None and size > ENVELOPE_BYTES_MAX:
            self._check(data)
            holder.take(Resource.BYTES, size)
            call = asyncio.current_task()
            if call is not None:
                call.add_done_callback(lambda _: holder.give_back(Resource.BYTES, size))
        return await self._decoded(data)

    async def each(self, context: Context) -> AsyncGenerator[Any, None]:
        """Receive the messages of a stream, each when it is asked for.

        Raises what ``single`` does but DeadlineExceededError: a stream may pause.
        """
        holder = current_holder.get(None)
        data: Any = None
        try:
            while (
                data := await self._read(context, math.inf, is_first=data is None)
            ) is not aio.EOF:
                if holder is None or len(data) <= ENVELOPE_BYTES_MAX:
                    yield await self._decoded(data)
                    continue
                self._check(data)
                with holder.holding(Resource.BYTES, len(data)):
                    yield await self._decoded(data)
        finally:
            if data is not aio.EOF and holder is not None and self._receipts is not None:
                self._receipts.note_given_up(context.peer())  # more may come, and is not read

    async def _read(self, context: Context, within_s: float, *, is_first: bool = True) -> Any:  # noqa: ANN401 bytes or EOF
        holder = current_holder.get(None)
        if self._receipts is None:
            return await outlasting(context.read())
        if holder is None:
            data = await outlasting(context.read())
            if data is not aio.EOF:
                self._receipts.explain_strangers(context.peer(), len(data), is_first=is_first)
            return data
        with Receipt(
            self._receipts,
            context.peer(),
            holder,
            most_bytes=self._most_bytes,
            within_s=within_s,
        ) as receipt:
            data = await outlasting(context.read())
            if data is not aio.EOF:
                receipt.received(len(data), is_first=is_first)
        return data

    async def _decoded(self, data: bytes) -> Any:  # noqa: ANN401 any message
        self._check(data)
        try:
            if len(data) <= ENVELOPE_BYTES_MAX:
                return self._decode(data)
            return await self._decoding.run(self._decode, data)
        except DecodeError:
            raise no_message() from None

    def _check(self, data: bytes) -> None:
        if len(data) > self._most_bytes:
            raise LimitExceededError(
                f"The message has {len(data)} bytes; this call takes at most {self._most_bytes}."
                " Send less at a time.",
                limit=str(self._most_bytes),
            )
