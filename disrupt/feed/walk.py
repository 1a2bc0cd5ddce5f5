"""Reading the registry's feed from the beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from disrupt.core.changes import Change, Cursor
from disrupt.errors import DisruptError
from disrupt.registry.contract import RegistryReader

_PAGE_CHANGES = 1000

Progress = Callable[[int, int], None]
"""Called now and then with the sequence that was reached and the one to reach."""


def pages(
    reader: RegistryReader, after: Cursor, head: Cursor, progress: Progress
) -> Iterator[tuple[list[Change], Cursor]]:
    """Changes after a cursor up to ``head``, oldest first, and the cursor after each page."""
    cursor = after
    while cursor.sequence < head.sequence:
        changes, cursor = reader.changes(cursor, _PAGE_CHANGES)
        if not changes and cursor.sequence < head.sequence:
            raise DisruptError("The registry's feed ends before its head.")
        if cursor.sequence > head.sequence:
            cursor = head
        yield [change for change in changes if change.sequence <= head.sequence], cursor
        progress(cursor.sequence, head.sequence)


def walk(
    reader: RegistryReader, after: Cursor, head: Cursor, progress: Progress
) -> Iterator[Change]:
    """The same, change by change."""
    for changes, _ in pages(reader, after, head, progress):
        yield from changes


def quiet(_reached: int, _to_reach: int) -> None:
    """Progress that nobody watches."""
