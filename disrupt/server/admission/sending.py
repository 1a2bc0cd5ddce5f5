"""Count answers until they are taken: gRPC holds one for as long as its caller reads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from google.protobuf.message import Message

from disrupt.server.admission.receiving import Context
from disrupt.server.admission.shares import Resource
from disrupt.server.admission.shares import holder as current_holder

_COUNTED_BYTES = 1 << 14
"""Size of an answer from which on it is counted; nearly all answers are smaller."""


async def write(
    answer: Message, context: Context, allowed: asyncio.Timeout, shut: Callable[[str], None]
) -> None:
    """Write an answer of a stream, counted as its caller's until it is taken.

    Where it is not taken while ``allowed``, ``shut`` shuts the caller's connection down: how the
    call ended could not be sent either.
    Raises OverloadedError.
    """
    holder, size = current_holder.get(None), answer.ByteSize()
    counted: AbstractContextManager[None] = nullcontext()
    if holder is not None and size >= _COUNTED_BYTES:
        counted = holder.holding(Resource.BYTES, size)
    try:
        with counted:
            await context.write(answer)
    except asyncio.CancelledError:
        if allowed.expired():
            shut(context.peer())
        raise


def count_until_taken(
    answer: Message, context: Context, until_s: float | None, shut: Callable[[str], None]
) -> None:
    """Count the only answer of a call as its caller's until the call ends.

    gRPC sends such an answer itself once it is returned. Where it is not taken until ``until_s``,
    a time of the event loop, ``shut`` shuts the caller's connection down.
    Raises OverloadedError.
    """
    holder, size = current_holder.get(None), answer.ByteSize()
    call = asyncio.current_task()
    if holder is None or call is None or size < _COUNTED_BYTES:
        return
    holder.take(Resource.BYTES, size)
    call.add_done_callback(lambda _: holder.give_back(Resource.BYTES, size))
    if until_s is not None:
        late = asyncio.get_running_loop().call_at(until_s, partial(shut, context.peer()))
        call.add_done_callback(lambda _: late.cancel())
