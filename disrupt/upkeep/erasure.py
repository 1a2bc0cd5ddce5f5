"""Remove withdrawn items from the index's files, in which they only have tombstones at first."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from disrupt.core.progress import Progress, quiet
from disrupt.errors import (
    CursorExpiredError,
    DataDirectoryError,
    SnapshotRefusedError,
    UnavailableError,
)
from disrupt.index import manifest as manifests
from disrupt.index.generations import delete, directory_of, generations, served
from disrupt.registry.registry import RegistryReader
from disrupt.upkeep.rebuild import rebuild

LONGEST_S = 24 * 3600.0
"""Longest time that bytes of what was withdrawn may stay, as people affected are promised."""

_TAKE_UP_S = 1.0
"""Servers look for a new generation several times a second, and need the one that they serve."""


@dataclass(frozen=True, slots=True)
class Erased:
    """The generation served now (0: none), whether it is new, and the generations deleted."""

    generation: int
    rebuilt: bool
    deleted: tuple[int, ...]


def erase(
    reader: RegistryReader,
    index_dir: Path,
    progress: Progress = quiet,
    *,
    older_than_s: float = 0.0,
) -> Erased:
    """Delete every generation on disk that holds an item withdrawn before the call.

    Where the served one holds such an item, a new one is published first, which running servers
    take up. With ``older_than_s``, does so only if one of these is at least that old: called often
    enough, this bounds how long withdrawn items stay. DataDirectoryError while another
    process writes the index: then nothing is sure, call again.
    """
    holding = [
        generation
        for generation in generations(index_dir)
        if _holds_removed(reader, index_dir, generation)
    ]
    if not any(_age_s(index_dir, generation) >= older_than_s for generation in holding):
        holding = []
    rebuilt = bool(holding) and served(index_dir) in (0, *holding)
    if rebuilt:
        rebuild(reader, index_dir, progress)
        time.sleep(_TAKE_UP_S)
    deleted = delete(index_dir, holding)
    now_served = served(index_dir)
    if now_served in holding:
        raise DataDirectoryError("The index was rolled back meanwhile: erase again.")
    return Erased(now_served, rebuilt, deleted)


def oldest_withdrawn_s(
    reader: RegistryReader, index_dir: Path, banks: Collection[int] | None = None
) -> float:
    """Return an upper bound on the age of the oldest withdrawn byte in the index, in seconds.

    That is the age of the oldest generation on disk that holds a withdrawn item of ``banks`` (None:
    of all); 0 where none does. A generation of which that, or the age, is unknown counts from 1970.
    """
    return max(
        (
            _age_s(index_dir, generation)
            for generation in generations(index_dir)
            if _holds_removed(reader, index_dir, generation, banks)
            # it may have been deleted meanwhile
            and directory_of(index_dir, generation).exists()
        ),
        default=0.0,
    )


def held_since(reader: RegistryReader, index_dir: Path) -> int | None:
    """Return the sequence up to which no file of the index holds what was withdrawn; None: any.

    That is of the oldest generation that holds a withdrawn item, as such a removal came after it;
    0 where its state is unknown.
    """
    return min(
        (
            _sequence(index_dir, generation)
            for generation in generations(index_dir)
            if _holds_removed(reader, index_dir, generation)
        ),
        default=None,
    )


def clean_up_to(reader: RegistryReader, index_dir: Path) -> tuple[bytes, int]:
    """Return the epoch, and the sequence up to which what was withdrawn is in no file of the index.

    At most that of the head, as the reader has it.
    """
    head = reader.head()
    held = held_since(reader, index_dir)
    return head.epoch, head.sequence if held is None else min(head.sequence, held)


def sequences(index_dir: Path) -> list[int]:
    """Return the sequence of the state that each generation on disk has, 0 where it is unknown."""
    return [_sequence(index_dir, generation) for generation in generations(index_dir)]


def _sequence(index_dir: Path, generation: int) -> int:
    try:
        return manifests.read(directory_of(index_dir, generation)).sequence
    except (SnapshotRefusedError, UnavailableError):
        return 0


def _holds_removed(
    reader: RegistryReader,
    index_dir: Path,
    generation: int,
    banks: Collection[int] | None = None,
) -> bool:
    """Tell whether a generation holds withdrawn items; True also where that is unknown."""
    try:
        cursor = manifests.read(directory_of(index_dir, generation)).cursor
    except (SnapshotRefusedError, UnavailableError):
        return True
    try:
        return reader.removed_since(cursor, banks) > 0
    except CursorExpiredError:
        return True


def _age_s(index_dir: Path, generation: int) -> float:
    """Return the time since a generation was begun; since 1970 if that is unknown or to come.

    The time is the manifest's own, as copying a file may give it a new one.
    """
    try:
        begun_s = manifests.read(directory_of(index_dir, generation)).begun_s
    except (SnapshotRefusedError, UnavailableError):
        begun_s = 0
    now_s = time.time()
    return now_s - begun_s if begun_s <= now_s else now_s
