"""Read the registry's feed from a cursor to its head."""

from __future__ import annotations

from collections.abc import Iterator

from disrupt.core.changes import Change, Cursor
from disrupt.core.media import StoredItems
from disrupt.core.progress import Progress, quiet
from disrupt.errors import DisruptError
from disrupt.registry.contract import RegistryReader

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


def additions(
    reader: RegistryReader, after: Cursor, head: Cursor, progress: Progress = quiet
) -> Iterator[StoredItems]:
    """Yield items added after a cursor up to ``head`` that are alive, some thousands at a time."""
    cursor = after
    while cursor.sequence < head.sequence:
        items, cursor = reader.additions(cursor, head, _PAGE_ITEMS)
        yield items
        progress(_READING, cursor.sequence - after.sequence, head.sequence - after.sequence)
