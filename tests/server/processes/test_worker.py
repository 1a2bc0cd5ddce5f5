"""What a worker's server does with calls, whatever they ask."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from disrupt.server.config import Config
from disrupt.server.processes import worker

METHOD = "/disrupt.v1.FeedService/ListChanges"


class Answering(grpc.GenericRpcHandler):
    """Answer every call with these bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def service(self, _details: object) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def answer(self, *_: object) -> bytes:
        return self.data


def test_an_answer_may_be_larger_than_any_message_that_is_received(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, max_message_bytes=64 * 1024)
    data = bytes(config.max_message_bytes + 1)
    address = f"unix:{tmp_path}/socket"

    async def answered() -> bytes:
        server = aio.server(handlers=[Answering(data)], options=worker._options(config))
        server.add_insecure_port(address)
        await server.start()
        async with aio.insecure_channel(address) as channel:
            call: Any = channel.unary_unary(METHOD)
            answer: bytes = await call(b"")
        await server.stop(None)
        return answer

    assert asyncio.run(answered()) == data
