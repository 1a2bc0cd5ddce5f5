"""Open the list that archives are matched against: all that lookups find, or what is new of it."""

from __future__ import annotations

from pathlib import Path

from disrupt import ownership
from disrupt.core.changes import Cursor, shown_item
from disrupt.core.media import StoredItem
from disrupt.data_directory import DataDirectory
from disrupt.distinctiveness.limits import check_limits
from disrupt.errors import CursorExpiredError
from disrupt.index.columns import columns_of
from disrupt.index.generations import open_current, publish
from disrupt.index.live import LiveIndex
from disrupt.registry import opening
from disrupt.registry.registry import RegistryReader
from disrupt.registry.walk import pages, walk


class _Copied:
    """History of an index whose registry is elsewhere: it is taken as it is."""

    def knows(self, _cursor: Cursor) -> bool:
        return True

    def lacks(self) -> None:
        """Nothing is noted beside it."""


def open_list(data_dir: Path) -> LiveIndex:
    """Open the index of a data directory, level with the registry as of now.

    Without a registry beside it, a copied index is opened as of its own cursor. Errors as of
    ``open_current`` and ``opening.reading``.
    """
    ownership.check(data_dir)
    directory = DataDirectory(data_dir)
    if not any(data_dir.glob("registry.*")):  # nor a note of one
        return _warm(LiveIndex(open_current(directory.index, _Copied())))
    with opening.reading(directory) as reader:
        live = LiveIndex(open_current(directory.index, reader))
        for changes, cursor in pages(reader, live.cursor, reader.head()):
            live.apply(changes, cursor)
    return _warm(live)


def publish_new(reader: RegistryReader, since: Cursor, data_dir: Path) -> None:
    """Publish, in a directory of its own, an index of what lookups find since a cursor.

    That is what was registered after it, and what was hidden and is shown again.
    CursorExpiredError if the registry does not know the cursor.
    """
    if not reader.knows(since):
        raise CursorExpiredError(
            "The registry does not know this cursor: it was restored since, or is another one."
            " Nothing was done. Scan without --since."
        )
    head = reader.head()
    shown: dict[int, StoredItem] = {}
    for change in walk(reader, since, head):
        item = shown_item(change)
        if item is None:
            shown.pop(change.number, None)
        else:
            shown[change.number] = item
    directory = DataDirectory(data_dir)
    directory.make()
    publish(directory.index, [columns_of(shown.values())] if shown else [], head)


def _warm(live: LiveIndex) -> LiveIndex:
    live.snapshot.warm()
    if live.compiled:
        check_limits()
    return live
