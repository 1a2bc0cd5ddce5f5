"""What the gateway says of its server's health."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from disrupt.client.connection import Connection
from disrupt.web import upstream
from disrupt.web.limits import CALL_S
from disrupt.web.upstream import Upstream


class Silent(grpc.GenericRpcHandler):
    """Let every call in, and never answer."""

    def service(self, _: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        async def answer(*_: object) -> None:
            await asyncio.Event().wait()

        return grpc.unary_unary_rpc_method_handler(answer)


async def _is_serving() -> bool:
    health = HealthServicer()
    health.set("", health_pb2.HealthCheckResponse.SERVING)
    server = aio.server()
    add_HealthServicer_to_server(health, server)
    server.add_generic_rpc_handlers((Silent(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    asked = Upstream(Connection(f"127.0.0.1:{port}", loopback=True, metadata=(), credentials=None))
    try:
        return await asyncio.wait_for(asked.is_serving(), CALL_S / 2)
    finally:
        await asked.close()
        await server.stop(0)


def test_a_server_that_says_that_it_serves_and_answers_no_call_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream, "HEALTH_S", 1.0)
    assert not asyncio.run(_is_serving())
