"""Answer calls about the server's health, so that a slow reader holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from grpc_health.v1 import health, health_pb2

from disrupt.server.admission.receiving import Context

_LOOK_S = 0.5

_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthServicer(health.aio.HealthServicer):
    """grpc_health's servicer with another Watch.

    grpc_health's Watch writes while it holds the lock that a change of status needs, so that a
    watcher which reads nothing keeps statuses from changing.
    """

    async def Watch(  # type: ignore[override]  # noqa: N802 gRPC's name; a generator
        self, request: health_pb2.HealthCheckRequest, _context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield a service's status, and again each time it changes."""
        sent = None
        while True:
            status = self._server_status.get(request.service, _UNKNOWN)  # type: ignore[attr-defined]
            if status != sent:
                sent = status
                yield health_pb2.HealthCheckResponse(status=status)
            await asyncio.sleep(_LOOK_S)
