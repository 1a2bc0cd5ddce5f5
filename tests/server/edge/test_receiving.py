"""Messages are received within their caller's share, and in time; what is slow keeps nobody out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from grpc import aio

from disrupt.server.edge import receiving
from disrupt.server.edge.limits import capacities
from disrupt.server.edge.shares import Admission, Resource
from disrupt.v1 import match_pb2
from rig.callers.caller import Refused, refused_of
from rig.callers.wire import Wire, begun
from rig.servers.in_process import CONFIG, Stub, calling, serving

HASHES = "/disrupt.v1.MatchService/MatchHashes"
IMAGE = "/disrupt.v1.MatchService/MatchImage"
LOOKUP = match_pb2.MatchHashesRequest(hashes=bytes(32)).SerializeToString()
MIB = 2**20


async def error_of(call: Awaitable[Any]) -> Refused:
    with pytest.raises(grpc.RpcError) as error:
        await call
    return refused_of(error.value)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


def ended(wire: Wire) -> None:
    wire.until(lambda: bool(wire.ended))


@pytest.fixture
def admission(monkeypatch: pytest.MonkeyPatch) -> Admission:
    """Count a message as slow soon; return what counts."""
    monkeypatch.setattr(receiving, "_SOON_S", 0.05)
    return Admission(capacities(CONFIG))


class Slow:
    """Messages of a key that began to arrive, each on a connection of its own."""

    def __init__(self, address: str, key: str, count: int, size: int, part: int) -> None:
        self.wires = [Wire(address) for _ in range(count)]
        for wire in self.wires:
            wire.settle()
        self.size, self.part = size, part
        self.calls = [wire.begin(IMAGE, key, begun(size, bytes(100))) for wire in self.wires]

    def send(self) -> None:
        for wire, call in zip(self.wires, self.calls, strict=True):
            sent = 0
            while sent < self.part:
                sent += wire.send(call, bytes(self.part - sent))
                wire.read(0.001)

    def close(self) -> None:
        for wire in self.wires:
            wire.close()


@pytest.mark.parametrize(
    ("count", "size", "part"), [(2, 18 * MIB, 17 * MIB), (30, 200_000, 100_000)]
)
def test_what_arrives_slowly_of_one_caller_keeps_no_other_out(
    admission: Admission, count: int, size: int, part: int
) -> None:
    async def play() -> None:
        async with serving(admission=admission) as address:
            slow = await asyncio.to_thread(Slow, address, "a", count, size, part)
            await asyncio.to_thread(slow.send)
            await until(lambda: admission.holder("a").held(Resource.READS) == count)
            async with calling(address, "b") as other, calling(address, "a") as same:
                picture = match_pb2.MatchImageRequest(image=bytes(size)).SerializeToString()
                await asyncio.gather(*(other(IMAGE, picture) for _ in range(4)))
                await same(IMAGE, picture)
            slow.close()
            await until(lambda: not admission.holder("a").held(Resource.READS))

    asyncio.run(play())


def test_a_caller_with_too_many_slow_messages_is_refused_and_told_when_to_come_back(
    admission: Admission,
) -> None:
    async def play() -> None:
        most = admission.capacities[Resource.READS] // 2
        async with serving(admission=admission) as address, AsyncExitStack() as opened:
            slow = await asyncio.to_thread(Slow, address, "a", most, 1000, 0)
            opened.callback(slow.close)
            await until(lambda: admission.holder("a").held(Resource.READS) == most)

            async def never() -> Any:
                await asyncio.Event().wait()
                yield b""

            channel = await opened.enter_async_context(aio.insecure_channel(address))
            metadata = (("authorization", "Bearer a"),)
            refused = await error_of(channel.stream_unary(HASHES)(never(), metadata=metadata))
            assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert refused.retry_after_s
            other = await opened.enter_async_context(calling(address, "b"))
            await other(HASHES, LOOKUP)

    asyncio.run(play())


def test_a_message_that_does_not_arrive_in_time_ends_and_holds_nothing(
    admission: Admission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "RECEIVE_WITHIN_S", 0.1)

    async def play() -> None:
        async with serving(admission=admission) as address:
            slow = await asyncio.to_thread(Slow, address, "a", 3, 33 * MIB, 0)
            for wire in slow.wires:
                await asyncio.to_thread(ended, wire)
            await until(lambda: not any(admission.taken))
            slow.close()

    asyncio.run(play())


def test_a_burst_of_small_calls_is_answered(admission: Admission) -> None:
    async def play() -> None:
        async with serving(admission=admission) as address, calling(address, "a") as caller:
            await asyncio.gather(*(caller(HASHES, LOOKUP) for _ in range(400)))

    asyncio.run(play())


def test_answers_that_are_not_read_are_bounded_in_bytes(admission: Admission) -> None:
    size = admission.capacities[Resource.ANSWER_BYTES] = 4 * MIB

    class Large(Stub):
        async def MatchHashes(self, *_: object) -> match_pb2.MatchHashesResponse:  # noqa: N802
            return match_pb2.MatchHashesResponse(index_cursor="x" * (size // 4))

    async def play() -> None:
        async with serving(Large, admission=admission) as address, calling(address, "b") as other:
            wire = await asyncio.to_thread(Wire, address, window=0)
            await asyncio.to_thread(wire.settle)
            message = begun(len(LOOKUP), LOOKUP)
            calls = {wire.begin(HASHES, "a", message) for _ in range(4)}
            await asyncio.to_thread(wire.until, lambda: len(wire.ended & calls) == 3)
            assert admission.holder("a").held(Resource.ANSWER_BYTES) >= size // 4
            assert await other(HASHES, LOOKUP)
            wire.close()
            await until(lambda: not any(admission.taken))

    asyncio.run(play())


def test_a_picture_that_may_not_be_decoded_is_refused_before_it_is_sent() -> None:
    admission = Admission(capacities(CONFIG), {Resource.PICTURES: lambda: 0})

    async def never() -> Any:
        await asyncio.Event().wait()
        yield b""

    async def play() -> None:
        async with serving(admission=admission) as address:
            admission.holder("a").take(Resource.PICTURES)
            async with aio.insecure_channel(address) as channel:
                metadata = (("authorization", "Bearer a"),)
                refused = await error_of(channel.stream_unary(IMAGE)(never(), metadata=metadata))
            assert (refused.reason, bool(refused.retry_after_s)) == ("OVERLOADED", True)
            async with calling(address, "a") as caller:
                await caller(HASHES, LOOKUP)

    asyncio.run(play())
