"""AdminService for operators, answered by the writer on its Unix socket only."""

from __future__ import annotations

from disrupt.admin.v1 import admin_pb2, admin_pb2_grpc
from disrupt.server.admin import DirectAdmin
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Context


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

    async def RevokeKey(  # noqa: N802 gRPC's name
        self, request: admin_pb2.RevokeKeyRequest, _context: Context
    ) -> admin_pb2.RevokeKeyResponse:
        """Revoke a key."""
        return await self._pool.run(self._registry.revoke, request)

    async def Checkpoint(  # noqa: N802 gRPC's name
        self, _request: admin_pb2.CheckpointRequest, _context: Context
    ) -> admin_pb2.CheckpointResponse:
        """Clear the registry's log."""
        return await self._pool.run(self._registry.checkpoint)
