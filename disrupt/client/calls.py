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
from disrupt.errors import ClientUnusableError, DeadlineExceededError, DisruptError

TIMEOUT_S = 30.0
"""Time of a call by default, which outlasts a restart of the server."""

CONNECTIONS = 4
_MOST_CONNECTIONS = 1000
CLOSED = "The client is closed: keep it open while it is used, or make a new one."

_Begun = TypeVar("_Begun")
_Response = TypeVar("_Response")


class Deadline:
    """The end of the time that a lookup may take, hashing included."""

    def __init__(self, timeout_s: float) -> None:
        """End ``timeout_s`` from now."""
        self._timeout_s = timeout_s
        self._ends_s = time.monotonic() + timeout_s

    def remaining_s(self) -> float:
        """Return the time left, 0 after the end."""
        return max(0.0, self._ends_s - time.monotonic())

    def check(self) -> None:
        """Raise DeadlineExceededError after the end."""
        if not self.remaining_s():
            raise self.exceeded()

    def exceeded(self) -> DeadlineExceededError:
        """Return the error of a lookup whose hashing took all of its time."""
        return DeadlineExceededError(
            f"Hashing took longer than the {self._timeout_s:g} s of timeout_s; nothing was asked."
            " Give more time, or let the server hash (hash_locally=False)."
        )


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Server, time limit and retries of calls."""

    connection: Connection
    timeout_s: float
    retries: RetryPolicy

    def within(self, timeout_s: float | None) -> Self:
        """Return these settings for calls that may take another time; None: the same."""
        return (
            self if timeout_s is None else replace(self, timeout_s=seconds("timeout_s", timeout_s))
        )

    def deadline(self) -> Deadline:
        """Return the end of a lookup that begins now."""
        return Deadline(self.timeout_s)

    def after(self, hashing: Deadline) -> Self:
        """Return these settings for a call with what hashing left of its time.

        Raises DeadlineExceededError where that is nothing.
        """
        hashing.check()
        return replace(self, timeout_s=hashing.remaining_s())

    def attempts(self) -> Attempts:
        """Return the attempts of one call."""
        return Attempts(self.retries, self.timeout_s)

    def begin(self, method: Callable[..., _Begun], request: object, attempts: Attempts) -> _Begun:
        """Begin the next attempt of a call."""
        return method(request, timeout=attempts.remaining_s(), metadata=self.connection.metadata)

    def failure(self, error: grpc.RpcError) -> DisruptError:
        """Convert the failure of a call."""
        return failure(error, self.connection.server)


def client_settings(
    server: object,
    key: object,
    tls_ca: object,
    connections: int,
    timeout_s: float,
    retries: RetryPolicy | None,
) -> CallSettings:
    """Return the settings of a client. Raises ConfigurationError for arguments that cannot work."""
    with configuring():
        whole_number("connections", connections, 1, _MOST_CONNECTIONS)
        seconds("timeout_s", timeout_s)
        if not isinstance(retries, RetryPolicy | None):
            raise invalid("retries", f"give a RetryPolicy, not {type(retries).__name__}")
    return CallSettings(connect(server, key, tls_ca), timeout_s, retries or RetryPolicy())


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
