"""Search a set of media items: the snapshot is one, and so is each segment of the delta."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.media import ALWAYS_NEW, MediaKind, StoredItem
from disrupt.core.policy import COMMON
from disrupt.index.columns import (
    NOTHING_NEAR,
    Columns,
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

_COPIED_SHARE = 8
"""At most this part of the hashes is copied for searches of new items: some copies, each twice as
long as the one before, then take little memory beside the hashes themselves."""

_ROWS_AT_ONCE = 1 << 10
"""Items looked at when new ones are copied: those without a new one are not read."""

_COUNTED_AT_ONCE = 1 << 20
"""Hashes counted by bank at once: a few MB."""

Banks: TypeAlias = "Collection[int] | None"
"""Numbers of banks; None: all."""


@dataclass(slots=True, eq=False)
class Part:
    """Codes, entries and items that never change, and a tombstone per item.

    ``item_columns`` are what a search needs of the items, with the tombstones at this moment. The
    one thread that applies changes puts new columns in their place, and never modifies them: a
    search sees the tombstones of the columns that it was given, and no later ones.
    """

    index: FlatIndex | MultiIndex
    entries: NDArray[np.void]
    items: NDArray[np.void]
    _items_of: Counter[int] = field(init=False)
    _hashes_of: Counter[int] = field(init=False)
    _dead_items_of: Counter[int] = field(init=False, default_factory=Counter)
    _dead_hashes_of: Counter[int] = field(init=False, default_factory=Counter)
    item_columns: ItemColumns = field(init=False)
    _new: _NewItems = field(init=False)

    def __post_init__(self) -> None:
        """Count items and hashes by bank; all items are alive."""
        dead = np.zeros(len(self.items), np.bool_)
        self.item_columns = ItemColumns(
            self.entries["row"], self.entries["below_bits"], self.items["bank"], dead
        )
        self._items_of = Counter[int]()
        self._hashes_of = Counter[int]()
        bank = np.array(self.items["bank"])
        for first in range(0, len(self.entries), _COUNTED_AT_ONCE):
            rows = self.entries["row"][first : first + _COUNTED_AT_ONCE]
            self._hashes_of.update(_counts(bank[rows]))
        self._items_of.update(_counts(bank))
        self._new = _NewItems(self)

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

    def search(
        self,
        items: ItemColumns,
        queries: NDArray[np.uint8],
        max_distance_bits: int,
        limits_bits: NDArray[np.int16],
        most_items: int,
        kind: MediaKind | None = None,
        budget: Budget = UNLIMITED,
    ) -> NearestHits:
        """Search as ``LiveIndex.search`` does, with ``item_columns`` of now or earlier."""
        if kind is not None:
            items = replace(items, dead=items.dead | (self.items["kind"] != kind))
        near = self.index.search(queries, max_distance_bits, items, limits_bits, most_items, budget)
        if near is NOTHING:
            return NOTHING_NEAR
        entries = self.entries[near.entry]
        hits = gather(near.query, near.distance, entries, self.items[entries["row"]])
        return NearestHits(hits, near.truncated, near.left)

    def since(self, items: ItemColumns, day: int) -> tuple[Part, ItemColumns] | None:
        """Return what to search for the items that are new since a day; None where there are none.

        ``items`` are ``item_columns`` of now or earlier. New since a day is what has that
        ``new_day`` or a later one, and every picture in common use, which all searches need.
        The first call for a day may copy an eighth of the part.
        """
        return self._new.since(items, day)

    def bury(self, numbers: Iterable[int]) -> None:
        """Put tombstones on those of the items that are here."""
        dead = self.item_columns.dead
        rows = {row for number in numbers if (row := self._row(number)) is not None}
        fresh = [row for row in rows if not dead[row]]
        if not fresh:
            return
        dead = dead.copy()
        dead[fresh] = True
        for row in fresh:
            bank, span = int(self.items["bank"][row]), self._span(row)
            self._dead_items_of[bank] += 1
            self._dead_hashes_of[bank] += span.stop - span.start
        self.item_columns = replace(self.item_columns, dead=dead)

    def holds(self, items: ItemColumns, number: int) -> bool:
        """Tell whether an item is here, and alive by ``item_columns`` of now or earlier."""
        row = self._row(number)
        return row is not None and not items.dead[row]

    def find(self, items: ItemColumns, number: int) -> Columns | None:
        """Copy the columns of an item that it ``holds``, its row being 0; else None."""
        row = self._row(number)
        if row is None or items.dead[row]:
            return None
        span = self._span(row)
        entries = np.array(self.entries[span])
        entries["row"] = 0
        return Columns(self.index.view()[span].copy(), entries, self.items[row : row + 1].copy())

    def numbers(self) -> NDArray[np.uint64]:
        """Return the numbers of the living items, ascending."""
        living: NDArray[np.uint64] = self.items["number"][~self.item_columns.dead]
        return living

    def living(self, after: int = 0, until: int = 2**64 - 1) -> Columns:
        """Copy the columns of living items with numbers over ``after``, up to ``until``."""
        numbers = self.items["number"]
        rows = slice(bisect_right(numbers, after), bisect_right(numbers, until))
        every = Columns(self.index.view(), self.entries, self.items)
        return every.kept(rows, ~self.item_columns.dead[rows])

    def _row(self, number: int) -> int | None:
        numbers = self.items["number"]
        # bisect reads a few rows only; np.searchsorted would copy the mapped column first.
        row = bisect_left(numbers, number)
        return row if row < len(numbers) and numbers[row] == number else None

    def _span(self, row: int) -> slice:
        rows = self.entries["row"]
        return slice(bisect_left(rows, row), bisect_right(rows, row))


class _NewItems:
    """Finds the items of a part that are new since a day. For any number of threads.

    Few new items are copied, so that a search costs what they cost. Copies begin 0, 1, 3, 7 days
    and so on before the day of the newest item: whatever days are asked for, they are few, and
    each is made once. Items of a copy that are older than the day count as dead.
    """

    def __init__(self, part: Part) -> None:
        self._part = part
        self._making = Lock()
        self._days: NDArray[np.uint16] | None = None
        self._copies: dict[int, tuple[Part, NDArray[np.intp]] | None] = {}
        self._last: tuple[NDArray[np.bool_], int, tuple[Part, ItemColumns]] | None = None

    def since(self, items: ItemColumns, day: int) -> tuple[Part, ItemColumns] | None:
        """Return what ``Part.since`` does."""
        last = self._last
        if last is not None and last[0] is items.dead and last[1] == day:
            return last[2]
        with self._making:  # a search waits for the copy that another one makes
            if self._days is None:
                rows = self._part.items
                always = rows["bank"] == COMMON.number
                self._days = np.where(always, np.uint16(ALWAYS_NEW), rows["new_day"])
            days = self._days
            if not np.any(days >= day):
                return None
            copy = self._copy(days, day)
        dead = items.dead | (days < day)
        if copy is None:
            new = self._part, replace(items, dead=dead)
        else:
            part, places = copy
            new = part, replace(part.item_columns, dead=dead[places])
        self._last = items.dead, day, new
        return new

    def _copy(self, days: NDArray[np.uint16], day: int) -> tuple[Part, NDArray[np.intp]] | None:
        """Return a copy that has the items since a day, and their rows; None if it is too long."""
        newest = int(days[days != ALWAYS_NEW].max(initial=0))
        first = newest + 1
        if day <= newest:
            # the least 1, 2, 4, 8... days up to the newest that begin by that day
            first = newest + 1 - (1 << (newest - day).bit_length())
        if first not in self._copies:
            self._copies[first] = self._made(days >= first)
        return self._copies[first]

    def _made(self, is_new: NDArray[np.bool_]) -> tuple[Part, NDArray[np.intp]] | None:
        part, blocks, hashes = self._part, list[Columns](), 0
        every = Columns(part.index.view(), part.entries, part.items)
        for start in range(0, len(is_new), _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, len(is_new)))
            if is_new[rows].any():
                blocks.append(every.kept(rows, is_new[rows]))
                hashes += len(blocks[-1].codes)
                if hashes * _COPIED_SHARE > len(part.index):
                    return None
        copied = Part.from_columns(joined(blocks), tables=isinstance(part.index, MultiIndex))
        return copied, np.flatnonzero(is_new)


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
