"""What a call held is free once it was refused; nothing waits for a collection of garbage."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio

from disrupt.errors import OverloadedError
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import Errors
from disrupt.server.edge.methods import message_limit
from disrupt.server.edge.receiving import Receiver
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import (
    MatchServiceServicer,
    MatchServiceStub,
    add_MatchServiceServicer_to_server,
)
from rig.callers.caller import TIMEOUT_S


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


class Held:
    """What a call holds: it also knows of the error that ends the call, as a Receipt does."""

    error: Exception | None = None


class Refusing(MatchServiceServicer):
    """Refuse a call with an error of this kind, or by gRPC's own means where there is none."""

    def __init__(self, kind: type[Exception] | None) -> None:
        self.kind = kind
        self.held: weakref.ref[Held] | None = None

    async def GetIndexStatus(self, _request: object, context: Any) -> Any:  # noqa: N802
        held = Held()
        self.held = weakref.ref(held)
        if self.kind is None:
            await context.abort(grpc.StatusCode.INTERNAL)
        else:
            held.error = self.kind("busy")
            raise held.error


@pytest.mark.parametrize(
    "kind", [OverloadedError, TimeoutError, NotImplementedError, RuntimeError, None]
)
def test_a_refused_call_leaves_nothing_to_collect(
    tmp_path: Path, kind: type[Exception] | None
) -> None:
    make: Any = Refusing  # which lacks the other calls
    servicer = make(kind)
    address = f"unix:{tmp_path}/socket"

    async def refused() -> None:
        server = aio.server(
            interceptors=[
                Errors(
                    Receiver(partial(message_limit, config=Config(data_dir=tmp_path))),
                    TIMEOUT_S,
                    TIMEOUT_S,
                )
            ]
        )
        add_MatchServiceServicer_to_server(servicer, server)
        server.add_insecure_port(address)
        await server.start()
        async with aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.RpcError):
                await MatchServiceStub(channel).GetIndexStatus(match_pb2.GetIndexStatusRequest())
        await server.stop(None)
        assert servicer.held is not None
        while servicer.held() is not None:
            await asyncio.sleep(0.01)

    asyncio.run(refused())
