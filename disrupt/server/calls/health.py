"""Report the health of each service over gRPC's health protocol: see docs/watch.md."""

from __future__ import annotations

import structlog
from grpc_health.v1 import health_pb2

from disrupt.server.calls.health_watch import HealthServicer

OVERALL = ""
MATCH = "disrupt.v1.MatchService"
FEED = "disrupt.v1.FeedService"
REGISTRATION = "disrupt.v1.RegistrationService"

_log = structlog.get_logger(__name__)


class Health:
    """The statuses of one process. A change for the worse is logged as an error."""

    def __init__(self) -> None:
        """Start with no service serving."""
        self.servicer = HealthServicer()
        self._serving: dict[str, bool] = {}

    def not_serving(self) -> list[str]:
        """Return the services that do not serve."""
        return [service for service, serving in self._serving.items() if not serving]

    async def set(self, service: str, *, serving: bool, reason: str) -> None:
        """Set whether a service serves; ``reason`` is logged if it does not."""
        if serving != self._serving.get(service):
            if not serving:
                _log.error("not_serving", service=service, reason=reason)
            elif service in self._serving:
                _log.info("serving_again", service=service)
            self._serving[service] = serving
        states = health_pb2.HealthCheckResponse
        await self.servicer.set(service, states.SERVING if serving else states.NOT_SERVING)
