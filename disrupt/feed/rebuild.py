"""Builds a new generation of the index from the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from disrupt.core.changes import Addition, Cursor
from disrupt.feed.walk import Progress, quiet, walk
from disrupt.index.generations import publish
from disrupt.index.snapshot import Snapshot
from disrupt.index.writing import blocks
from disrupt.registry.contract import RegistryReader


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was published."""

    generation: int
    sequence: int
    items: int
    hashes: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """Of a published snapshot."""
        manifest = snapshot.manifest
        return cls(snapshot.generation, manifest.sequence, manifest.items, manifest.hashes)


def rebuild(reader: RegistryReader, index_dir: Path, progress: Progress = quiet) -> Rebuilt:
    """Publishes a generation of all items that are alive, as of the registry's head when it began.

    The registry and its servers go on working. Items withdrawn while it is read may be in the new
    generation: their removals come after its cursor, and whoever serves it applies those first.
    """
    head = reader.head()
    changes = walk(reader, Cursor(head.epoch, 0), head, progress)
    living = (change.item for change in changes if isinstance(change, Addition))
    return Rebuilt.of(publish(index_dir, blocks(living), head))
