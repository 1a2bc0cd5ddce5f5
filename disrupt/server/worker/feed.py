"""FeedService, answered by a worker from the registry."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from disrupt.core.changes import Change, Cursor, shown_item
from disrupt.core.examples import EXAMPLE_IDS
from disrupt.core.media import ITEM_ID_BYTES
from disrupt.core.mirrors import MirrorReport
from disrupt.core.policy import ApiKey
from disrupt.errors import CursorExpiredError, UnavailableError
from disrupt.registry.registry import RegistryReader
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import caller
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Context
from disrupt.server.metrics import families
from disrupt.server.worker.relay import Relay
from disrupt.server.worker.state import WorkerState
from disrupt.services.cursors import SealedCursors
from disrupt.v1 import feed_pb2
from disrupt.wire import admin as wire_admin
from disrupt.wire import feed as wire

_PAGE_BYTES = 2 * 2**20
"""Bytes of hashes in one page, about: a client takes messages of 4 MiB unless it says otherwise."""

_PASSING_S = 2.0
"""Longest time to pass over changes in other banks for a page, which may then be empty."""

_RECORD = "/disrupt.admin.v1.AdminService/RecordOutcome"
_NOTE = "/disrupt.admin.v1.AdminService/NoteMirror"

_THREADS = 2
_QUEUED = 10_000
"""Pages that may wait; admission bounds them, and callers take turns."""


class FeedServicer:
    """Answer the calls of proto/disrupt/v1/feed.proto."""

    def __init__(
        self,
        config: Config,
        reader: RegistryReader,
        state: WorkerState,
        relay: Relay,
        cursors: SealedCursors,
    ) -> None:
        self._max_age_s = round(config.mirror_max_age_s)
        self._reader = reader
        self._state = state
        self._relay = relay
        self._cursors = cursors
        self._reading = Pool("feed", threads=_THREADS, queued=_QUEUED)

    async def ListChanges(
        self, request: feed_pb2.ListChangesRequest, _context: Context
    ) -> feed_pb2.ListChangesResponse:
        """List changes after a cursor, a page at a time."""
        size = wire.page_size(request)
        after = self._cursors.open(request.cursor) if request.cursor else None
        return await self._reading.run(self._page, after, size, caller.get())

    async def ReportMirror(
        self, request: feed_pb2.ReportMirrorRequest, context: Context
    ) -> feed_pb2.ReportMirrorResponse:
        """Let the writer keep how far a mirror has come."""
        version, key = wire.mirror_version(request), caller.get()
        report = await self._reading.run(self._report, request, version, key)
        await self._relay(_NOTE, wire_admin.mirror_request(report).SerializeToString(), context)
        return wire.mirror_answer()

    async def ReportItemOutcome(
        self, request: feed_pb2.ReportItemOutcomeRequest, context: Context
    ) -> feed_pb2.ReportItemOutcomeResponse:
        """Let the writer note what came of a match that a mirror answered."""
        key = caller.get()
        report = wire.item_outcome(request, key.organisation)
        relayed = wire_admin.record_request(report, self._banks(key)).SerializeToString()
        if report.item_id not in EXAMPLE_IDS:  # which are in no statistic
            await self._relay(_RECORD, relayed, context)
            families.OUTCOMES.add(report.outcome.name.lower(), report.organisation)
        return wire.item_outcome_answer()

    def _banks(self, key: ApiKey) -> frozenset[int]:
        return key.banks & self._state.ring.bank_names.keys()

    def _report(
        self, request: feed_pb2.ReportMirrorRequest, version: str, key: ApiKey
    ) -> MirrorReport:
        """Return what a mirror reports, without its own time."""
        _, level_s = self._opened(request.applied_cursor)
        report = MirrorReport(key.key_id, 0, level_s, 0, version)
        if not request.erased_cursor:
            return report
        now_s = int(time.time())
        erased, newest_at_s = self._opened(request.erased_cursor)
        if not self._reader.removed_since(erased, self._banks(key)):
            newest_at_s = now_s
        return replace(report, clean_s=newest_at_s)

    def _opened(self, text: str) -> tuple[Cursor, int]:
        """Open a cursor of this registry, with the time at which nothing followed it."""
        cursor, newest_at_s = self._cursors.open_dated(text)
        if not self._reader.knows(cursor):
            raise CursorExpiredError(
                "The registry does not know this cursor: it was restored since. Start over from the"
                " beginning."
            )
        return cursor, newest_at_s

    def _page(self, after: Cursor | None, size: int, key: ApiKey) -> feed_pb2.ListChangesResponse:
        """Make a page that does not depend on changes in other banks than those of ``key``."""
        if self._reader.lacks():  # else mirrors would start over with what was withdrawn since
            raise UnavailableError("The registry is an older copy. Try again once it is replaced.")
        began_s, banks = int(time.time()), self._banks(key)
        head = self._reader.head()
        if after is None:
            after = Cursor(head.epoch, 0)
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
        caught_up = after.sequence >= head.sequence
        return wire.page(
            changes[:count],
            [bank for bank in self._state.ring.banks if bank.number in banks],
            self._cursors.seal(after, newest_at_s=began_s if caught_up else 0),
            caught_up=caught_up,
            answered_at_s=began_s,
            max_age_s=self._max_age_s,
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
