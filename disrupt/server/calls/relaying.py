"""Relay a call from a worker to the writer, with the id of the key that made it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from disrupt.admin.v1 import admin_pb2
from disrupt.admin.v1.admin_pb2_grpc import AdminServiceStub
from disrupt.data_directory import DataDirectory
from disrupt.errors import UnavailableError
from disrupt.server.admission.receiving import Context
from disrupt.server.calls import internal
from disrupt.server.calls.interceptors import CALLER_KEY, allowed_s, caller
from disrupt.server.calls.writer_pause import WriterPause
from disrupt.server.config import Config
from disrupt.wire.errors import DETAILS_KEY

_Response = TypeVar("_Response", bound=Message)


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


@dataclass(frozen=True, slots=True)
class Relay:
    """Make calls of the writer for callers, each of at most ``max_call_s``."""

    channel: aio.Channel
    pause: WriterPause
    max_call_s: float

    async def __call__(
        self,
        call: Callable[..., Awaitable[_Response]],
        request: Message | bytes,
        context: Context,
    ) -> _Response:
        """Return the writer's answer, or end the caller's call with the writer's own error."""
        await self.pause.over(self.channel)
        timeout_s = allowed_s(context, self.max_call_s)
        metadata = ((CALLER_KEY, caller.get().key_id),)
        try:
            return await call(request, timeout=timeout_s, metadata=metadata)
        except aio.AioRpcError as error:
            await _pass_on(error, context)


def outcome_recorder(
    relay: Relay,
) -> Callable[
    [admin_pb2.RecordOutcomeRequest, Context], Awaitable[admin_pb2.RecordOutcomeResponse]
]:
    """Return a function that lets the writer note an outcome."""
    admin: Any = AdminServiceStub(relay.channel)  # the stubs take its calls for ones that block
    return partial(relay, admin.RecordOutcome)


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
