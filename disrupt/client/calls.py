"""Make one call with its retries, for threads and for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import grpc

from disrupt.client.arguments import configuring, invalid, seconds, whole_number
from disrupt.client.connection import Connection
from disrupt.client.failures import failure
from disrupt.client.retries import Attempts, RetryPolicy
from disrupt.errors import ClientUnusableError, DisruptError

TIMEOUT_S = 10.0
CONNECTIONS = 4
_MOST_CONNECTIONS = 1000
_CLOSED = "The client is closed: keep it open while it is used, or make a new one."

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def check_settings(connections: int, timeout_s: float, retries: RetryPolicy | None) -> None:
    """Raise ConfigurationError for settings of a client that cannot work."""
    with configuring():
        whole_number("connections", connections, 1, _MOST_CONNECTIONS)
        seconds("timeout_s", timeout_s)
        if not isinstance(retries, RetryPolicy | None):
            raise invalid("retries", f"give a RetryPolicy, not {type(retries).__name__}")


@contextmanager
def usable() -> Iterator[None]:
    """Raise ClientUnusableError where gRPC says that the channel of a call is closed."""
    try:
        yield
    except (ValueError, grpc.aio.UsageError) as error:
        raise ClientUnusableError(_CLOSED) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # nobody cancelled the task: its channel was closed, and the call with it
        raise ClientUnusableError(_CLOSED) from error


def call(
    method: Callable[[], grpc.UnaryUnaryMultiCallable[_Request, _Response]],
    request: _Request,
    *,
    connection: Connection,
    timeout_s: float,
    retries: RetryPolicy,
    pause: Callable[[DisruptError, float], None] = lambda _failure, pause_s: time.sleep(pause_s),
) -> _Response:
    """Return the answer to ``request``; raise a class of disrupt.errors if none comes in time.

    ``method`` returns the method of each attempt: that of the next connection. ``pause`` waits
    between two attempts; it is given the first one's failure and a time in seconds.
    """
    attempts = Attempts(retries, timeout_s)
    while True:
        try:
            with usable():
                return method()(
                    request, timeout=attempts.remaining_s(), metadata=connection.metadata
                )
        except grpc.RpcError as error:
            failed = failure(error, connection.server)
        pause(failed, attempts.pause_s(failed))


async def call_async(
    method: Callable[[], grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]],
    request: _Request,
    *,
    connection: Connection,
    timeout_s: float,
    retries: RetryPolicy,
) -> _Response:
    """Do what ``call`` does, for asyncio."""
    attempts = Attempts(retries, timeout_s)
    while True:
        try:
            with usable():
                return await method()(
                    request, timeout=attempts.remaining_s(), metadata=connection.metadata
                )
        except grpc.RpcError as error:
            failed = failure(error, connection.server)
        await asyncio.sleep(attempts.pause_s(failed))
