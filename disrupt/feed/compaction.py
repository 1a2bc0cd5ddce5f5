"""Merge changes since the served generation into a new one, without reading all the registry."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from disrupt.core.changes import Addition, Cursor
from disrupt.core.media import StoredItem
from disrupt.core.progress import Progress, quiet
from disrupt.errors import CursorExpiredError, SnapshotRefusedError
from disrupt.feed.rebuild import Rebuilt
from disrupt.feed.walk import additions, walk
from disrupt.index import manifest as manifests
from disrupt.index.columns import Columns, columns
from disrupt.index.generations import (
    current,
    directory_of,
    locked,
    open_generation,
    publish_locked,
)
from disrupt.index.snapshot import Snapshot
from disrupt.index.writing import inserted, remaining
from disrupt.registry.contract import RegistryReader

_SHARE = 20
"""Added hashes, as one in this many of the generation's, that make compaction due: in each worker's
own tables, they take as much memory as the generation's shared tables do."""


def compact(reader: RegistryReader, index_dir: Path, progress: Progress = quiet) -> Rebuilt:
    """Publish what a rebuild would, from the served generation and the changes after it.

    Holds in memory the items that became LIVE again since, as every worker does.

    SnapshotRefusedError where that generation is damaged: then only a rebuild helps.
    DataDirectoryError while another process writes the index.
    """
    with locked(index_dir):
        # Read within the lock, generation first. A generation published meanwhile could be newer
        # than the head, and one erased meanwhile would come back.
        base = open_generation(index_dir, current(index_dir), reader)
        head = reader.head()
        content = _content(reader, base, head, progress)
        return Rebuilt.of(publish_locked(index_dir, content, head, progress))


def is_due(reader: RegistryReader, index_dir: Path, least_hashes: int) -> bool:
    """Tell whether enough has changed since the served generation to slow lookups.

    That is ``least_hashes``, and a twentieth of what it holds; a change that adds none counts as
    one. False where there is no generation of this registry.
    """
    try:
        manifest = manifests.read(directory_of(index_dir, current(index_dir)))
        changed = reader.hashes_since(manifest.cursor)
    except (SnapshotRefusedError, CursorExpiredError):
        return False
    return changed >= max(least_hashes, manifest.hashes // _SHARE)


def _content(
    reader: RegistryReader, base: Snapshot, head: Cursor, progress: Progress
) -> Iterator[Columns]:
    if base.cursor.sequence > head.sequence:
        raise SnapshotRefusedError(
            f"Generation {base.generation:08d} is newer than what the registry holds: nothing was"
            " published. Run `disrupt-index rebuild`."
        )
    gone, returned = set[int](), dict[int, StoredItem]()
    for change in walk(reader, base.cursor, reader.head()):
        if isinstance(change, Addition):
            continue
        gone.add(change.number)
        returned.pop(change.number, None)
        # Not from after the head: an item that was added since is none of this generation's.
        if change.item is not None and change.sequence <= head.sequence:
            returned[change.number] = change.item
    added = map(columns, additions(reader, base.cursor, head, progress))
    yield from inserted(chain(remaining(base, gone), added), returned)
