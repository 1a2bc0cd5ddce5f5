"""One call with its retries, for threads and for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import grpc

from disrupt.client.connection import Connection
from disrupt.client.failures import failure
from disrupt.client.retries import Attempts, RetryPolicy

TIMEOUT_S = 10.0
CONNECTIONS = 4

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def call(
    method: Callable[[], grpc.UnaryUnaryMultiCallable[_Request, _Response]],
    request: _Request,
    *,
    connection: Connection,
    timeout_s: float,
    retries: RetryPolicy,
) -> _Response:
    """Answer to ``request`` within ``timeout_s``; a class of disrupt.errors when there is none.

    ``method`` gives the method for each attempt anew: the next connection's.
    """
    attempts = Attempts(retries, timeout_s)
    while True:
        try:
            return method()(request, timeout=attempts.remaining_s(), metadata=connection.metadata)
        except grpc.RpcError as error:
            failed = failure(error, connection.server)
        time.sleep(attempts.pause_s(failed))


async def call_async(
    method: Callable[[], grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]],
    request: _Request,
    *,
    connection: Connection,
    timeout_s: float,
    retries: RetryPolicy,
) -> _Response:
    """The same for asyncio."""
    attempts = Attempts(retries, timeout_s)
    while True:
        try:
            return await method()(
                request, timeout=attempts.remaining_s(), metadata=connection.metadata
            )
        except grpc.RpcError as error:
            failed = failure(error, connection.server)
        await asyncio.sleep(attempts.pause_s(failed))
