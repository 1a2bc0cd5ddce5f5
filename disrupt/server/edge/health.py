"""Report the health of each service over gRPC's health protocol: see docs/watch.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from disrupt.server.edge.receiving import Context
from disrupt.server.metrics import families

OVERALL = ""
MATCH = "disrupt.v1.MatchService"
FEED = "disrupt.v1.FeedService"
REGISTRATION = "disrupt.v1.RegistrationService"

LOOKUPS = "disrupt.lookups"
"""Serves while lookups are answered, however stale: for clients that choose among machines."""

_LOOK_S = 0.5
"""Pause between two looks at a status that somebody watches."""

_STATES = health_pb2.HealthCheckResponse

_log = structlog.get_logger(__name__)


class Health(health_pb2_grpc.HealthServicer):
    """The statuses of one process, and the calls that ask for them. For one event loop.

    grpc_health's own servicer writes to watchers while it holds the lock that a change of status
    needs, so that one that reads nothing would keep statuses from changing.
    """

    def __init__(self) -> None:
        """Start with no service known."""
        self._serving: dict[str, bool] = {}
        self._stopping = False

    def not_serving(self) -> list[str]:
        """Return the services that do not serve."""
        return [service for service, serving in self._serving.items() if not serving]

    def show(self) -> None:
        """Set the metric of what serves."""
        for service, serving in self._serving.items():
            if service:
                families.SERVING.set(service, value=serving)

    def set(self, service: str, *, serving: bool, reason: str) -> None:
        """Set whether a service serves; ``reason`` is logged, as an error, if it does not."""
        if serving != self._serving.get(service):
            if not serving:
                _log.error("not_serving", service=service, reason=reason)
            elif service in self._serving:
                _log.info("serving_again", service=service)
            self._serving[service] = serving

    def stop(self) -> None:
        """Report from now on that nothing serves, since the process is about to end."""
        self._stopping = True

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Answer with a service's status; NOT_FOUND for one that is not known."""
        status = self._status(request.service)
        if status == _STATES.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return _STATES(status=status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, _context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield a service's status, and again each time it changes."""
        sent = None
        while True:
            status = self._status(request.service)
            if status != sent:
                sent = status
                yield _STATES(status=status)
            await asyncio.sleep(_LOOK_S)

    def _status(self, service: str) -> int:
        serving = self._serving.get(service)
        if serving is None:
            return _STATES.SERVICE_UNKNOWN
        return _STATES.SERVING if serving and not self._stopping else _STATES.NOT_SERVING
