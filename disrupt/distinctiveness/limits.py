"""Compute the distance within which a hash matches: less if it resembles one of a simple shape.

The limit is the distance from the nearest of ``shapes`` less a margin, at most 31 bits. So no two
hashes match that are both nearer to one shape than that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES, MAX_DISTANCE_BITS
from disrupt.distinctiveness.shape_distance import SHAPE_BITS, shape_bits, shape_words
from disrupt.distinctiveness.shapes import shapes
from disrupt.errors import DisruptError
from disrupt.index.multi_index.tables import address


def limits_bits(hashes: NDArray[np.uint8], *, compiled: bool = False) -> NDArray[np.int64]:
    """Return the largest distances at which hashes, shape (n, 32), match, shape (n,).

    They are at most 31, and negative for degenerate hashes. Takes 7 µs for each hash if
    ``compiled``, which loads numba, and else twenty times as long, for the same answer.
    Thread-safe.
    """
    if compiled:
        distances = _compiled_bits(hashes)
    else:
        distances = np.array([shape_bits(code) for code in hashes[:, None]], np.int64)
    return np.minimum(distances - SHAPE_BITS, MAX_DISTANCE_BITS)


def are_within(
    hashes: NDArray[np.uint8],
    query: NDArray[np.uint32],
    distance: NDArray[np.uint16],
    *,
    compiled: bool,
) -> NDArray[np.bool_]:
    """Tell which hits, shape (m,), m ≥ 1, are within the limit of the hash that they are near to.

    ``query`` (m,), ascending, are places in ``hashes``, uint8 (n, 32); ``distance`` (m,) is at most
    31. ``compiled`` is that of ``limits_bits``; the GIL is then not held. Thread-safe.
    """
    if not compiled:
        asked, place = np.unique(query, return_inverse=True)
        return distance <= limits_bits(hashes[asked])[place]
    from disrupt.distinctiveness.kernel import within

    hashes, query = np.ascontiguousarray(hashes), np.ascontiguousarray(query)
    distance = np.ascontiguousarray(distance)
    kept = np.empty(len(query), np.bool_)
    words = shape_words()
    within(
        *(address(hashes), address(words), words.shape[1], SHAPE_BITS),
        *(len(query), address(query), address(distance), address(kept)),
    )
    return kept


def _compiled_bits(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the distances of hashes from the nearest shape. The first call imports the kernel."""
    from disrupt.distinctiveness.kernel import nearest_bits

    hashes, words = np.ascontiguousarray(hashes), shape_words()
    distances = np.empty(len(hashes), np.int64)
    shapes_at = address(words), words.shape[1]
    nearest_bits(address(hashes), len(hashes), *shapes_at, address(distances))
    return distances


def check_limits() -> None:
    """Compare compiled limits with numpy's; DisruptError if they differ.

    Compiles the kernel, which takes seconds, or loads it from numba's cache, in half a second.
    """
    hashes = np.random.default_rng(1).integers(0, 256, (30, HASH_BYTES), np.uint8)
    hashes[::2, 4:] = shapes()[: len(hashes[::2]), 4:]
    distances = np.array([shape_bits(code) for code in hashes[:, None]], np.int64)
    hits = np.arange(len(hashes), dtype=np.uint32), np.arange(len(hashes), dtype=np.uint16)
    kept = are_within(hashes, *hits, compiled=True)
    if (_compiled_bits(hashes) != distances).any() or (
        kept != (hits[1] <= distances - SHAPE_BITS)
    ).any():
        raise DisruptError(
            "On this machine the compiled comparison with shapes answers otherwise than numpy does."
        )
