"""A searchable set of media items: the snapshot is one, and so is each segment of the delta."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.media import MediaKind, StoredItem
from disrupt.core.policy import Held
from disrupt.index.columns import (
    NO_HITS,
    NOTHING_NEAR,
    Columns,
    Hits,
    NearestHits,
    columns_of,
    gather,
    joined,
)
from disrupt.index.flat import FlatIndex
from disrupt.index.multi_index.engine import MultiIndex
from disrupt.index.multi_index.tables import NO_TABLES, Tables
from disrupt.index.nearest import NOTHING, UNLIMITED, Budget, ItemColumns

_TABLES_FROM_HASHES = 5000
"""Compiled code compares fewer hashes than this faster than it looks them up in tables, which take
4 MB."""

_COUNTED_AT_ONCE = 1 << 20
"""Hashes counted by bank at once: a few MB."""

_HELD_AT_ONCE = 1 << 20
"""Items of which it is decided at once whether they are held back: some 50 MB."""

Banks: TypeAlias = "Collection[int] | None"
"""Numbers of banks; None: all."""


@dataclass(slots=True, eq=False)
class Part:
    """Codes, entries and items that never change, and a tombstone per item.

    A tombstone stays, as numbers are never reused, and an item that is LIVE again is added in a new
    part: no two parts hold a number without a tombstone. It is written in place by the one thread
    that applies changes, while others search; a search may see it early without harm.
    """

    index: FlatIndex | MultiIndex
    entries: NDArray[np.void]
    items: NDArray[np.void]
    _items_of: Counter[int] = field(init=False)
    _hashes_of: Counter[int] = field(init=False)
    _dead_items_of: Counter[int] = field(init=False, default_factory=Counter)
    _dead_hashes_of: Counter[int] = field(init=False, default_factory=Counter)
    _dead: NDArray[np.bool_] = field(init=False)
    _item_columns: ItemColumns = field(init=False)
    _held_rows: tuple[Held, NDArray[np.bool_]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Count items and hashes by bank; all items are alive."""
        self._dead = np.zeros(len(self.items), np.bool_)
        self._item_columns = ItemColumns(self.entries["row"], self.items["bank"], self._dead)
        self._items_of = Counter[int]()
        self._hashes_of = Counter[int]()
        bank = np.array(self.items["bank"])
        for first in range(0, len(self.entries), _COUNTED_AT_ONCE):
            rows = self.entries["row"][first : first + _COUNTED_AT_ONCE]
            self._hashes_of.update(_counts(bank[rows]))
        self._items_of.update(_counts(bank))

    @classmethod
    def of(cls, items: Iterable[StoredItem], *, tables: bool) -> Part:
        """Build from items in any order; see ``from_columns``."""
        return cls.from_columns(columns_of(items), tables=tables)

    @classmethod
    def from_columns(cls, columns: Columns, *, tables: bool) -> Part:
        """Build from columns in memory.

        ``tables``: compiled code searches, in tables where that pays.
        """
        flat = FlatIndex.of(columns.codes)
        index: FlatIndex | MultiIndex = flat
        if tables and len(flat):
            few = len(flat) < _TABLES_FROM_HASHES
            index = MultiIndex(flat, NO_TABLES if few else Tables.of(flat.view()))
        return cls(index, columns.entries, columns.items)

    def hashes(self, banks: Banks = None) -> int:
        """Count the hashes of living items in ``banks``."""
        return _total(self._hashes_of, banks) - self.dead_hashes(banks)

    def living_items(self, banks: Banks = None) -> int:
        """Count the items without a tombstone in ``banks``."""
        return _total(self._items_of, banks) - self.dead_items(banks)

    def dead_items(self, banks: Banks = None) -> int:
        """Count the items with a tombstone in ``banks``."""
        return _total(self._dead_items_of, banks)

    def dead_hashes(self, banks: Banks = None) -> int:
        """Count the hashes of items with a tombstone in ``banks``."""
        return _total(self._dead_hashes_of, banks)

    def search(self, queries: NDArray[np.uint8], max_distance_bits: int) -> Hits:
        """Find hits among living items, by query, in no order of distance."""
        if not len(self.index):
            return NO_HITS
        near = self.index.search(queries, max_distance_bits)
        if not len(near.entry):
            return NO_HITS
        entries = self.entries[near.entry]
        alive = ~self._dead[entries["row"]]
        entries = entries[alive]
        return gather(
            near.query[alive],
            near.distance[alive],
            entries,
            self.items[entries["row"]],
        )

    def search_items(
        self,
        queries: NDArray[np.uint8],
        max_distance_bits: int,
        limits_bits: NDArray[np.int16],
        most_items: int,
        threads: int = 1,
        kind: MediaKind | None = None,
        held: Held | None = None,
        budget: Budget = UNLIMITED,
    ) -> NearestHits:
        """Search as ``LiveIndex.search_items`` does."""
        items = self._item_columns
        if kind is not None:
            items = replace(items, dead=items.dead | (self.items["kind"] != kind))
        if held is not None:
            items = replace(items, dead=items.dead | self._held(held))
        near = self.index.search_items(
            queries, max_distance_bits, items, limits_bits, most_items, threads, budget
        )
        if near is NOTHING:
            return NOTHING_NEAR
        entries = self.entries[near.entry]
        hits = gather(near.query, near.distance, entries, self.items[entries["row"]])
        return NearestHits(hits, near.truncated, near.left)

    def expected_us(self, max_distance_bits: int) -> float:
        """Estimate the time that a lookup takes."""
        return self.index.expected_us(max_distance_bits)

    def _held(self, held: Held) -> NDArray[np.bool_]:
        """Return which rows are held back, as computed last unless ``held`` has changed."""
        known = self._held_rows
        if known is None or known[0] != held:
            rows = np.zeros(len(self.items), np.bool_)
            for first in range(0, len(rows), _HELD_AT_ONCE):
                some = self.items[first : first + _HELD_AT_ONCE]
                rows[first : first + _HELD_AT_ONCE] = held.holds(some["item_id"], some["bank"])
            known = self._held_rows = held, rows
        return known[1]

    def bury(self, number: int) -> None:
        """Put a tombstone on an item, if it is here without one."""
        row = self._living_row(number)
        if row is None:
            return
        self._dead[row] = True
        bank, span = int(self.items["bank"][row]), self._span(row)
        self._dead_items_of[bank] += 1
        self._dead_hashes_of[bank] += span.stop - span.start

    def holds(self, number: int) -> bool:
        """Tell whether an item is here without a tombstone."""
        return self._living_row(number) is not None

    def find(self, number: int) -> Columns | None:
        """Copy the columns of one living item, its row being 0; None if it is not here or dead."""
        row = self._living_row(number)
        if row is None:
            return None
        span = self._span(row)
        entries = np.array(self.entries[span])
        entries["row"] = 0
        return Columns(self.index.codes(span), entries, np.array(self.items[row : row + 1]))

    def numbers(self) -> NDArray[np.uint64]:
        """Return the numbers of the living items, ascending."""
        living: NDArray[np.uint64] = self.items["number"][~self._dead]
        return living

    def living(self, after: int = 0, until: int = 2**64 - 1) -> Columns:
        """Copy the columns of living items with numbers over ``after``, up to ``until``."""
        numbers = self.items["number"]
        items = slice(bisect_right(numbers, after), bisect_right(numbers, until))
        rows = self.entries["row"]
        span = slice(bisect_left(rows, items.start), bisect_left(rows, items.stop))
        keep = ~self._dead[items]
        row = rows[span] - np.uint32(items.start)
        kept = keep[row]
        entries = np.array(self.entries[span][kept])
        entries["row"] = (np.cumsum(keep) - 1)[row[kept]]
        return Columns(self.index.view()[span][kept], entries, np.array(self.items[items][keep]))

    def _living_row(self, number: int) -> int | None:
        numbers = self.items["number"]
        # bisect reads a few rows only; np.searchsorted would copy the mapped column first.
        row = bisect_left(numbers, number)
        is_here = row < len(numbers) and numbers[row] == number and not self._dead[row]
        return row if is_here else None

    def _span(self, row: int) -> slice:
        rows = self.entries["row"]
        return slice(bisect_left(rows, row), bisect_right(rows, row))


def _counts(banks: NDArray[np.uint16]) -> dict[int, int]:
    counts = np.bincount(banks)
    return {bank: int(counts[bank]) for bank in np.flatnonzero(counts).tolist()}


def _total(count_of: Counter[int], banks: Banks) -> int:
    if banks is None:
        return count_of.total()
    return sum(count_of[bank] for bank in banks)


def join(parts: Sequence[Part], *, tables: bool) -> Part:
    """Join the living items of several parts into one; see ``Part.from_columns``."""
    return Part.from_columns(joined([part.living() for part in parts]), tables=tables)
