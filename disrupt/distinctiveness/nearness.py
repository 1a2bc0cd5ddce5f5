"""Limits of the distance of matches: lower, the more a hash resembles one of a simple shape.

The limit is the distance from the nearest of ``shapes`` less a margin, at most 31 bits. So no two
hashes match that are both nearer to one shape than that.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES, MAX_DISTANCE_BITS
from disrupt.core.media import MediaKind
from disrupt.core.policy import Scope
from disrupt.distinctiveness.shape_distance import (
    SHAPE_BITS,
    orientations,
    shape_bits,
    shape_words,
)
from disrupt.distinctiveness.shapes import shapes
from disrupt.errors import DisruptError
from disrupt.index.columns import NOTHING_NEAR, NearestHits


def near_enough(
    near: NearestHits, queries: NDArray[np.uint8], scope: Scope, spared: MediaKind | None = None
) -> NearestHits:
    """Drop hits that are farther from their query, of ``queries`` uint8 (n, 32), than its limit.

    Nothing is dropped if the scope searches any bank beyond 31 bits, because an operator asks for
    that or because the bank allows it, and no item of the kind ``spared``. Queries that lost hits
    leave ``truncated``: of these only spared items were cut off.
    """
    if near is NOTHING_NEAR or scope.radius_bits > MAX_DISTANCE_BITS:
        return near
    query = near.hits.query
    asked, place = np.unique(query, return_inverse=True)
    kept = near.hits.distance <= limits_bits(queries[asked])[place]
    if spared is not None:
        kept |= near.hits.kind == spared
    if kept.all():
        return near
    truncated = near.truncated
    if len(truncated):
        # Hits are sorted by distance: where some are too far, so is everything that was cut off.
        truncated = np.setdiff1d(truncated, query[~kept])
    return NearestHits(near.hits.take(kept), truncated, near.left)


def limits_bits(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the largest distances at which hashes, shape (n, 32), match, shape (n,).

    At most 31; those of degenerate hashes are negative. Thread-safe. Takes 17 µs for each hash in a
    process that has loaded numba, as it does for an index with tables, and else ten times as long.
    """
    if "numba" in sys.modules:
        distances = _compiled_bits(hashes)
    else:
        distances = np.array([shape_bits(code) for code in hashes[:, None]], np.int64)
    return np.minimum(distances - SHAPE_BITS, MAX_DISTANCE_BITS)


def _compiled_bits(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the distances of hashes from the nearest shape. The first call imports the kernel."""
    from disrupt.distinctiveness.kernel import nearest_bits

    distances = np.empty(len(hashes), np.int64)
    words = (*orientations(hashes), shape_words())
    nearest_bits(*(unsigned.view(np.int64) for unsigned in words), distances)
    return distances


def check_limits() -> None:
    """Compare compiled limits with numpy's; DisruptError if they differ.

    Compiles the kernel, which takes seconds, or loads it from numba's cache, in half a second.
    """
    hashes = np.random.default_rng(1).integers(0, 256, (30, HASH_BYTES), np.uint8)
    hashes[::2, 4:] = shapes()[: len(hashes[::2]), 4:]
    if _compiled_bits(hashes).tolist() != [shape_bits(code) for code in hashes[:, None]]:
        raise DisruptError(
            "On this machine the compiled comparison with shapes answers otherwise than numpy does."
        )
