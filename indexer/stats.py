"""Count what the index holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.changes import shown_item
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import MediaKind, Profile
from disrupt.index.generations import current, directory_of, generations, open_generation
from disrupt.registry.registry import RegistryReader
from disrupt.registry.walk import walk
from disrupt.upkeep.erasure import oldest_withdrawn_s


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation on disk."""

    generation: int
    size_bytes: int
    served: bool


@dataclass(frozen=True, slots=True)
class Stats:
    """The generation in CURRENT; ``changes_behind``: changes of the registry after its cursor.

    ``added_items`` with ``added_hashes`` are what these show: lookups find it too, and before the
    first compaction it is all that there is.
    ``tombstones`` counts its items that were withdrawn since. ``oldest_withdrawn_s`` is an upper
    bound on the age of the oldest withdrawn byte in all generations, 0 where there is none, and
    counts from 1970 where it is unknown.
    ``memory_bytes`` is what all processes that serve it share. ``expected_lookup_us`` is estimated,
    at the recommended distance, for a core of an AMD EPYC (docs/performance.md).
    """

    generation: int
    cursor: str
    sequence: int
    changes_behind: int
    added_items: int
    added_hashes: int
    tombstones: int
    oldest_withdrawn_s: int
    engine: str
    expected_lookup_us: float
    memory_bytes: int
    items: int
    hashes: int
    size_bytes: int
    items_per_bank: dict[str, int]
    items_per_kind: dict[str, int]
    hashes_per_profile: dict[str, int]
    hashes_per_plan: dict[str, int]
    generations: tuple[Generation, ...]


def stats(reader: RegistryReader, index_dir: Path) -> Stats:
    """Count what the generation in CURRENT holds. Raises SnapshotRefusedError if it is damaged."""
    served = current(index_dir)
    snapshot = open_generation(index_dir, served, reader, checked=True)
    head = reader.head()
    banks = {bank.number: bank.name for bank in reader.banks()}
    changes_behind = added_items = added_hashes = 0
    for change in walk(reader, snapshot.cursor, head):
        changes_behind += 1
        if item := shown_item(change):
            added_items += 1
            added_hashes += len(item.fingerprints)
    on_disk = tuple(
        Generation(number, size_bytes(directory_of(index_dir, number)), number == served)
        for number in generations(index_dir)
    )
    return Stats(
        generation=served,
        cursor=snapshot.cursor.to_text(),
        sequence=snapshot.cursor.sequence,
        changes_behind=changes_behind,
        added_items=added_items,
        added_hashes=added_hashes,
        tombstones=reader.removed_since(snapshot.cursor),
        oldest_withdrawn_s=math.ceil(oldest_withdrawn_s(reader, index_dir)),
        engine=snapshot.index.name,
        expected_lookup_us=round(snapshot.index.expected_us(MAX_DISTANCE_BITS), 1),
        memory_bytes=sum(array.nbytes for array in snapshot.arrays),
        items=snapshot.manifest.items,
        hashes=snapshot.manifest.hashes,
        size_bytes=size_bytes(snapshot.path),
        items_per_bank=_counts(
            snapshot.items["bank"], lambda bank: banks.get(bank, f"bank {bank}")
        ),
        items_per_kind=_counts(snapshot.items["kind"], lambda kind: _name(MediaKind, kind)),
        hashes_per_profile=_counts(
            snapshot.entries["profile"], lambda profile: _name(Profile, profile)
        ),
        hashes_per_plan=_counts(snapshot.entries["plan"], str),
        generations=on_disk,
    )


def _counts(column: NDArray[Any], name: Callable[[int], str]) -> dict[str, int]:
    values, counts = np.unique(column, return_counts=True)
    return {
        name(value): count for value, count in zip(values.tolist(), counts.tolist(), strict=True)
    }


def _name(kind: type[MediaKind | Profile], value: int) -> str:
    """Return the name of a stored number, or the number: a newer writer may know more."""
    known = {int(member): member.name for member in kind}
    return known.get(value, str(value))


def size_bytes(directory: Path) -> int:
    """Return the size of the files of a generation."""
    return sum(path.stat().st_size for path in directory.iterdir())
