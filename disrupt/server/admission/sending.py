"""Count answers until they are taken: gRPC holds one for as long as its caller reads nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from google.protobuf.message import Message

from disrupt.server.admission.operations import outlasting
from disrupt.server.admission.receiving import Context
from disrupt.server.admission.shares import Resource
from disrupt.server.admission.shares import holder as current_holder

_COUNTED_BYTES = 1 << 14
"""Size of an answer from which on it is counted; nearly all answers are smaller."""


def count(answer: Message) -> None:
    """Count an answer as its caller's until the call ends. Raises OverloadedError.

    A call whose answer is not taken does not end before its connection.
    """
    if answer.ByteSize() >= _COUNTED_BYTES:
        _until_the_call_ends(_taken(answer))


async def write(answer: Message, context: Context) -> None:
    """Write an answer of a stream, counted as its caller's until it is taken.

    That of a call which is given up meanwhile is held until the call ends. Raises OverloadedError.
    """
    if answer.ByteSize() < _COUNTED_BYTES:
        await outlasting(context.write(answer))
        return
    give_back = _taken(answer)
    try:
        await outlasting(context.write(answer))
    except asyncio.CancelledError:
        _until_the_call_ends(give_back)
        raise
    except BaseException:
        give_back()
        raise
    give_back()


def _taken(answer: Message) -> Callable[[], None]:
    """Take the bytes of an answer; return what gives them back."""
    holder, size = current_holder.get(None), answer.ByteSize()
    if holder is None:
        return lambda: None
    holder.take(Resource.BYTES, size)
    return partial(holder.give_back, Resource.BYTES, size)


def _until_the_call_ends(give_back: Callable[[], None]) -> None:
    call = asyncio.current_task()
    if call is not None:
        call.add_done_callback(lambda _: give_back())
