"""RemovalsService: the list of removals of a machine that answers lookups, for one that writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from disrupt.admin.v1 import removals_pb2, removals_pb2_grpc
from disrupt.feed.removals import RemovalList
from disrupt.server.admission.receiving import Context

CALLS = ("/disrupt.admin.v1.RemovalsService/",)
"""Begins of the calls of this service."""

_PART_BYTES = 2**20


class RemovalsServicer(removals_pb2_grpc.RemovalsServiceServicer):
    """Answer the calls of proto/disrupt/admin/v1/removals.proto."""

    def __init__(self, removals: RemovalList) -> None:
        self._removals = removals

    async def ReadRemovals(  # noqa: N802 gRPC's name
        self, _request: removals_pb2.ReadRemovalsRequest, _context: Context
    ) -> AsyncIterator[removals_pb2.ReadRemovalsResponse]:
        """Return the list."""
        content = await asyncio.to_thread(self._removals.read)
        for first in range(0, len(content), _PART_BYTES):
            yield removals_pb2.ReadRemovalsResponse(part=content[first : first + _PART_BYTES])
