"""Relay a call from a worker to the writer, with the id of the key that made it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import grpc
from google.protobuf.descriptor import MethodDescriptor
from grpc import aio

from disrupt.data_directory import DataDirectory
from disrupt.errors import UnavailableError
from disrupt.server.config import Config
from disrupt.server.edge import internal
from disrupt.server.edge.handlers import path_of
from disrupt.server.edge.interceptors import CALLER_KEY, Handler, allowed_s, caller
from disrupt.server.edge.receiving import Context
from disrupt.server.edge.writer_pause import WriterPause
from disrupt.wire.errors import DETAILS_KEY


def writer_channel(config: Config) -> aio.Channel:
    """Return a channel to the writer, which reconnects soon after the writer restarts.

    Where other machines write, to whichever of them listens.
    """
    if config.writers is not None:
        return internal.channel(config.writers, internal.WRITER, config)
    return aio.insecure_channel(
        DataDirectory(config.data_dir).socket_address,
        options=[
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
            ("grpc.max_receive_message_length", config.max_message_bytes),
            ("grpc.default_authority", "writer"),
            ("grpc.enable_http_proxy", 0),
        ],
    )


class Relay:
    """Make calls of the writer for callers, each of at most ``max_call_s``; bytes to bytes."""

    def __init__(self, channel: aio.Channel, pause: WriterPause, max_call_s: float) -> None:
        self._channel = channel
        self._pause = pause
        self._max_call_s = max_call_s
        self._calls: dict[str, Callable[..., Awaitable[bytes]]] = {}

    async def __call__(self, path: str, request: bytes, context: Context) -> bytes:
        """Return the writer's answer, or end the caller's call with the writer's own error."""
        await self._pause.over(self._channel)
        call = self._calls.get(path)
        if call is None:
            channel: Any = self._channel  # the stubs do not know calls of bytes
            call = self._calls[path] = channel.unary_unary(path)
        timeout_s = allowed_s(context, self._max_call_s)
        metadata = ((CALLER_KEY, caller.get().key_id),)
        try:
            return await call(request, timeout=timeout_s, metadata=metadata)
        except aio.AioRpcError as error:
            await _pass_on(error, context)

    def handler(self, method: MethodDescriptor) -> Handler:
        """Return a handler that relays a call as it comes; the writer decodes it."""
        path = path_of(method)

        async def relay(request: bytes, context: Context) -> bytes:
            return await self(path, request, context)

        return grpc.unary_unary_rpc_method_handler(relay, request_deserializer=bytes)


async def _pass_on(error: aio.AioRpcError, context: Context) -> NoReturn:
    """Abort with the writer's own error; raise UnavailableError if there is no writer now."""
    # the stubs do not know that the pairs can be unpacked
    pairs: Any = error.trailing_metadata() or ()
    details = tuple((name, value) for name, value in pairs if name == DETAILS_KEY)
    if not details and error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
        raise UnavailableError(
            "The server can write nothing just now. Try again in a moment.", retry_after_s=1.0
        ) from None
    await context.abort(error.code(), error.details() or "", details)
