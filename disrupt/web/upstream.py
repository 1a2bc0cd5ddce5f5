"""Call the server that the gateway stands before, with the gateway's key."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from disrupt.client.connection import Connection
from disrupt.client.failures import failure
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from disrupt.web.limits import CALL_S, HEALTH_S, RETRY_AFTER_S

_CHANNELS = 4
"""Connections to the server, to reach several of its workers."""
_ANY_CALL = "/disrupt.v1.RegistrationService/GetCase"
_REPORTED_EVERY_S = 60.0
"""Failures of one kind are logged at most so often."""

_log = structlog.get_logger(__name__)


class Upstream:
    """Connections to a server, for one event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channels = [connection.open_async() for _ in range(_CHANNELS)]
        self._next_channel = itertools.cycle(self._channels)
        self._reported_s: dict[str, float] = {}

    async def call(self, method: str, message: bytes) -> bytes:
        """Return the encoded answer to an encoded message.

        Raises what the server's error says. What concerns the gateway alone, its key and its
        connection, is UnavailableError to the caller, and in the log.
        """
        call: Any = next(self._next_channel).unary_unary(method)
        try:
            answer: bytes = await call(message, timeout=CALL_S, metadata=self._connection.metadata)
        except grpc.RpcError as error:
            raise self._passed_on(failure(error, self._connection.server)) from None
        return answer

    async def is_serving(self) -> bool:
        """Tell whether the server says that it serves, and takes the gateway's key."""
        stub: Any = health_pb2_grpc.HealthStub(self._channels[0])
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_S)
        except grpc.RpcError as error:
            self._passed_on(failure(error, self._connection.server))
            return False
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        return serving and await self._takes_key()

    async def _takes_key(self) -> bool:
        try:
            async with asyncio.timeout(HEALTH_S):
                await self.call(_ANY_CALL, b"")
        except (UnavailableError, TimeoutError):  # or the key is refused, see _passed_on
            return False
        except DisruptError:  # it has let the key in, and refuses the message, which is none
            return True
        return True

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()

    def _passed_on(self, error: DisruptError) -> DisruptError:
        if isinstance(error, UnauthenticatedError | PermissionDeniedError):
            self._report("gateway_key_refused", error.reason)
        elif isinstance(error, UnavailableError):
            self._report("server_unavailable", error.reason)
        elif isinstance(error, DeadlineExceededError):
            return DeadlineExceededError(
                "The service took too long. It is not known whether anything was changed."
            )
        else:
            return error
        return UnavailableError(
            "The service does not answer at the moment. Try again.", retry_after_s=RETRY_AFTER_S
        )

    def _report(self, event: str, reason: str) -> None:
        now_s = time.monotonic()
        if now_s - self._reported_s.get(event, -_REPORTED_EVERY_S) >= _REPORTED_EVERY_S:
            self._reported_s[event] = now_s
            _log.error(event, reason=reason)
