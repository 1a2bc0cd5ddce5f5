"""The role of the change feed, which indexes and mirrors follow."""

from collections.abc import Collection, Sequence
from typing import Protocol

from disrupt.core.changes import Change, Cursor
from disrupt.core.media import StoredItems
from disrupt.registry.journal import Record

CHANGES_AT_ONCE = 50_000
"""Most changes that a read of some banks' changes scans: a tenth of a second or two."""

BYTES_AT_ONCE = 2 * 2**20
"""Most bytes of fingerprints in one read, unless one item has more: under six of the largest."""


class FeedReader(Protocol):
    """Read what changed, and whether this is the newest copy of the registry."""

    def head(self) -> Cursor:
        """Return the cursor of the newest change; sequence 0 in an empty registry."""

    def knows(self, cursor: Cursor) -> bool:
        """Tell whether the cursor is a point of this registry's history, in its present epoch.

        A copy of the registry that was made before that change does not know it, also when it has
        grown since to the same sequence.
        """

    def lacks(self) -> Cursor | None:
        """Head that was noted beside the registry and that it does not know: it is an older copy.

        None where there is no note.
        """

    def accept_head(self) -> None:
        """Note the head as the newest that this registry ever had, whatever was noted before."""

    def changes(
        self, after: Cursor, limit: int, banks: Collection[int] | None = None
    ) -> tuple[Sequence[Change], Cursor]:
        """Return up to ``limit`` (≥ 1) changes after a cursor, oldest first, and the next cursor.

        Fewer where they have more than ``BYTES_AT_ONCE``. With ``banks``, those of items in these
        banks, of the next ``CHANGES_AT_ONCE`` changes.

        No reader sees change n before every change ≤ n is visible. Numbers of items ascend with
        their additions. An item comes at most once: with its addition or, once its state has
        changed, with the newest change of that, if it is LIVE. An addition without its item comes
        as a removal.
        CursorExpiredError for a cursor that this registry does not know.
        """

    def additions(self, after: Cursor, until: Cursor, limit: int) -> tuple[StoredItems, Cursor]:
        """Return up to ``limit`` (≥ 1) LIVE items of those added after one cursor, up to another.

        In the order of their additions, and with the cursor to go on from, which is ``until`` after
        the last. Bounded by ``BYTES_AT_ONCE``, and CursorExpiredError, as for ``changes``.
        """

    def removed_since(self, cursor: Cursor) -> int:
        """Count the items that were there at a cursor and were removed since.

        An index as of that cursor still holds so many, but for those that were not LIVE then.
        Changes of state count as nothing. CursorExpiredError as for ``changes``.
        """

    def hashes_since(self, cursor: Cursor) -> int:
        """Count the hashes that came since a cursor, and one for each change that brings none.

        This estimates the cost of the changes to an index as of that cursor. CursorExpiredError as
        for ``changes``.
        """

    def journaled(self) -> list[Record]:
        """List what the journal of removals has to hold: items withdrawn, then keys revoked."""
