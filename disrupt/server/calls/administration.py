"""AdminService for operators and workers, answered by the writer on its Unix socket only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from disrupt.admin.v1 import admin_pb2, admin_pb2_grpc
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Context
from disrupt.server.days import now_s, today
from disrupt.server.upkeep.administration import InRegistry
from disrupt.services.far_lookups import FarLookups
from disrupt.wire import policy as wire

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


def _answered_by(
    method: Callable[[InRegistry, _Request], _Response], *, refreshes: bool = False
) -> Any:  # noqa: ANN401 a method, as which the generated servicer has no type
    """Make a call that a method of InRegistry answers, in a thread.

    ``refreshes`` says that it changes the negative bank.
    """

    async def call(self: AdminServicer, request: _Request, _context: Context) -> _Response:
        response = await self.pool.run(method, self.registry, request)
        if refreshes:
            await self.pool.run(self.refresh)
        return response

    return call


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """Answer the calls of proto/disrupt/admin/v1/admin.proto."""

    def __init__(
        self,
        registry: InRegistry,
        pool: Pool,
        lookups: FarLookups | None = None,
        refresh: Callable[[], None] = lambda: None,
    ) -> None:
        """Count lookups in ``lookups``; call ``refresh`` once the negative bank was changed."""
        self.registry = registry
        self.pool = pool
        self.refresh = refresh
        self._lookups = lookups

    CreateKey = _answered_by(InRegistry.create)
    ListKeys = _answered_by(InRegistry.list)
    RevokeKey = _answered_by(InRegistry.revoke)
    SetKey = _answered_by(InRegistry.change)
    RotateKey = _answered_by(InRegistry.rotate)
    NoteKeyUses = _answered_by(InRegistry.note_uses)
    ListOrganisations = _answered_by(InRegistry.organisations)
    SetOrganisation = _answered_by(InRegistry.set_organisation)
    CreateBank = _answered_by(InRegistry.create_bank)
    ListBanks = _answered_by(InRegistry.list_banks)
    SetBank = _answered_by(InRegistry.change_bank)
    AddNegatives = _answered_by(InRegistry.add_negatives, refreshes=True)
    ListNegatives = _answered_by(InRegistry.list_negatives)
    RemoveNegatives = _answered_by(InRegistry.remove_negatives, refreshes=True)
    SetItemStates = _answered_by(InRegistry.set_states)
    GetItemStates = _answered_by(InRegistry.get_states)
    Checkpoint = _answered_by(InRegistry.checkpoint)

    async def NoteFarLookups(  # noqa: N802 gRPC's name
        self, request: admin_pb2.NoteFarLookupsRequest, _context: Context
    ) -> admin_pb2.NoteFarLookupsResponse:
        """Count lookups that workers saw near to items."""
        if self._lookups is not None:
            counted = wire.sightings(request)
            await self.pool.run(
                self._lookups.add, request.day, counted, today=today(), at_s=now_s()
            )
        return wire.far_lookups_answer()
