"""Columns that the index keeps beside the codes, and the answers of a search."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.media import ITEM_ID_BYTES, StoredItem, StoredItems, pack

ITEM = np.dtype(
    [
        ("number", "<u8"),
        ("item_id", np.uint8, ITEM_ID_BYTES),
        ("bank", "<u2"),
        ("kind", np.uint8),
        ("assurance", np.uint8),
        ("new_day", "<u2"),
    ]
)
"""One media item: 30 bytes, little-endian, no padding."""

ENTRY = np.dtype(
    [
        ("row", "<u4"),
        ("below_bits", np.uint8),
        ("profile", np.uint8),
        ("plan", "<u2"),
        ("ordinal", "<u2"),
        ("start_ms", "<u4"),
        ("end_ms", "<u4"),
    ]
)
"""One code's columns: the row of its item, how far it is narrowed, see media.NOT_NARROWED, and its
fingerprint. 18 bytes, no padding."""

_SAME_IN_FINGERPRINT = ENTRY.names[2:] if ENTRY.names else ()


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Media items as the index holds them.

    ``codes`` uint8 (h, 32) and ``entries`` ENTRY (h,) belong together; ``items`` ITEM (n,) ascends
    by number, and ``entries["row"]``, which points into it, ascends too.
    """

    codes: NDArray[np.uint8]
    entries: NDArray[np.void]
    items: NDArray[np.void]

    def kept(self, rows: slice, keep: NDArray[np.bool_]) -> Columns:
        """Copy the items in ``rows`` that ``keep``, shape (rows,), marks; their rows begin at 0."""
        every = self.entries["row"]
        span = slice(bisect_left(every, rows.start), bisect_left(every, rows.stop))
        row = every[span] - np.uint32(rows.start)
        kept = keep[row]
        entries = self.entries[span][kept]
        entries["row"] = (np.cumsum(keep) - 1)[row[kept]]
        return Columns(self.codes[span][kept], entries, self.items[rows][keep])


def columns(items: StoredItems) -> Columns:
    """Return the columns of items that ascend by number, rows counted from 0."""
    entries = np.empty(len(items.fingerprints), ENTRY)
    entries["row"] = np.repeat(np.arange(len(items), dtype=np.uint32), items.lengths)
    entries["below_bits"] = items.below_bits
    for name in _SAME_IN_FINGERPRINT:
        entries[name] = items.fingerprints[name]
    rows = np.empty(len(items), ITEM)
    for name in ITEM.names or ():
        rows[name] = getattr(items, name)
    return Columns(np.ascontiguousarray(items.fingerprints["hash"]), entries, rows)


def columns_of(items: Iterable[StoredItem]) -> Columns:
    """Return the columns of items in any order."""
    ordered = sorted(items, key=attrgetter("number"))
    stored = StoredItems.of(
        [item.number for item in ordered],
        [item.item_id for item in ordered],
        [item.bank for item in ordered],
        [item.kind for item in ordered],
        [item.assurance for item in ordered],
        [item.new_day for item in ordered],
        [pack(item.fingerprints) for item in ordered],
    )
    below_bits = np.frombuffer(b"".join(item.below_bits.tobytes() for item in ordered), np.uint8)
    return columns(replace(stored, below_bits=below_bits))


