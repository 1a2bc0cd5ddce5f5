"""Answers of an engine: the nearest code of each item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.media import NOT_NARROWED, is_answered

_CACHED_PAIRS = 2**16
"""Neighbours that are sorted at once: more exceed the processor's cache, and each then takes twice
as long."""

_ENTRY_BITS = 48
"""Bits of the entry in a key that orders by distance, then entry."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """All codes within a radius, as equally long columns.

    ``query`` u32, ascending; ``entry`` i64, place of the code; ``distance`` u16, in bits.
    """

    query: NDArray[np.uint32]
    entry: NDArray[np.int64]
    distance: NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class ItemColumns:
    """The item of each code, and the columns that decide whether it may be answered.

    ``row`` u32 (n,): item of each code, ascending; ``below_bits`` u8 (n,): how far each code is
    narrowed, see media.NOT_NARROWED; ``bank`` u16 (items,); all three may be columns of wider rows.
    ``dead`` bool (items,): marked items are not answered.
    """

    row: NDArray[np.uint32]
    below_bits: NDArray[np.uint8]
    bank: NDArray[np.uint16]
    dead: NDArray[np.bool_]

    @classmethod
    def one_code_each(cls, count: int) -> ItemColumns:
        """Return the columns of so many living items of bank 0, each of one code, not narrowed."""
        return cls(
            np.arange(count, dtype=np.uint32),
            np.full(count, NOT_NARROWED, np.uint8),
            np.zeros(count, np.uint16),
            np.zeros(count, np.bool_),
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """Work that one search may take, as a number of ``codes`` fetched, each some 150 ns.

    Once it is used up, the queries that are left are not searched. The query that exceeds it is
    completed unless the budget is ``strict``; then none may be searched at all.
    """

    codes: int
    strict: bool = False


UNLIMITED = Budget(2**62)


@dataclass(frozen=True, slots=True, eq=False)
class NearestItems:
    """The nearest code of each item found, ordered by query, distance, then item row.

    ``query`` u32, ``entry`` i64, ``distance`` u16; ``truncated`` u32, ascending: the queries of
    which more items are within the radius than were wanted. ``left`` counts the last queries, which
    were not searched because the budget was used up.
    """

    query: NDArray[np.uint32]
    entry: NDArray[np.int64]
    distance: NDArray[np.uint16]
    truncated: NDArray[np.uint32]
    left: int = 0


def same_limits(max_distance_bits: int) -> NDArray[np.int16]:
    """Return limits by bank, int16 (65536,), that are the same for every bank."""
    return np.full(2**16, max_distance_bits, np.int16)


def nearest_items(
    near: Neighbours,
    n_queries: int,
    items: ItemColumns,
    limits_bits: NDArray[np.int16],
    most_items: int,
) -> NearestItems:
    """Return the nearest code of each item, and of those the nearest ``most_items``.

    A narrowed code that is too far counts for nothing. ``near`` has to be ordered by query, then
    entry, as FAISS answers. Takes time linear in it: in a crowd there are millions.
    """
    if n_queries > 1 and len(near.query) > _CACHED_PAIRS:
        half = n_queries // 2
        at = np.searchsorted(near.query, half)
        first = Neighbours(near.query[:at], near.entry[:at], near.distance[:at])
        rest = Neighbours(near.query[at:] - np.uint32(half), near.entry[at:], near.distance[at:])
        wanted = (items, limits_bits, most_items)
        later = nearest_items(rest, n_queries - half, *wanted)
        later = replace(
            later,
            query=later.query + np.uint32(half),
            truncated=later.truncated + np.uint32(half),
        )
        return joined([nearest_items(first, half, *wanted), later])
    row = items.row[near.entry]
    keep = ~items.dead[row] & (near.distance <= limits_bits[items.bank[row]])
    keep &= is_answered(near.distance, items.below_bits[near.entry])
    query, entry, distance, row = near.query[keep], near.entry[keep], near.distance[keep], row[keep]
    if not len(query):
        return NOTHING
    # Codes of an item are adjacent and in order: the first of the nearest has the least key.
    begins = np.append(True, (np.diff(query) != 0) | (np.diff(row) != 0))
    keys = distance.astype(np.int64) << _ENTRY_BITS | entry
    least = np.minimum.reduceat(keys, np.flatnonzero(begins))
    query, row = query[begins], row[begins]
    entry, distance = least & (1 << _ENTRY_BITS) - 1, (least >> _ENTRY_BITS).astype(np.uint16)
    order = np.lexsort((row, distance, query))
    counts = np.bincount(query[order], minlength=n_queries)
    begins = np.cumsum(counts) - counts
    rank = np.arange(len(order)) - np.repeat(begins, counts)
    order = order[rank < most_items]
    truncated = np.flatnonzero(counts > most_items).astype(np.uint32)
    return NearestItems(query[order], entry[order], distance[order], truncated)


def joined(parts: Sequence[NearestItems]) -> NearestItems:
    """Join answers to successive queries; the query numbers go on from part to part."""
    if not parts:
        return NOTHING
    return NearestItems(
        np.concatenate([part.query for part in parts]),
        np.concatenate([part.entry for part in parts]),
        np.concatenate([part.distance for part in parts]),
        np.concatenate([part.truncated for part in parts]),
    )


NOTHING = NearestItems(
    np.empty(0, np.uint32), np.empty(0, np.int64), np.empty(0, np.uint16), np.empty(0, np.uint32)
)
"""Shared empty answer, the usual one. Compare with ``is``."""
