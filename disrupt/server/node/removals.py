"""RemovalsService: the list of removals of a machine that answers lookups, for one that writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from disrupt.admin.v1 import removals_pb2
from disrupt.feed.removals import RemovalList
from disrupt.server.edge.receiving import Context
from disrupt.wire import removals as wire

SERVICE = removals_pb2.DESCRIPTOR.services_by_name["RemovalsService"]


class RemovalsServicer:
    """Answer the calls of proto/disrupt/admin/v1/removals.proto."""

    def __init__(self, removals: RemovalList) -> None:
        self._removals = removals

    async def ReadRemovals(
        self, _request: removals_pb2.ReadRemovalsRequest, _context: Context
    ) -> AsyncIterator[removals_pb2.ReadRemovalsResponse]:
        """Return the list."""
        for part in wire.parts(await asyncio.to_thread(self._removals.read)):
            yield part