def joined(parts: Sequence[Columns]) -> Columns:
    """Join the columns of several parts, of which no two hold the same item."""
    items = np.concatenate([part.items for part in parts])
    starts = np.cumsum([0, *(len(part.items) for part in parts[:-1])])
    rows = np.concatenate(
        [part.entries["row"] + start for part, start in zip(parts, starts, strict=True)]
    )
    order = np.argsort(items["number"], kind="stable")
    place = np.empty(len(items), np.uint32)
    place[order] = np.arange(len(items), dtype=np.uint32)
    entries = np.concatenate([part.entries for part in parts])
    entries["row"] = place[rows]
    entry_order = np.argsort(entries["row"], kind="stable")
    codes = np.concatenate([part.codes for part in parts])
    return Columns(codes[entry_order], entries[entry_order], items[order])


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Stored hashes within the radius, as arrays of equal length.

    Ordered by query, then distance, then item number.

    ``query`` u32: place in the batch; ``distance`` u16: bits apart, 0-256; ``number`` u64,
    ``item_id`` u8 (n, 16), ``bank`` u16, ``kind`` u8, ``assurance`` u8: the item; ``profile`` u8,
    ``plan`` u16, ``ordinal`` u16, ``start_ms`` u32, ``end_ms`` u32: the fingerprint. An item
    occurs once for each of its hashes within the radius.
    """

    query: NDArray[np.uint32]
    distance: NDArray[np.uint16]
    number: NDArray[np.uint64]
    item_id: NDArray[np.uint8]
    bank: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    assurance: NDArray[np.uint8]
    profile: NDArray[np.uint8]
    plan: NDArray[np.uint16]
    ordinal: NDArray[np.uint16]
    start_ms: NDArray[np.uint32]
    end_ms: NDArray[np.uint32]

    def __len__(self) -> int:
        """Return the number of hits."""
        return len(self.query)

    def take(self, rows: NDArray[Any]) -> Hits:
        """Select hits by their places, or by a mask."""
        return Hits(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class NearestHits:
    """The nearest media items of each query, with the nearest hash of each.

    ``truncated`` u32, ascending: the queries of which there were more items. ``left`` counts the
    last queries, which were not searched because the budget was used up.
    """

    hits: Hits
    truncated: NDArray[np.uint32]
    left: int = 0

    def until(self, query: int, left: int) -> NearestHits:
        """Return the answer to the queries before ``query``; ``left`` counts the others."""
        hits = self.hits.take(self.hits.query < query)
        return NearestHits(hits, self.truncated[self.truncated < query], left)


def gather(
    query: NDArray[np.uint32],
    distance: NDArray[np.uint16],
    entries: NDArray[np.void],
    items: NDArray[np.void],
) -> Hits:
    """Make hits of equally long columns; ``entries`` and ``items`` are those that were hit."""
    return Hits(
        query,
        distance,
        items["number"],
        items["item_id"],
        items["bank"],
        items["kind"],
        items["assurance"],
        entries["profile"],
        entries["plan"],
        entries["ordinal"],
        entries["start_ms"],
        entries["end_ms"],
    )


NO_HITS = gather(
    np.empty(0, np.uint32),
    np.empty(0, np.uint16),
    np.empty(0, ENTRY),
    np.empty(0, ITEM),
)


NOTHING_NEAR = NearestHits(NO_HITS, np.empty(0, np.uint32))
"""Shared empty answer, the usual one. Compare with ``is``."""


def merge(answers: Sequence[Hits]) -> Hits:
    """Merge the hits of several parts of the index into one answer, in order."""
    nonempty = [hits for hits in answers if len(hits)]
    if not nonempty:
        return NO_HITS
    joined = [
        np.concatenate([getattr(hits, field.name) for hits in nonempty]) for field in fields(Hits)
    ]
    query, distance, number = joined[:3]
    return Hits(*joined).take(np.lexsort((number, distance, query)))


def merge_nearest(answers: Sequence[NearestHits], most_items: int) -> NearestHits:
    """Merge answers, cut to the ``most_items`` nearest of each query. No item is in two parts.

    ``answers`` are those that are not empty.
    """
    if len(answers) <= 1:  # already sorted and cut
        return answers[0] if answers else NOTHING_NEAR
    hits = merge([answer.hits for answer in answers])
    truncated = np.unique(np.concatenate([answer.truncated for answer in answers]))
    counts = np.bincount(hits.query)
    if np.all(counts <= most_items):
        return NearestHits(hits, truncated)
    rank = np.arange(len(hits)) - np.repeat(np.cumsum(counts) - counts, counts)
    kept = rank < most_items
    more = np.flatnonzero(counts > most_items).astype(np.uint32)
    return NearestHits(hits.take(kept), np.union1d(truncated, more))
