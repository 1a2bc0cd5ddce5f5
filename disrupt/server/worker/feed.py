"""FeedService, answered by a worker from the registry."""

from __future__ import annotations

import time
from collections.abc import Sequence

from disrupt.core.changes import Change, Cursor, shown_item
from disrupt.core.media import ITEM_ID_BYTES
from disrupt.core.policy import ApiKey
from disrupt.errors import UnavailableError
from disrupt.registry.registry import RegistryReader
from disrupt.server.edge.interceptors import caller
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Context
from disrupt.server.worker.state import WorkerState
from disrupt.services.cursors import SealedCursors
from disrupt.v1 import feed_pb2
from disrupt.wire import feed as wire

_PAGE_BYTES = 2 * 2**20
"""Bytes of hashes in one page, about: a client takes messages of 4 MiB unless it says otherwise."""

_PASSING_S = 2.0
"""Longest time to pass over changes in other banks for a page, which may then be empty."""

_THREADS = 2
_QUEUED = 10_000
"""Pages that may wait; admission bounds them, and callers take turns."""


class FeedServicer:
    """Answer the calls of proto/disrupt/v1/feed.proto."""

    def __init__(self, reader: RegistryReader, state: WorkerState, cursors: SealedCursors) -> None:
        self._reader = reader
        self._state = state
        self._cursors = cursors
        self._reading = Pool("feed", threads=_THREADS, queued=_QUEUED)

    async def ListChanges(
        self, request: feed_pb2.ListChangesRequest, _context: Context
    ) -> feed_pb2.ListChangesResponse:
        """List changes after a cursor, a page at a time."""
        size = wire.page_size(request)
        after = self._cursors.open(request.cursor) if request.cursor else None
        return await self._reading.run(self._page, after, size, caller.get())

    def _page(self, after: Cursor | None, size: int, key: ApiKey) -> feed_pb2.ListChangesResponse:
        """Make a page that does not depend on changes in other banks than those of ``key``."""
        if self._reader.lacks():  # else mirrors would start over with what was withdrawn since
            raise UnavailableError("The registry is an older copy. Try again once it is replaced.")
        head = self._reader.head()
        if after is None:
            after = Cursor(head.epoch, 0)
        bank_names = self._state.ring.bank_names
        banks = key.banks & bank_names.keys()
        changes, end, give_up_s = list[Change](), after, time.monotonic() + _PASSING_S
        read_bytes = 0
        while True:
            # Read one more than wanted, to see whether there are more.
            some, end = self._reader.changes(end, size + 1 - len(changes), banks)
            changes += some
            read_bytes += sum(map(_size_bytes, some))
            if len(changes) > size or read_bytes > _PAGE_BYTES or end.sequence >= head.sequence:
                break
            if time.monotonic() > give_up_s:
                break
        count = _count_that_fit(changes, size)
        if count == len(changes):
            after = end
        else:
            last = changes[count - 1]
            after = Cursor(end.epoch, last.sequence, last.mark)
        return wire.page(
            changes[:count],
            bank_names,
            self._cursors.seal(after),
            caught_up=after.sequence >= head.sequence,
        )


def _count_that_fit(changes: Sequence[Change], size: int) -> int:
    """Return how many changes, from the first on, one page has room for; at least one, if any."""
    filled_bytes = 0
    for count, change in enumerate(changes):
        filled_bytes += _size_bytes(change)
        if count and (count == size or filled_bytes > _PAGE_BYTES):
            return count
    return len(changes)


def _size_bytes(change: Change) -> int:
    item = shown_item(change)
    return ITEM_ID_BYTES if item is None else item.fingerprints.nbytes
