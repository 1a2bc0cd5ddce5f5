"""Merge changes since the served generation into a new one, without reading all the registry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from disrupt.core.changes import Addition, Cursor, shown_item
from disrupt.core.media import StoredItem
from disrupt.core.progress import Progress, quiet
from disrupt.errors import CursorExpiredError, SnapshotRefusedError
from disrupt.index import manifest as manifests
from disrupt.index.columns import Columns, columns, columns_of
from disrupt.index.generations import (
    check_history,
    current,
    directory_of,
    locked,
    open_generation,
    publish_locked,
)
from disrupt.index.snapshot import Snapshot
from disrupt.index.writing import merged, remaining
from disrupt.registry.registry import RegistryReader
from disrupt.registry.walk import matched_items, walk
from disrupt.upkeep.rebuild import Rebuilt

_SHARE = 20
"""Added hashes, as one in this many of the generation's, that make compaction due: in each worker's
own tables, they take as much memory as the generation's shared tables do."""


def compact(reader: RegistryReader, index_dir: Path, progress: Progress = quiet) -> Rebuilt:
    """Publish what a rebuild would, from the served generation and the changes after it.

    Holds in memory the items that were hidden and are shown again since, as every worker does.
    SnapshotRefusedError where that generation is damaged: then only a rebuild helps.
    OtherHistoryError where a newer registry was here. DataDirectoryError while another process
    writes the index.
    """
    with locked(index_dir):
        check_history(index_dir, reader)
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
    last = int(base.items["number"][-1]) if len(base.items) else 0
    gone, shown = list[int](), dict[int, StoredItem]()
    for change in walk(reader, base.cursor, reader.head()):
        if isinstance(change, Addition):
            continue
        gone.append(change.number)
        item = shown_item(change)
        # What a change after the head shows comes to the new generation as that change. What is
        # newer than the generation's last item is read with those added since.
        if item is not None and change.sequence <= head.sequence and change.number <= last:
            shown[change.number] = item
        else:
            shown.pop(change.number, None)
    yield from merged(remaining(base, gone), columns_of(shown.values()))
    yield from map(columns, matched_items(reader, last, head, progress))
