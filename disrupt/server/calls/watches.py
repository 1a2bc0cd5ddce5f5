"""Answer calls about the server's health, so that a slow reader holds nobody up."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from grpc_health.v1 import health, health_pb2

from disrupt.server.admission.operations import outlasting
from disrupt.server.admission.receiving import Context

_LOOK_S = 0.5

_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthServicer(health.aio.HealthServicer):
    """grpc_health's servicer with another Watch.

    grpc_health's Watch writes while it holds the lock that a change of status needs, so that a
    watcher which reads nothing keeps statuses from changing.
    """

    async def Watch(  # noqa: N802 gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> NoReturn:
        """Send a service's status, and again each time it changes."""
        sent = None
        while True:
            status = self._server_status.get(request.service, _UNKNOWN)  # type: ignore[attr-defined]
            if status != sent:
                sent = status
                answer = health_pb2.HealthCheckResponse(status=status)
                await outlasting(context.write(answer))
            await asyncio.sleep(_LOOK_S)
