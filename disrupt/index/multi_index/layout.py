"""Layout of the tables of multi-index hashing: how codes are cut, and the shapes of the arrays.

Knows neither the tables nor compiled code, so that both may import it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np
from numpy.typing import DTypeLike, NDArray

from disrupt.index.manifest import NARROW_TABLES, WIDE_TABLES, MultiIndexParameters

TAG_BITS = 16
"""Bits of the following chunk that are stored beside a posting; of two chunks where both fit."""

PADDING = 32
"""Tags behind the last one of a chunk, which are read and ignored."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A way to cut codes into ``chunks`` of so many ``bits``; the remaining bits are not used.

    ``low_bits`` of an entry's number are stored as they are.
    """

    chunks: int
    bits: int
    low_bits: int

    @property
    def keys(self) -> int:
        """Values that a chunk can have."""
        return 1 << self.bits


NARROW = Cut(16, 16, 16)
WIDE = Cut(12, 21, 32)
"""Keeps posting lists short where there are very many codes; tables of its keys take 100 MB."""

FINE = Cut(32, 8, 16)
"""Looks few keys up, whose tables stay in the processor's cache; for few codes, in memory only."""

NARROW_FROM_HASHES = 40_000
"""Number of codes from which on they are cut NARROW in memory; snapshots always are."""

WIDE_FROM_HASHES = 30_000_000
"""Number of codes from which on they are cut WIDE."""


def cut_for(length: int) -> Cut:
    """Return the cut for so many codes."""
    return WIDE if length >= WIDE_FROM_HASHES else NARROW


def cut_in_memory(length: int) -> Cut:
    """Return the cut for so many codes whose tables are of no snapshot."""
    return FINE if length < NARROW_FROM_HASHES else cut_for(length)


def cut_of(engine: MultiIndexParameters) -> Cut:
    """Return the cut that the parameters of a snapshot name."""
    return WIDE if engine == WIDE_TABLES else NARROW


def engine_of(cut: Cut) -> MultiIndexParameters:
    """Return the manifest's parameters of a cut."""
    return WIDE_TABLES if cut == WIDE else NARROW_TABLES


class TablesAt(IntEnum):
    """Places in the array of int64 that gives a kernel the tables; all but LENGTH are addresses."""

    LENGTH = 0
    STARTS = 1
    TAGS = 2
    LOW = 3
    HIGH = 4
    CODES = 5
    SEEN = 6
    CUT = 7


class PlanAt(IntEnum):
    """Places in that of a plan, behind a radius and a number of probes of each chunk."""

    LIMIT_BITS = 0
    MOST_PROBES = 1
    FLIPS = 2
    """Address."""
    MOST_COMPARED = 3
    SCANNED = 4


class AnswersAt(IntEnum):
    """Places in that of the answers; all but ROOM, a number of hits, are addresses."""

    ROOM = 0
    QUERY = 1
    ENTRY = 2
    DISTANCE = 3
    QUERIES = 4
    TRUNCATED = 5
    BUDGET = 6


class BudgetAt(IntEnum):
    """Places in that of what a search may take."""

    CODES = 0
    STRICT = 1
    LEFT = 2
    """Queries that the search has left."""


class ItemsAt(IntEnum):
    """Places in that of the items: two numbers, addresses, and bytes from one to the next."""

    LENGTH = 0
    MOST_ITEMS = 1
    ROW = 2
    BELOW_BITS = 3
    BANK = 4
    DEAD = 5
    LIMITS = 6
    BEST = 7
    BEST_ENTRY = 8
    TOUCHED = 9
    ROW_STRIDE = 10
    BELOW_STRIDE = 11
    BANK_STRIDE = 12


def packed(places: type[IntEnum], **values: int) -> NDArray[np.int64]:
    """Return an array for a kernel with a value at each of the places, by its name."""
    array = np.empty(len(places), np.int64)
    for place in places:
        array[place] = values.pop(place.name.lower())
    return array


@cache
def cut_array(cut: Cut) -> NDArray[np.int64]:
    """Return the cut as an array, for kernels, which take an address."""
    return np.array([cut.chunks, cut.bits, cut.low_bits], np.int64)


def tag_chunks(bits: int) -> int:
    """Return how many chunks of so many bits a tag is of."""
    # Kernels compile this function.
    return 2 if 2 * bits <= TAG_BITS else 1


def high_rows(length: int, low_bits: int) -> int:
    """Return the number of upper parts that the numbers of ``length`` entries have."""
    return ((length - 1) >> low_bits) + 1


def high_words(length: int, bits: int, low_bits: int) -> int:
    """Return the 64-bit words of ``high`` per chunk: a bit per code, and per key and upper part."""
    # Kernels compile this function, so it calls no other.
    if low_bits > TAG_BITS:
        return 0
    rows = ((length - 1) >> low_bits) + 1
    return ((length + (rows << bits)) >> 6) + 1


def array_shapes(length: int, cut: Cut) -> dict[str, tuple[tuple[int, int], DTypeLike]]:
    """Return name, shape and type of each array of Tables over ``length`` codes."""
    words = high_words(length, cut.bits, cut.low_bits)
    return {
        "starts": ((cut.chunks, cut.keys + 1), np.uint32),
        "tags": ((cut.chunks, length + PADDING), np.uint16),
        "low": ((cut.chunks, length), np.uint16 if words else np.uint32),
        "high": ((cut.chunks, words), np.int64),
    }


def file_name(name: str) -> str:
    """Return the file name of an array of Tables in a snapshot."""
    return f"search-{name}.npy"
