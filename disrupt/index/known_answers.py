"""Check that the builds of FAISS and of numba's kernels find what brute force does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES
from disrupt.errors import DisruptError
from disrupt.index.flat import FlatIndex
from disrupt.index.multi_index.engine import MultiIndex
from disrupt.index.multi_index.layout import NARROW, Cut
from disrupt.index.multi_index.tables import Tables
from disrupt.index.nearest import ItemColumns, same_limits

_CODES = 4096
_FLAT_DISTANCE_BITS = 31
_TABLES_DISTANCE_BITS = 15
"""At these sizes, lookups within so few bits go through the tables, and not to FAISS."""


def check_flat_search() -> None:
    """Compare FAISS's exact search with brute force; DisruptError if they differ. Some ms."""
    codes, queries = _examples(_FLAT_DISTANCE_BITS)
    _compare("FAISS", FlatIndex.of(codes), codes, queries, _FLAT_DISTANCE_BITS)


def check_table_search(cut: Cut = NARROW) -> None:
    """Compare the compiled search with brute force; DisruptError if they differ.

    Compiles the kernels, which takes seconds, or loads them from numba's cache, in one second.
    """
    codes, queries = _examples(_TABLES_DISTANCE_BITS)
    index = MultiIndex(FlatIndex.of(codes), Tables.of(codes, cut=cut))
    if index.plan(_TABLES_DISTANCE_BITS).engine != "multi_index":
        raise DisruptError("The compiled search was not tried: its cost estimate has changed.")
    _compare("the compiled search", index, codes, queries, _TABLES_DISTANCE_BITS)


def _examples(max_distance_bits: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return codes, and copies of some at ``max_distance_bits`` - 1, + 0 and + 1."""
    codes = np.random.default_rng(1).integers(0, 256, (_CODES, HASH_BYTES), np.uint8)
    queries = codes[:30].copy()
    for place, query in enumerate(queries):
        bits = np.unpackbits(query)
        bits[place : place + max_distance_bits - 1 + place % 3] ^= 1
        query[:] = np.packbits(bits)
    return codes, queries


def _compare(
    what: str,
    index: FlatIndex | MultiIndex,
    codes: NDArray[np.uint8],
    queries: NDArray[np.uint8],
    max_distance_bits: int,
) -> None:
    """Compare the answers of ``index`` over ``codes``, each of an item of its own."""
    items = ItemColumns.one_code_each(len(codes))
    limits_bits = same_limits(max_distance_bits)
    near = index.search(queries, max_distance_bits, items, limits_bits, len(codes))
    distances = np.bitwise_count(queries[:, None] ^ codes[None]).sum(axis=-1, dtype=np.uint16)
    expected = {
        (query, entry, distances[query, entry])
        for query, entry in np.argwhere(distances <= max_distance_bits).tolist()
    }
    answered = list(
        zip(
            near.query.tolist(),
            near.entry.tolist(),
            near.distance.tolist(),
            strict=True,
        )
    )
    if len(answered) != len(expected) or set(answered) != expected:
        raise DisruptError(
            f"On this machine {what} answers otherwise than a comparison with every hash does:"
            f" {len(answered)} hashes instead of {len(expected)}."
        )
