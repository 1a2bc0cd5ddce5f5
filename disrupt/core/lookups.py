"""Lookups: what a caller asks of the index, and the complete answer, in columns."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

MAX_MATCHES = 1000
"""Most media items that one query may ask for."""


class Effort(IntEnum):
    """How much work a lookup by picture may be; the numbers are those of proto/."""

    FAST = 1
    STANDARD = 2
    THOROUGH = 3


@dataclass(frozen=True, slots=True)
class LookupOptions:
    """What narrows a lookup.

    ``max_distance_bits`` None: each bank's own; ``banks`` empty: every bank of the key.
    """

    max_distance_bits: int | None = None
    max_matches: int = 10
    banks: tuple[str, ...] = ()
    effort: Effort = Effort.STANDARD


@dataclass(frozen=True, slots=True, eq=False)
class HashLookup:
    """A batch of queries: ``hashes`` uint8 (n, 32), n ≥ 1.

    ``searched`` are the rows of sufficient or unknown quality, ``low_quality`` the others; both
    ascending.
    """

    hashes: NDArray[np.uint8]
    searched: NDArray[np.intp]
    low_quality: NDArray[np.intp]
    options: LookupOptions


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Media items near queries, in columns: entry i of every column is match i.

    Ordered by query, distance, item number; of each item the nearest entry, at most ``max_matches``
    items per query. ``query`` u32 is the place of the query in the request, ``version`` u32 the row
    of the search that found it (several rows search one picture). ``distance_bits`` u16, 0-256;
    ``item_ids`` u8 (n, 16); ``bank`` u16, ``kind`` u8, ``assurance`` u8, ``plan`` u16, ``ordinal``
    u16 as stored. ``truncated`` u32 names the queries that had more items, ascending.
    """

    query: NDArray[np.uint32]
    version: NDArray[np.uint32]
    distance_bits: NDArray[np.uint16]
    item_ids: NDArray[np.uint8]
    bank: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    assurance: NDArray[np.uint8]
    plan: NDArray[np.uint16]
    ordinal: NDArray[np.uint16]
    truncated: NDArray[np.uint32]

    def __len__(self) -> int:
        """Matches."""
        return len(self.query)
