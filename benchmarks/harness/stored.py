"""Read what a data directory really holds, beside the server that writes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from disrupt.core import media
from disrupt.core.changes import Addition, Cursor
from disrupt.errors import DisruptError
from disrupt.feed.walk import walk
from disrupt.registry.integrity import integrity_problems
from disrupt.registry.sql import SqlRegistry
from indexer.verify import verify

_SHOWN = 5


@dataclass
class Stored:
    """The registry's items, by id and by content, as it is now."""

    blobs: dict[bytes, bytes] = field(default_factory=dict)
    ids: dict[bytes, bytes] = field(default_factory=dict)
    head: Cursor | None = None

    @classmethod
    def read(cls, data_dir: Path) -> Stored:
        """Read all of it."""
        stored = cls()
        with SqlRegistry.open_reader(data_dir / "registry.db") as reader:
            stored.head = head = reader.head()
            for change in walk(reader, Cursor(head.epoch, 0), head):
                if isinstance(change, Addition):
                    blob = media.pack(change.item.fingerprints)
                    stored.blobs[change.item.item_id] = blob
                    stored.ids[blob] = change.item.item_id
        return stored


def verified(data_dir: Path) -> str:
    """Run the checks of ``disrupt-index verify``, and SQLite's own; return the first problems."""
    problems = list(integrity_problems(data_dir / "registry.db"))
    try:
        with SqlRegistry.open_reader(data_dir / "registry.db") as reader:
            problems += [
                difference.problem for difference in verify(reader, data_dir / "index").differences
            ]
    except DisruptError as error:
        problems.append(error.message)
    return "; ".join(problems[:_SHOWN])
