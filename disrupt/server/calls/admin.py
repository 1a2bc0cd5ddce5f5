"""AdminService for operators, answered by the writer on its Unix socket.

Two of its calls are answered to other machines, too, see ``internal``.
"""

from __future__ import annotations

from disrupt.admin.v1 import admin_pb2, admin_pb2_grpc
from disrupt.server.admin import DirectAdmin
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Context
from disrupt.server.calls.interceptors import caller


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """Answer the calls of proto/disrupt/admin/v1/admin.proto."""

    def __init__(self, registry: DirectAdmin, pool: Pool) -> None:
        self._registry = registry
        self._pool = pool

    async def CreateKey(  # noqa: N802 gRPC's name
        self, request: admin_pb2.CreateKeyRequest, _context: Context
    ) -> admin_pb2.CreateKeyResponse:
        """Make a key."""
        return await self._pool.run(self._registry.create, request)

    async def ListKeys(  # noqa: N802 gRPC's name
        self, _request: admin_pb2.ListKeysRequest, _context: Context
    ) -> admin_pb2.ListKeysResponse:
        """List keys."""
        return await self._pool.run(self._registry.list)

    async def RotateKey(  # noqa: N802 gRPC's name
        self, request: admin_pb2.RotateKeyRequest, _context: Context
    ) -> admin_pb2.RotateKeyResponse:
        """Make a key that replaces another."""
        return await self._pool.run(self._registry.rotate, request)

    async def ChangeKey(  # noqa: N802 gRPC's name
        self, request: admin_pb2.ChangeKeyRequest, _context: Context
    ) -> admin_pb2.ChangeKeyResponse:
        """Change a key."""
        return await self._pool.run(self._registry.change, request)

    async def NoteKeyUses(  # noqa: N802 gRPC's name
        self, request: admin_pb2.NoteKeyUsesRequest, _context: Context
    ) -> admin_pb2.NoteKeyUsesResponse:
        """Note that keys were used today."""
        return await self._pool.run(self._registry.note_uses, request)

    async def SetQuota(  # noqa: N802 gRPC's name
        self, request: admin_pb2.SetQuotaRequest, _context: Context
    ) -> admin_pb2.SetQuotaResponse:
        """Set the quota of an organisation."""
        return await self._pool.run(self._registry.set_quota, request)

    async def RevokeKey(  # noqa: N802 gRPC's name
        self, request: admin_pb2.RevokeKeyRequest, _context: Context
    ) -> admin_pb2.RevokeKeyResponse:
        """Revoke a key."""
        return await self._pool.run(self._registry.revoke, request)

    async def CreateBank(  # noqa: N802 gRPC's name
        self, request: admin_pb2.CreateBankRequest, _context: Context
    ) -> admin_pb2.CreateBankResponse:
        """Make a bank, or complete the test bank."""
        return await self._pool.run(self._registry.create_bank, request)

    async def ListBanks(  # noqa: N802 gRPC's name
        self, _request: admin_pb2.ListBanksRequest, _context: Context
    ) -> admin_pb2.ListBanksResponse:
        """List banks."""
        return await self._pool.run(self._registry.list_banks)

    async def SetBank(  # noqa: N802 gRPC's name
        self, request: admin_pb2.SetBankRequest, _context: Context
    ) -> admin_pb2.SetBankResponse:
        """Change a bank."""
        return await self._pool.run(self._registry.set_bank, request)

    async def RecordOutcome(  # noqa: N802 gRPC's name
        self, request: admin_pb2.RecordOutcomeRequest, _context: Context
    ) -> admin_pb2.RecordOutcomeResponse:
        """Note what came of a match; for another machine, in the name of its caller's key."""
        if (key := caller.get(None)) is not None:
            request.organisation = key.organisation
        return await self._pool.run(self._registry.record, request)

    async def Checkpoint(  # noqa: N802 gRPC's name
        self, _request: admin_pb2.CheckpointRequest, _context: Context
    ) -> admin_pb2.CheckpointResponse:
        """Clear the registry's log."""
        return await self._pool.run(self._registry.checkpoint)
