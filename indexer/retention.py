"""Go back to the generation before, and delete generations that are not served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from disrupt.index import generations
from disrupt.index.generations import current, directory_of, open_generation
from disrupt.registry.registry import RegistryReader
from indexer.stats import size_bytes


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The generation served again, the change it is as of, and the one served before."""

    generation: int
    sequence: int
    before: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """A generation that was deleted."""

    generation: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Collected:
    """The generation served; those deleted, newest first, and all that was freed.

    ``freed_bytes`` includes what an interrupted rebuild left.
    """

    generation: int
    deleted: tuple[Deleted, ...]
    freed_bytes: int


def roll_back(reader: RegistryReader, index_dir: Path) -> RolledBack:
    """Serve the newest good generation before the current one; see ``generations.roll_back``."""
    before = current(index_dir)
    opened = generations.roll_back(index_dir, reader)
    return RolledBack(opened.generation, opened.cursor.sequence, before)


def collect(reader: RegistryReader, index_dir: Path, keep_previous: int) -> Collected:
    """Delete all generations but the current one and ``keep_previous`` (≥ 0) before it.

    Raises SnapshotRefusedError if the current one is damaged, since another may be all there is.
    Then nothing is deleted.
    """
    served = open_generation(index_dir, current(index_dir), reader).generation
    on_disk = generations.generations(index_dir)
    kept = [number for number in on_disk if number < served][:keep_previous]
    sizes = {number: size_bytes(directory_of(index_dir, number)) for number in on_disk}
    before_bytes = _all_bytes(index_dir)
    deleted = generations.delete(index_dir, [number for number in on_disk if number not in kept])
    return Collected(
        served,
        tuple(Deleted(number, sizes[number]) for number in deleted),
        before_bytes - _all_bytes(index_dir),
    )


def _all_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
