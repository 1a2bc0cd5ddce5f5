"""What a worker does with calls that it relays to the writer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from grpc import aio

from disrupt.core.media import LowQuality
from disrupt.server.admission.shares import Admission, Board, Resource, holder
from disrupt.server.calls.interceptors import RelayedError, caller
from disrupt.server.calls.relay import Relay, RelayingServicer, writer_channel
from disrupt.server.config import Config
from disrupt.v1 import registration_pb2, registration_pb2_grpc
from disrupt.wire.payloads import WithImage
from tests.server.caller import register


class Context:
    """Of a call whose caller waits for a minute."""

    def time_remaining(self) -> float:
        return 60.0


async def turned_away() -> tuple[float, list[int], RelayedError]:
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
    with pytest.raises(RelayedError) as error:
        await servicer._relay(full, registration_pb2.GetCaseRequest(), context)
    await channel.close()
    return time.monotonic() - began_s, held, error.value


@pytest.mark.slow
def test_who_is_turned_away_by_the_writer_waits_without_a_place_there() -> None:
    took_s, held, error = asyncio.run(turned_away())
    assert held == [1, 0]  # while it waits others have its place
    assert took_s >= 2
    assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")


async def rejected(low_quality: LowQuality) -> registration_pb2.Receipt:
    """Register a picture of which hashing says this, where there is no writer."""
    holder.set(Admission(Board(1), 0, dict.fromkeys(Resource, 100), lambda _: 0).holder("key"))

    async def hashed(*_: object, **__: object) -> LowQuality:
        return low_quality

    hashing: Any = SimpleNamespace(fingerprint_image=hashed)
    context: Any = Context()
    channel = aio.insecure_channel("unix:nobody")
    servicer = RelayingServicer(Config(data_dir=Path()), channel, hashing, cast("Any", None))
    request = registration_pb2.RegisterImageRequest(context=register().context)
    answer = await servicer.RegisterImage(WithImage(request, memoryview(b"")), context)
    await channel.close()
    return answer.receipt


def test_a_featureless_picture_is_rejected_without_the_writer() -> None:
    receipt = asyncio.run(rejected(LowQuality(7)))
    assert [item.low_quality.quality for item in receipt.rejected] == [7]
    assert not receipt.items


def test_a_call_waits_for_a_writer_that_is_being_started(tmp_path: Path) -> None:
    async def relayed() -> registration_pb2.GetCaseResponse:
        by = Admission(Board(1), 0, dict.fromkeys(Resource, 100), lambda _: 0).holder("key")
        holder.set(by)
        caller.set(cast("Any", SimpleNamespace(key_id="key")))
        address = f"unix:{tmp_path}/writer"
        channel = writer_channel(address, 1000)
        stub = registration_pb2_grpc.RegistrationServiceStub(channel)
        relay = Relay(channel, max_call_s=60.0)
        context: Any = Context()
        call = asyncio.create_task(relay(stub.GetCase, registration_pb2.GetCaseRequest(), context))
        await asyncio.sleep(0.2)  # it has found nobody
        server = aio.server()
        registration_pb2_grpc.add_RegistrationServiceServicer_to_server(
            _Answering(),  # type: ignore[abstract]  # nothing else is called
            server,
        )
        server.add_insecure_port(address)
        await server.start()
        answer: registration_pb2.GetCaseResponse = await call
        await channel.close()
        await server.stop(None)
        return answer

    assert asyncio.run(relayed()).case.case_number == "AVMJ9P6WWQA"


class _Answering(registration_pb2_grpc.RegistrationServiceServicer):
    async def GetCase(self, _request: object, _context: object) -> Any:  # noqa: N802 gRPC's name
        answer = registration_pb2.GetCaseResponse()
        answer.case.case_number = "AVMJ9P6WWQA"
        return answer
