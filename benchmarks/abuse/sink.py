"""Run a gRPC server that drops all messages, to measure the cost of an attack alone.

It ends calls soon, as a server that holds an attack does: attackers begin them anew in both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from multiprocessing.connection import Connection

import grpc
from grpc import aio

_CALL_S = 1.0
"""Longest call, so that attackers begin calls anew as often as they ever do."""
_HANDSHAKE_MS = 10_000
"""Time for HTTP/2's first frames, as in Disrupt's own server."""


class _Drain(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Return one handler for calls of every kind; see grpc.GenericRpcHandler."""
        stays_open = details.method.endswith("/Watch")

        async def drain(requests: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CALL_S):
                    async for _request in requests:
                        pass
                    if stays_open:
                        await asyncio.Event().wait()
            yield b""

        return grpc.stream_stream_rpc_method_handler(drain)


def serve(pipe: Connection) -> None:
    """Send the address through the pipe, and serve until something comes back."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    server = aio.server(
        options=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
        ]
    )
    server.add_generic_rpc_handlers((_Drain(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), over.set)
    pipe.send(f"127.0.0.1:{port}")
    await over.wait()
    await server.stop(None)
