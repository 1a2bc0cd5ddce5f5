"""Make one call with its retries, for threads and for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import grpc

from disrupt.client.arguments import configuring, invalid, seconds, whole_number
from disrupt.client.connection import Connection, connect
from disrupt.client.failures import failure
from disrupt.client.retries import Attempts, RetryPolicy
from disrupt.errors import ClientUnusableError, DisruptError

TIMEOUT_S = 10.0
CONNECTIONS = 4
_MOST_CONNECTIONS = 1000
CLOSED = "The client is closed: keep it open while it is used, or make a new one."

_Begun = TypeVar("_Begun")
_Response = TypeVar("_Response")


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Server, time limit and retries of calls."""

    connection: Connection
    timeout_s: float
    retries: RetryPolicy

    def within(self, timeout_s: float) -> Self:
        """Return these settings for calls that may take another time."""
        return replace(self, timeout_s=seconds("timeout_s", timeout_s))

    def attempts(self) -> Attempts:
        """Return the attempts of one call."""
        return Attempts(self.retries, self.timeout_s)

    def flow_attempts(self) -> Attempts:
        """Return those at an answer of a flow, bounded by time alone, to outlast a restart."""
        return Attempts(replace(self.retries, attempts=None), self.timeout_s)

    def begin(self, method: Callable[..., _Begun], request: object, attempts: Attempts) -> _Begun:
        """Begin the next attempt of a call."""
        return method(request, timeout=attempts.remaining_s(), metadata=self.connection.metadata)

    def failure(self, error: grpc.RpcError) -> DisruptError:
        """Convert the failure of a call."""
        return failure(error, self.connection.server, uses_tls=self.connection.uses_tls)


def client_settings(
    server: object,
    key: object,
    tls_ca: object,
    connections: int,
    timeout_s: float,
    retries: RetryPolicy | None,
    client_pair: tuple[object, object] = (None, None),
) -> CallSettings:
    """Return the settings of a client. Raises ConfigurationError for arguments that cannot work."""
    with configuring():
        whole_number("connections", connections, 1, _MOST_CONNECTIONS)
        seconds("timeout_s", timeout_s)
        if not isinstance(retries, RetryPolicy | None):
            raise invalid("retries", f"give a RetryPolicy, not {type(retries).__name__}")
    return CallSettings(
        connect(server, key, tls_ca, *client_pair), timeout_s, retries or RetryPolicy()
    )


@contextmanager
def usable() -> Iterator[None]:
    """Raise ClientUnusableError where gRPC says that the channel of a call is closed."""
    try:
        yield
    except (ValueError, grpc.aio.UsageError) as error:
        raise ClientUnusableError(CLOSED) from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # nobody cancelled the task: its channel was closed, and the call with it
        raise ClientUnusableError(CLOSED) from error


def call(
    method: Callable[[], Callable[..., _Response]],
    request: object,
    settings: CallSettings,
    *,
    pause: Callable[[DisruptError, float], None] = lambda _failure, pause_s: time.sleep(pause_s),
) -> _Response:
    """Return the answer to ``request``; raise a class of disrupt.errors if none comes in time.

    ``method`` returns the method of each attempt: that of the next connection. ``pause`` waits
    between two attempts; it is given the first one's failure and a time in seconds.
    """
    attempts = settings.attempts()
    while True:
        try:
            with usable():
                return settings.begin(method(), request, attempts)
        except grpc.RpcError as error:
            failed = settings.failure(error)
        pause(failed, attempts.pause_s(failed))


async def call_async(
    method: Callable[[], Callable[..., Awaitable[_Response]]],
    request: object,
    settings: CallSettings,
) -> _Response:
    """Do what ``call`` does, for asyncio."""
    attempts = settings.attempts()
    while True:
        try:
            with usable():
                return await settings.begin(method(), request, attempts)
        except grpc.RpcError as error:
            failed = settings.failure(error)
        await asyncio.sleep(attempts.pause_s(failed))
