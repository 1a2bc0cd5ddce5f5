"""Check that the index equals the registry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disrupt.core.changes import Addition, Cursor
from disrupt.core.hashes import HASH_BITS, HASH_BYTES, MAX_DISTANCE_BITS
from disrupt.core.media import StoredItems, is_answered
from disrupt.core.progress import Progress, quiet
from disrupt.index.columns import Columns, columns
from disrupt.index.generations import current, open_generation
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import same_limits
from disrupt.registry.registry import RegistryReader
from disrupt.registry.walk import matched_items, pages, walk

_MISSING = "in the registry, not in the index"
_EXTRA = "in the index, not in the registry"
_LAST = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Difference:
    """One item that the index and the registry disagree about; ``problem`` says how."""

    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class Verified:
    """Outcome of a check: index and registry are equal when there are no differences.

    ``lookups`` is how many were made as servers do and checked by comparing every hash.
    """

    generation: int
    sequence: int
    items: int
    hashes: int
    lookups: int
    differences: tuple[Difference, ...]


def verify(reader: RegistryReader, index_dir: Path, progress: Progress = quiet) -> Verified:
    """Compare the generation in CURRENT, and the changes after its cursor, with the registry.

    Every file is read whole, and every item compared: number, id, bank, kind, assurance, each of
    its fingerprints and how far these are narrowed. Raises SnapshotRefusedError if a file is
    damaged. Works while a server runs.
    """
    live = LiveIndex(open_generation(index_dir, current(index_dir), reader))
    head = reader.head()  # after opening, or a generation published meanwhile would be newer
    for changes, cursor in pages(reader, live.cursor, head):
        live.apply(changes, cursor)
    lookups = _Lookups(live)
    differences: list[Difference] = []
    before = 0
    for items in matched_items(reader, 0, head, progress):
        until = int(items.number[-1])
        differences += _differences(live.between(before, until), columns(items))
        lookups.compare(items)
        before = until
    extra = live.between(before, _LAST).items["number"].tolist()
    differences += [Difference(number, _EXTRA) for number in extra]
    differences += lookups.differences({difference.number for difference in differences})
    withdrawn = _withdrawn_since(reader, head)
    status = live.status()
    return Verified(
        generation=status.generation,
        sequence=head.sequence,
        items=status.items,
        hashes=status.hashes,
        lookups=len(lookups.queries),
        differences=tuple(
            difference for difference in differences if difference.number not in withdrawn
        ),
    )


def _differences(actual: Columns, expected: Columns) -> Iterator[Difference]:
    names = ("items", "codes", "entries")
    if all(np.array_equal(getattr(actual, name), getattr(expected, name)) for name in names):
        return
    there, wanted = _by_number(actual), _by_number(expected)
    for number in sorted(there | wanted):
        if number not in there:
            yield Difference(number, _MISSING)
        elif number not in wanted:
            yield Difference(number, _EXTRA)
        else:
            pairs = zip(names, there[number], wanted[number], strict=True)
            problems = (
                f"differs in its {name}"
                for name, actual_bytes, expected_bytes in pairs
                if actual_bytes != expected_bytes
            )
            yield from (Difference(number, problem) for problem in list(problems)[:1])


def _by_number(some: Columns) -> dict[int, tuple[bytes, bytes, bytes]]:
    """Return the bytes of each item, of its codes and of its entries, by item number."""
    ends = np.searchsorted(some.entries["row"], np.arange(len(some.items)), "right").tolist()
    beside = some.entries.copy()
    beside["row"] = 0
    return {
        int(item["number"]): (
            item.tobytes(),
            some.codes[begin:end].tobytes(),
            beside[begin:end].tobytes(),
        )
        for item, begin, end in zip(some.items, [0, *ends], ends, strict=False)
    }


class _Lookups:
    """Lookups at every distance from stored hashes, and the nearest hash of each item near them."""

    def __init__(self, live: LiveIndex) -> None:
        chance = np.random.default_rng()
        numbers = live.numbers()
        count = MAX_DISTANCE_BITS + 1 if len(numbers) else 0
        self.queries: NDArray[np.uint8] = np.zeros((count, HASH_BYTES), np.uint8)
        for bits in range(count):
            number = int(chance.choice(numbers))
            codes = live.between(number - 1, number).codes
            if not len(codes):  # a difference in itself
                continue
            flips = np.zeros(HASH_BITS, np.uint8)
            flips[chance.permutation(HASH_BITS)[:bits]] = 1
            self.queries[bits] = chance.choice(codes) ^ np.packbits(flips)
        limits_bits = same_limits(MAX_DISTANCE_BITS)
        most_items = max(1, len(numbers))
        hits = live.search(self.queries, MAX_DISTANCE_BITS, limits_bits, most_items).hits
        queries_and_numbers = zip(hits.query.tolist(), hits.number.tolist(), strict=True)
        self._answers = dict(zip(queries_and_numbers, hits.distance.tolist(), strict=True))
        self._near: dict[tuple[int, int], int] = {}

    def compare(self, items: StoredItems) -> None:
        """Compare every query with every hash of these items."""
        words = np.ascontiguousarray(items.fingerprints["hash"]).view(np.uint64)
        number = np.repeat(items.number, items.lengths)
        for query, asked in enumerate(self.queries.view(np.uint64)):
            distance = np.bitwise_count(words ^ asked).sum(axis=1, dtype=np.uint16)
            near = (distance <= MAX_DISTANCE_BITS) & is_answered(distance, items.below_bits)
            for at in np.flatnonzero(near).tolist():
                key = query, int(number[at])
                self._near[key] = min(int(distance[at]), self._near.get(key, HASH_BITS))

    def differences(self, known: set[int]) -> Iterator[Difference]:
        """Yield the differences, except of ``known`` items. Call it after all ``compare``."""
        near, answers = self._near.items(), self._answers.items()
        missed = {number for (_, number), _ in near - answers}
        invented = {number for (_, number), _ in answers - near}
        for number in sorted(missed - known):
            yield Difference(number, "not found by searching for it")
        for number in sorted(invented - missed - known):
            yield Difference(number, "found by a search, at a distance at which it is not")


def _withdrawn_since(reader: RegistryReader, head: Cursor) -> set[int]:
    """Return the numbers of items removed while the registry was read, which count as equal."""
    changes = walk(reader, head, reader.head())
    return {change.number for change in changes if not isinstance(change, Addition)}
