"""Build a new generation of the index from the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from disrupt.core.progress import Progress, quiet
from disrupt.index.columns import columns
from disrupt.index.generations import check_history, publish
from disrupt.index.snapshot import Snapshot
from disrupt.registry.registry import RegistryReader
from disrupt.registry.walk import matched_items


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Summary of a published generation."""

    generation: int
    sequence: int
    items: int
    hashes: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        """Return the summary of a published snapshot."""
        manifest = snapshot.manifest
        return cls(snapshot.generation, manifest.sequence, manifest.items, manifest.hashes)


def rebuild(
    reader: RegistryReader,
    index_dir: Path,
    progress: Progress = quiet,
    *,
    accept_registry: bool = False,
) -> Rebuilt:
    """Publish a generation of all items that match, as of the registry's head when it began.

    OtherHistoryError if the index that is there was built from another registry, or a newer one
    was here, unless ``accept_registry``: items that only that one has are then no longer served.

    The registry and its servers go on working. Items withdrawn or hidden while it is read may be in
    the new generation: these changes come after its cursor, and whoever serves it applies those
    first.
    """
    if accept_registry:
        reader.accept_head()
    else:
        check_history(index_dir, reader)
    return build(reader, index_dir, progress)


def build(reader: RegistryReader, index_dir: Path, progress: Progress = quiet) -> Rebuilt:
    """Publish as ``rebuild`` does, whatever registry the index that is there was built from."""
    head = reader.head()
    content = map(columns, matched_items(reader, 0, head, progress))
    return Rebuilt.of(publish(index_dir, content, head, progress))
