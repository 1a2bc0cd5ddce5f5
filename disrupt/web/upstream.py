"""Call the server that the gateway stands before, with the gateway's key."""

from __future__ import annotations

import itertools
import time
from typing import Any

import grpc
import structlog
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from disrupt.client.connection import Connection
from disrupt.client.failures import failure
from disrupt.errors import (
    DisruptError,
    NotSignedYetError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)

_CALL_S = 30.0
"""Deadline of a call; the page waits twice as long for its answer."""
_HEALTH_S = 2.0
_CHANNELS = 4
"""Connections to the server, to reach several of its workers."""
_RETRY_AFTER_S = 5.0
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

    async def call(self, method: str, request: bytes) -> bytes:
        """Return the encoded answer to an encoded request.

        Raises what the server's error says. What concerns the gateway alone, its key and its
        connection, is UnavailableError to the caller, and a line of the log.
        """
        call: Any = next(self._next_channel).unary_unary(method)
        try:
            answer: bytes = await call(request, timeout=_CALL_S, metadata=self._connection.metadata)
        except grpc.RpcError as error:
            raise self._for_caller(failure(error, self._connection.server)) from None
        return answer

    async def is_serving(self) -> bool:
        """Tell whether the server says that it serves."""
        check: Any = self._channels[0].unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        try:
            answer = await check(HealthCheckRequest(), timeout=_HEALTH_S)
        except grpc.RpcError as error:
            self._for_caller(failure(error, self._connection.server))
            return False
        serving: bool = answer.status == HealthCheckResponse.SERVING
        return serving

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()

    def _for_caller(self, error: DisruptError) -> DisruptError:
        if isinstance(error, UnauthenticatedError | PermissionDeniedError):
            self._report("gateway_key_refused", error.reason)
        elif isinstance(error, UnavailableError) and not isinstance(error, NotSignedYetError):
            self._report("server_unavailable", error.reason)
        else:
            return error
        return UnavailableError(
            "The service does not answer at the moment. Try again.", retry_after_s=_RETRY_AFTER_S
        )

    def _report(self, event: str, reason: str) -> None:
        now_s = time.monotonic()
        if now_s - self._reported_s.get(event, -_REPORTED_EVERY_S) >= _REPORTED_EVERY_S:
            self._reported_s[event] = now_s
            _log.error(event, reason=reason)
