"""A large answer is its caller's for as long as the server holds it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from disrupt.errors import OverloadedError
from disrupt.server.admission.sending import _COUNTED_BYTES, count, write
from disrupt.server.admission.shares import Admission, Board, Resource, holder
from disrupt.v1 import match_pb2

ANSWER = match_pb2.MatchHashesRequest(hashes=bytes(_COUNTED_BYTES))
SIZE = ANSWER.ByteSize()
CALLER = Admission(Board(1), 0, dict.fromkeys(Resource, 2 * SIZE), lambda _: 0).holder("key")


class Connection:
    """Takes answers as told; notes them, and what the caller holds meanwhile."""

    def __init__(self, taking: Callable[[], Awaitable[object]]) -> None:
        self.taking = taking
        self.answers: list[tuple[Message, int]] = []

    async def write(self, answer: Message) -> None:
        self.answers.append((answer, CALLER.held(Resource.BYTES)))
        await self.taking()


async def answering(connection: Any, answer: Message = ANSWER) -> int:
    """Write an answer within a call of CALLER; return what that holds afterwards."""
    holder.set(CALLER)
    await write(answer, connection)
    return CALLER.held(Resource.BYTES)


def test_a_large_answer_is_held_until_it_is_taken() -> None:
    connection = Connection(lambda: asyncio.sleep(0))
    assert asyncio.run(answering(connection)) == 0
    assert connection.answers == [(ANSWER, SIZE)]


def test_a_small_answer_is_not_counted() -> None:
    connection = Connection(lambda: asyncio.sleep(0))
    small = match_pb2.MatchHashesRequest(hashes=bytes(100))
    assert asyncio.run(answering(connection, small)) == 0
    assert connection.answers == [(small, 0)]


def test_what_cannot_be_written_is_given_back() -> None:
    async def fail() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        asyncio.run(answering(Connection(fail)))
    assert CALLER.held(Resource.BYTES) == 0


def test_an_answer_that_is_given_up_is_held_until_the_call_ends() -> None:
    held = []

    async def call() -> None:
        try:
            await answering(Connection(asyncio.Event().wait))
        finally:
            held.append(CALLER.held(Resource.BYTES))

    async def give_up() -> None:
        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)

    asyncio.run(give_up())
    assert held == [SIZE]
    assert CALLER.held(Resource.BYTES) == 0


def test_an_answer_beyond_the_callers_share_is_refused() -> None:
    async def call() -> None:
        holder.set(CALLER)
        count(ANSWER)
        with pytest.raises(OverloadedError, match="busy with large messages"):
            count(ANSWER)

    asyncio.run(call())
    assert CALLER.held(Resource.BYTES) == 0
