"""RegistrationService as the writer answers it, for the calls that workers relay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from disrupt.audit.entries import LeafId
from disrupt.audit.receipts import WithdrawalReceipt
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Context, Decode
from disrupt.server.edge.shares import Resource, holder
from disrupt.server.edge.today import today
from disrupt.server.writer.pin_waits import PinWaits
from disrupt.services.cursors import SealedCursors
from disrupt.services.registration import Registrar
from disrupt.v1 import registration_pb2
from disrupt.wire import registration as wire


class RegistrationServicer:
    """Answer the calls of RegistrationService that workers relay; pictures do not come here.

    Registrations have a pool of their own, so that withdrawals do not wait for them to be read.
    """

    def __init__(
        self,
        registrar: Registrar,
        decode: Decode,
        pool: Pool,
        registering: Pool,
        cursors: SealedCursors,
        receipt: Callable[[LeafId], WithdrawalReceipt],
    ) -> None:
        """``receipt`` is that of ``AuditKeeper``."""
        self._registrar = registrar
        self._decode = decode
        self._pool = pool
        self._registering = registering
        self._cursors = cursors
        self._receipt = receipt
        self._pin_waits = PinWaits()

    async def RegisterHashes(
        self,
        request: bytes,  # decoded in the thread that stores it
        _context: Context,
    ) -> registration_pb2.RegisterHashesResponse:
        """Register media items."""
        by, call = holder.get(), asyncio.current_task()
        by.take_until_done(call, Resource.WRITTEN_BYTES, len(request))
        job = partial(self._register, request, caller=by.key_id, day=today())
        return await self._pin_waits.run(self._registering, job)

    def _register(
        self, data: bytes, *, caller: str, now_s: float, day: str
    ) -> registration_pb2.RegisterHashesResponse:
        request = wire.registration(self._decode(data))
        receipt = self._registrar.register(request, caller=caller, now_s=now_s, day=day)
        # a replayed answer is the same in every byte
        cursor = self._cursors.seal(receipt.cursor, same=True) if receipt.cursor else ""
        return wire.registered_answer(receipt, cursor)

    async def GetCase(
        self, request: registration_pb2.GetCaseRequest, _context: Context
    ) -> registration_pb2.GetCaseResponse:
        """Show a case."""
        access = wire.access(request.access)
        case = await self._run(self._registrar.show, access, day=today())
        return wire.case_answer(case)

    async def WithdrawItems(
        self, request: registration_pb2.WithdrawItemsRequest, _context: Context
    ) -> registration_pb2.WithdrawItemsResponse:
        """Withdraw some items of a case."""
        access, named = wire.access(request.access), wire.named_items(request)
        case, done = await self._run(self._registrar.withdraw, access, *named, day=today())
        return wire.items_withdrawn_answer(
            case, done.items, self._cursors.seal(done.cursor), done.receipt
        )

    async def WithdrawCase(
        self, request: registration_pb2.WithdrawCaseRequest, _context: Context
    ) -> registration_pb2.WithdrawCaseResponse:
        """Withdraw a whole case."""
        access = wire.access(request.access)
        case, done = await self._run(self._registrar.withdraw, access, None, day=today())
        return wire.case_withdrawn_answer(
            case, done.items, self._cursors.seal(done.cursor), done.receipt
        )

    async def KeepCase(
        self, request: registration_pb2.KeepCaseRequest, _context: Context
    ) -> registration_pb2.KeepCaseResponse:
        """Keep a case that is about to be erased."""
        access, at_s = wire.access(request.access), int(time.time())
        case = await self._run(self._registrar.keep, access, day=today(), at_s=at_s)
        return wire.kept_answer(case)

    async def GetReceipt(
        self, request: registration_pb2.GetReceiptRequest, _context: Context
    ) -> registration_pb2.GetReceiptResponse:
        """Show the receipt of a withdrawal."""
        return wire.receipt_answer(await self._pool.run(self._receipt, wire.receipt_id(request)))

    async def GetChallenge(
        self, request: registration_pb2.GetChallengeRequest, _context: Context
    ) -> registration_pb2.GetChallengeResponse:
        """Give a challenge, if one is needed."""
        of, by = wire.challenged(request), holder.get().key_id
        job = partial(self._registrar.challenge, *of, caller=by, at_s=time.time(), day=today())
        return wire.challenge_answer(await self._pool.run(job))

    async def _run(self, use_case: Callable[..., Any], *args: object, **kwargs: object) -> Any:  # noqa: ANN401 what the use case returns
        job = partial(use_case, *args, caller=holder.get().key_id, **kwargs)
        return await self._pin_waits.run(self._pool, job)
