"""RegistrationService as the writer answers it, for the calls that workers relay."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from disrupt.isolation.fair_queue import turn_of
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Context, Decode
from disrupt.server.calls.pin_waits import PinWaits
from disrupt.server.calls.relay import relayed_for
from disrupt.server.days import now_s as time_s
from disrupt.server.days import today
from disrupt.services.case_erasures import CaseErasures
from disrupt.services.cursors import SealedCursors
from disrupt.services.registration import Registrar
from disrupt.v1 import registration_pb2, registration_pb2_grpc
from disrupt.wire import registration as wire

_T = TypeVar("_T")


class RegistrationServicer(registration_pb2_grpc.RegistrationServiceServicer):
    """Answer the calls of RegistrationService that workers relay.

    Registrations have a pool of their own, so that withdrawals do not wait for them to be read.
    """

    def __init__(
        self,
        registrar: Registrar,
        erasures: CaseErasures,
        decode: Decode,
        pool: Pool,
        registering: Pool,
        cursors: SealedCursors,
    ) -> None:
        self._registrar = registrar
        self._erasures = erasures
        self._decode = decode
        self._pool = pool
        self._registering = registering
        self._cursors = cursors
        self._pin_waits = PinWaits()

    async def RegisterHashes(  # noqa: N802 gRPC's name
        self,
        request: bytes,  # type: ignore[override]  # decoded in the thread that stores it
        context: Context,
    ) -> registration_pb2.RegisterHashesResponse:
        """Register media items."""
        job = self._job(self._register, context, request, day=today())
        return await self._pin_waits.run(self._registering, job)

    def _register(
        self, data: bytes, *, caller: str, now_s: float, day: str
    ) -> registration_pb2.RegisterHashesResponse:
        request = wire.registration(self._decode(data))
        receipt = self._registrar.register(
            request, caller=caller, now_s=now_s, day=day, at_s=time_s()
        )
        # a replayed answer is the same in every byte
        cursor = self._cursors.seal(receipt.cursor, same=True) if receipt.cursor else ""
        return wire.registered_answer(receipt, cursor)

    async def GetCase(  # noqa: N802 gRPC's name
        self, request: registration_pb2.GetCaseRequest, context: Context
    ) -> registration_pb2.GetCaseResponse:
        """Show a case."""
        access = wire.access(request.access)
        case = await self._run(self._registrar.show, context, access, day=today())
        return wire.case_answer(case)

    async def WithdrawItems(  # noqa: N802 gRPC's name
        self, request: registration_pb2.WithdrawItemsRequest, context: Context
    ) -> registration_pb2.WithdrawItemsResponse:
        """Withdraw some items of a case."""
        access, item_ids = wire.access(request.access), wire.item_ids(request)
        case, cursor = await self._run(
            self._registrar.withdraw, context, access, item_ids, day=today()
        )
        return wire.items_withdrawn_answer(case, self._cursors.seal(cursor))

    async def WithdrawCase(  # noqa: N802 gRPC's name
        self, request: registration_pb2.WithdrawCaseRequest, context: Context
    ) -> registration_pb2.WithdrawCaseResponse:
        """Withdraw a whole case."""
        access = wire.access(request.access)
        case, cursor = await self._run(self._registrar.withdraw, context, access, None, day=today())
        return wire.case_withdrawn_answer(case, self._cursors.seal(cursor))

    async def KeepCase(  # noqa: N802 gRPC's name
        self, request: registration_pb2.KeepCaseRequest, context: Context
    ) -> registration_pb2.KeepCaseResponse:
        """Keep a case that staff were asked to erase."""
        access, day = wire.access(request.access), today()
        stop = partial(self._erasures.stop, day=day, at_s=time_s())
        case, cursor = await self._run(self._registrar.keep, context, access, stop, day=day)
        return wire.case_kept_answer(case, self._cursors.seal(cursor))

    async def RegisterImage(self, _request: object, _context: Context) -> Any:  # noqa: ANN401, N802
        """Raise: workers relay it as RegisterHashes, so pictures do not come here."""
        raise NotImplementedError

    async def RegisterVideo(self, _request: object, _context: Context) -> Any:  # noqa: ANN401, N802
        """Raise: workers relay it as RegisterHashes, so videos do not come here."""
        raise NotImplementedError

    async def _run(
        self, use_case: Callable[..., Any], context: Context, *args: object, **kwargs: object
    ) -> Any:  # noqa: ANN401 what the use case returns
        return await self._pin_waits.run(self._pool, self._job(use_case, context, *args, **kwargs))

    @staticmethod
    def _job(
        use_case: Callable[..., _T], context: Context, *args: object, **kwargs: object
    ) -> Callable[..., _T]:
        """Return the use case with its arguments and the caller; it still needs ``now_s``.

        Callers take turns at the pools.
        """
        caller = relayed_for(context)
        turn_of.set(caller)
        return partial(use_case, *args, caller=caller, **kwargs)
