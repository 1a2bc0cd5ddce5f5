"""Checks that the index equals the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from disrupt.core.changes import Addition, Cursor, Removal
from disrupt.core.media import StoredItem
from disrupt.feed.walk import Progress, pages, quiet, walk
from disrupt.index.columns import columns
from disrupt.index.generations import current, open_generation
from disrupt.index.live import LiveIndex
from disrupt.registry.contract import RegistryReader

_SAMPLES = 256


@dataclass(frozen=True, slots=True)
class Difference:
    """One item that the index and the registry disagree about; ``problem`` says how."""

    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class Verified:
    """Outcome of a check: index and registry are equal when there are no differences.

    ``sampled_hashes`` were looked up through the search that servers use.
    """

    generation: int
    sequence: int
    items: int
    hashes: int
    sampled_hashes: int
    differences: tuple[Difference, ...]


def verify(reader: RegistryReader, index_dir: Path, progress: Progress = quiet) -> Verified:
    """Compares the generation in CURRENT, and the changes after its cursor, with the registry.

    Every item is compared: number, id, bank, kind, assurance and each of its fingerprints.
    SnapshotRefusedError if a file of the generation is damaged. Works while a server runs.
    """
    head = reader.head()
    live = LiveIndex(open_generation(index_dir, current(index_dir), head))
    for changes, cursor in pages(reader, live.cursor, head, quiet):
        live.apply(changes, cursor)
    stride = head.sequence // _SAMPLES + 1
    differences: list[Difference] = []
    numbers: list[int] = []
    sampled_hashes = 0
    for change in walk(reader, Cursor(head.epoch, 0), head, progress):
        if isinstance(change, Removal):
            continue
        numbers.append(change.item.number)
        problem = _compare(live, change.item)
        if problem is None and change.sequence % stride == 0:
            sampled_hashes += len(change.item.fingerprints)
            problem = _look_up(live, change.item)
        if problem:
            differences.append(Difference(change.item.number, problem))
    extra = np.setdiff1d(live.numbers(), np.array(numbers, np.uint64))
    differences += [Difference(int(one), "in the index, not in the registry") for one in extra]
    withdrawn = _withdrawn_since(reader, head)
    status = live.status()
    return Verified(
        generation=status.generation,
        sequence=head.sequence,
        items=status.items,
        hashes=status.hashes,
        sampled_hashes=sampled_hashes,
        differences=tuple(one for one in differences if one.number not in withdrawn),
    )


def _compare(live: LiveIndex, item: StoredItem) -> str | None:
    found = live.find(item.number)
    if found is None:
        return "in the registry, not in the index"
    expected = columns([item])
    for name in ("items", "codes", "entries"):
        if not np.array_equal(getattr(found, name), getattr(expected, name)):
            return f"differs in its {name}"
    return None


def _look_up(live: LiveIndex, item: StoredItem) -> str | None:
    hits = live.search(item.fingerprints["hash"], 0)
    found = np.unique(hits.query[hits.number == item.number])
    return None if len(found) == len(item.fingerprints) else "not found by searching for it"


def _withdrawn_since(reader: RegistryReader, head: Cursor) -> set[int]:
    """Numbers of items removed while the registry was read: about these, both were right."""
    changes = walk(reader, head, reader.head(), quiet)
    return {change.number for change in changes if not isinstance(change, Addition)}
