"""Watches of the server's health, which hold nobody up."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from grpc_health.v1 import health, health_pb2

from disrupt.server.admission.receiving import Context

_LOOK_S = 0.5

_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthServicer(health.aio.HealthServicer):
    """grpc_health's, but for watches: there, one that reads nothing keeps statuses from changing.

    It writes with a lock held that whoever changes a status needs, too.
    """

    async def Watch(  # noqa: N802 gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> NoReturn:
        """Tell a service's status, and each time that it is another."""
        told = None
        while True:
            status = self._server_status.get(request.service, _UNKNOWN)  # type: ignore[attr-defined]
            if status != told:
                told = status
                await context.write(health_pb2.HealthCheckResponse(status=status))
            await asyncio.sleep(_LOOK_S)
