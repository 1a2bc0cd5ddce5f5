"""What a worker does with calls that it relays to the writer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import grpc
from grpc import aio

from disrupt.server.admission.shares import Admission, Board, Resource, holder
from disrupt.server.calls.interceptors import caller
from disrupt.server.calls.relay import RelayingServicer
from disrupt.server.config import Config
from disrupt.v1 import registration_pb2


class Context:
    """Of a call whose caller waits for a minute."""

    def __init__(self) -> None:
        self.aborted: list[grpc.StatusCode] = []

    def time_remaining(self) -> float:
        return 60.0

    async def abort(self, code: grpc.StatusCode, *_: object) -> None:
        self.aborted.append(code)


async def turned_away() -> tuple[float, list[int], list[grpc.StatusCode]]:
    """Relay a call that the writer turns away: how long that takes, what is held, the answer."""
    admission = Admission(Board(1), 0, dict.fromkeys(Resource, 100), lambda _: 0)
    by = admission.holder("key")
    holder.set(by)
    caller.set(cast("Any", type("Caller", (), {"key_id": "key"})))
    held: list[int] = []

    async def full(*_: object, **__: object) -> Any:
        held.append(by.held(Resource.WRITES))
        asyncio.get_running_loop().call_soon(lambda: held.append(by.held(Resource.WRITES)))
        raise aio.AioRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, aio.Metadata(), aio.Metadata())

    context: Any = Context()
    channel = aio.insecure_channel("unix:nobody")
    servicer = RelayingServicer(
        Config(data_dir=Path()), channel, cast("Any", None), cast("Any", None)
    )
    began_s = time.monotonic()
    await servicer._relay(full, registration_pb2.GetCaseRequest(), context)
    await channel.close()
    return time.monotonic() - began_s, held, context.aborted


def test_who_is_turned_away_by_the_writer_waits_without_a_place_there() -> None:
    took_s, held, answers = asyncio.run(turned_away())
    assert held == [1, 0]  # while it waits others have its place
    assert took_s >= 2
    assert answers == [grpc.StatusCode.RESOURCE_EXHAUSTED]
