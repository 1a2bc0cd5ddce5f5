"""RemovalsService: the list of removals of a machine that answers lookups, for one that writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from disrupt.admin.v1 import removals_pb2
from disrupt.feed.removals import RemovalList
from disrupt.registry.registry import RegistryReader
from disrupt.server.edge.receiving import Context
from disrupt.upkeep import erasure
from disrupt.wire import removals as wire

SERVICE = removals_pb2.DESCRIPTOR.services_by_name["RemovalsService"]


class RemovalsServicer:
    """Answer the calls of proto/disrupt/admin/v1/removals.proto."""

    def __init__(self, removals: RemovalList, reader: RegistryReader, index_dir: Path) -> None:
        """Show a list, and what of the registry's removals the files of an index still hold."""
        self._removals = removals
        self._reader = reader
        self._index_dir = index_dir

    async def GetErased(
        self, _request: removals_pb2.GetErasedRequest, _context: Context
    ) -> removals_pb2.GetErasedResponse:
        """Say up to where the files hold nothing that was withdrawn."""
        return wire.erased_answer(
            *await asyncio.to_thread(erasure.clean_up_to, self._reader, self._index_dir)
        )

    async def ReadRemovals(
        self, _request: removals_pb2.ReadRemovalsRequest, _context: Context
    ) -> AsyncIterator[removals_pb2.ReadRemovalsResponse]:
        """Return the list."""
        for part in wire.parts(await asyncio.to_thread(self._removals.read)):
            yield part
