"""FeedService, answered by a worker from the registry."""

from __future__ import annotations

from disrupt.core.changes import Addition, Change, Cursor
from disrupt.core.policy import ApiKey
from disrupt.registry.contract import RegistryReader
from disrupt.server.following import Following
from disrupt.server.interceptors import Context, caller
from disrupt.server.pool import Pool
from disrupt.v1 import feed_pb2, feed_pb2_grpc
from disrupt.wire import feed as wire

_PAGE_BYTES = 2 * 2**20
"""Hashes in one page, about: a client takes messages of 4 MiB unless it says otherwise."""

_THREADS = 2
_QUEUED = 64


class FeedServicer(feed_pb2_grpc.FeedServiceServicer):
    """See proto/disrupt/v1/feed.proto."""

    def __init__(self, reader: RegistryReader, following: Following) -> None:
        self._reader = reader
        self._following = following
        self._reading = Pool("feed", threads=_THREADS, queued=_QUEUED)

    async def ListChanges(  # noqa: N802 gRPC's name
        self, request: feed_pb2.ListChangesRequest, _context: Context
    ) -> feed_pb2.ListChangesResponse:
        """Lists changes after a cursor, a page at a time."""
        size = wire.page_size(request)
        after = Cursor.from_text(request.cursor) if request.cursor else None
        return await self._reading.run(self._page, after, size, caller.get())

    def _page(self, after: Cursor | None, size: int, key: ApiKey) -> feed_pb2.ListChangesResponse:
        head = self._reader.head()
        if after is None:
            after = Cursor(head.epoch, 0)
        changes, cursor = self._reader.changes(after, size)
        page, bank_names = feed_pb2.ListChangesResponse(), self._following.ring.bank_names
        filled_bytes = 0
        for change in changes:
            size_bytes, bank = _size_and_bank(change)
            if filled_bytes and filled_bytes + size_bytes > _PAGE_BYTES:
                break
            filled_bytes += size_bytes
            after = Cursor(cursor.epoch, change.sequence)
            if bank in key.banks and bank in bank_names:
                page.changes.append(wire.change(change, bank_names))
        else:
            after = cursor
        page.next_cursor = after.to_text()
        page.caught_up = after.sequence >= head.sequence
        return page


def _size_and_bank(change: Change) -> tuple[int, int]:
    if isinstance(change, Addition):
        return change.item.fingerprints.nbytes, change.item.bank
    return len(change.item_id), change.bank
