"""ErasureService: workers relay its calls, and the writer answers them and erases in time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from grpc import aio

from disrupt.errors import DisruptError
from disrupt.isolation.fair_queue import turn_of
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Context
from disrupt.server.calls.relay import Relay, relayed_for
from disrupt.server.days import now_s, today
from disrupt.services.case_erasures import CaseErasures
from disrupt.v1 import erasure_pb2, erasure_pb2_grpc
from disrupt.wire import erasure as wire

ERASE_LOOK_S = 30.0
"""Pause between two looks at what is due. What falls due in between, or while no server runs, is
erased by the next."""

_log = structlog.get_logger(__name__)


class RelayingErasureServicer(erasure_pb2_grpc.ErasureServiceServicer):
    """Relay the calls of proto/disrupt/v1/erasure.proto to the writer."""

    def __init__(self, channel: aio.Channel, relay: Relay) -> None:
        self._writer = erasure_pb2_grpc.ErasureServiceStub(channel)
        self._relay = relay

    async def RequestErasure(  # noqa: N802 gRPC's name
        self, request: erasure_pb2.RequestErasureRequest, context: Context
    ) -> erasure_pb2.RequestErasureResponse:
        """Request the erasure of a case."""
        return await self._relay(self._writer.RequestErasure, request, context)

    async def ConfirmErasure(  # noqa: N802 gRPC's name
        self, request: erasure_pb2.ConfirmErasureRequest, context: Context
    ) -> erasure_pb2.ConfirmErasureResponse:
        """Confirm a request, with a second key."""
        return await self._relay(self._writer.ConfirmErasure, request, context)

    async def CancelErasure(  # noqa: N802 gRPC's name
        self, request: erasure_pb2.CancelErasureRequest, context: Context
    ) -> erasure_pb2.CancelErasureResponse:
        """Cancel the erasure of a case."""
        return await self._relay(self._writer.CancelErasure, request, context)


class ErasureServicer(erasure_pb2_grpc.ErasureServiceServicer):
    """Answer the calls of ErasureService that workers relay. Callers take turns at the pool."""

    def __init__(self, erasures: CaseErasures, pool: Pool) -> None:
        self._erasures = erasures
        self._pool = pool

    async def RequestErasure(  # noqa: N802 gRPC's name
        self, request: erasure_pb2.RequestErasureRequest, context: Context
    ) -> erasure_pb2.RequestErasureResponse:
        """Request the erasure of a case."""
        erasure = await self._run(self._erasures.request, wire.case_number(request), context)
        return wire.requested_answer(erasure)

    async def ConfirmErasure(  # noqa: N802 gRPC's name
        self, request: erasure_pb2.ConfirmErasureRequest, context: Context
    ) -> erasure_pb2.ConfirmErasureResponse:
        """Confirm a request, with a second key."""
        confirm = partial(self._erasures.confirm, day=today())
        erasure = await self._run(confirm, wire.case_number(request), context)
        return wire.confirmed_answer(erasure)

    async def CancelErasure(  # noqa: N802 gRPC's name
        self, request: erasure_pb2.CancelErasureRequest, context: Context
    ) -> erasure_pb2.CancelErasureResponse:
        """Cancel the erasure of a case."""
        cancel = partial(self._erasures.cancel, day=today())
        was_requested = await self._run(cancel, wire.case_number(request), context)
        return wire.cancelled_answer(was_requested=was_requested)

    async def _run(self, use_case: Callable[..., Any], number: str, context: Context) -> Any:  # noqa: ANN401 what the use case returns
        caller = relayed_for(context)
        turn_of.set(caller)
        return await self._pool.run(use_case, number, caller=caller, at_s=now_s())


async def erase_due_cases(erasures: CaseErasures, pool: Pool) -> None:
    """Erase, in the writer, the cases that are due. What fails is logged: the next look repeats."""
    try:
        erased = await pool.run(partial(erasures.complete_due, day=today(), at_s=now_s()))
    except DisruptError as error:
        _log.error("case_erasure_failed", reason=error.message)
        return
    if erased:
        _log.info("cases_erased", cases=erased)
