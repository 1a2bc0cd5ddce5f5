"""Read the registry's feed from a cursor to its head."""

from __future__ import annotations

from collections.abc import Iterator

from disrupt.core.changes import Change, Cursor
from disrupt.core.media import StoredItems
from disrupt.core.progress import Progress, quiet
from disrupt.errors import DisruptError
from disrupt.registry.registry import RegistryReader

_PAGE_CHANGES = 1000
_PAGE_ITEMS = 4096
_READING = "Reading the registry"


def pages(
    reader: RegistryReader, after: Cursor, head: Cursor
) -> Iterator[tuple[list[Change], Cursor]]:
    """Yield changes after a cursor up to ``head``, oldest first, and the cursor after each page."""
    cursor = after
    while cursor.sequence < head.sequence:
        changes, cursor = reader.changes(cursor, _PAGE_CHANGES)
        if not changes and cursor.sequence < head.sequence:
            raise DisruptError("The registry's feed ends before its head.")
        if cursor.sequence > head.sequence:
            cursor = head
        yield [change for change in changes if change.sequence <= head.sequence], cursor


def walk(reader: RegistryReader, after: Cursor, head: Cursor) -> Iterator[Change]:
    """Yield what ``pages`` does, change by change."""
    for changes, _ in pages(reader, after, head):
        yield from changes


def matched_items(
    reader: RegistryReader, after: int, head: Cursor, progress: Progress = quiet
) -> Iterator[StoredItems]:
    """Yield the items of numbers over ``after`` that lookups find as of ``head``, by number.

    Some thousands at a time.
    """
    read = 0
    while len(items := reader.matched_items(after, head, _PAGE_ITEMS)):
        yield items
        after = int(items.number[-1])
        read += len(items)
        progress(_READING, read, head.sequence)  # No more items than changes.
    progress(_READING, head.sequence, head.sequence)
