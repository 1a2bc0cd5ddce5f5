"""ReportOutcome as the writer answers it; workers relay it, and answer the rest of MatchService."""

from __future__ import annotations

from disrupt.isolation.fair_queue import turn_of
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Context
from disrupt.server.calls.relay import relayed_for
from disrupt.server.days import now_s, today
from disrupt.services.reports import Reports
from disrupt.v1 import match_pb2, match_pb2_grpc
from disrupt.wire import match as wire


class ReportingServicer(match_pb2_grpc.MatchServiceServicer):
    """Answer the one call of MatchService that writes. Callers take turns at the pool."""

    def __init__(self, reports: Reports, pool: Pool) -> None:
        self._reports = reports
        self._pool = pool

    async def ReportOutcome(  # noqa: N802 gRPC's name
        self, request: match_pb2.ReportOutcomeRequest, context: Context
    ) -> match_pb2.ReportOutcomeResponse:
        """Record what came of a match."""
        match_id, outcome = wire.report(request)
        caller = relayed_for(context)
        turn_of.set(caller)
        await self._pool.run(
            self._reports.report,
            match_id,
            outcome,
            caller=caller,
            day=today(),
            at_s=now_s(),
        )
        return wire.reported_answer()
