"""A worker's way to its handlers, in the event loop of a test: interceptors, and a stub service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from disrupt.core.policy import ApiKey, Right
from disrupt.errors import InvalidMediaError, UnauthenticatedError
from disrupt.server.config import Config
from disrupt.server.edge.health import Health
from disrupt.server.edge.interceptors import Authentication, Errors
from disrupt.server.edge.limits import capacities
from disrupt.server.edge.methods import message_limit
from disrupt.server.edge.receiving import Receiver
from disrupt.server.edge.shares import Admission
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceServicer, add_MatchServiceServicer_to_server

KEYS = ("a", "b", "c")
"""Secrets of the keys that are known, which are their ids, too."""

CONFIG = Config(data_dir=Path())


class Stub:
    """Answers lookups with nothing; tests replace single calls."""

    async def MatchHashes(self, *_: object) -> match_pb2.MatchHashesResponse:  # noqa: N802
        """Answer."""
        return match_pb2.MatchHashesResponse(index_cursor="cursor")

    async def MatchImage(self, *_: object) -> match_pb2.MatchImageResponse:  # noqa: N802
        """Answer."""
        return match_pb2.MatchImageResponse(index_cursor="cursor")


class Troubled(Stub):
    """Answers lookups by hash, refuses pictures as the decoder does, and fails at the status."""

    async def MatchImage(self, *_: object) -> match_pb2.MatchImageResponse:  # noqa: N802
        """Refuse."""
        raise InvalidMediaError("The decoder crashed on this file.", cause="CRASH")

    async def GetIndexStatus(self, *_: object) -> match_pb2.GetIndexStatusResponse:  # noqa: N802
        """Fail."""
        raise RuntimeError


async def authenticate(secret: str) -> ApiKey:
    """Return the key of one of KEYS."""
    if secret not in KEYS:
        raise UnauthenticatedError("This key is not known here.")
    rights = frozenset({Right.FEED} if secret == KEYS[-1] else Right)
    return ApiKey(secret, secret, secret, secret.encode(), rights, frozenset(), "2026-01-01")


@asynccontextmanager
async def serving(
    stub: type[Stub] = Stub,
    *,
    config: Config = CONFIG,
    admission: Admission | None = None,
    options: Sequence[tuple[str, int]] = (),
    tracing: Sequence[aio.ServerInterceptor] = (),
) -> AsyncIterator[str]:
    """Serve MatchService by ``stub``, health and reflection; yield the address.

    The last of KEYS has the right to the feed only.
    """
    errors = Errors(
        Receiver(partial(message_limit, config=config)), config.max_call_s, config.max_call_s
    )
    admission = admission or Admission(capacities(config))
    server = aio.server(
        interceptors=[Authentication(authenticate, admission), *tracing, errors],
        options=options or [("grpc.max_receive_message_length", config.max_message_bytes)],
    )
    servicer: Any = type("Servicer", (stub, MatchServiceServicer), {})()
    add_MatchServiceServicer_to_server(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(Health(), server)
    reflection.enable_server_reflection(["disrupt.v1.MatchService"], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def calling(address: str, key: str | None) -> AsyncIterator[Callable[..., Any]]:
    """Yield a function that makes a call by method, on a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    metadata = (("authorization", f"Bearer {key}"),) if key is not None else ()
    async with aio.insecure_channel(address, options=options) as channel:

        def call(method: str, data: bytes = b"", *more: tuple[str, str]) -> Any:
            unary: Any = channel.unary_unary(method)
            return unary(data, metadata=(*metadata, *more), timeout=100)

        yield call
