"""The compiled comparison of hashes with the library of shapes. Importing it imports numba."""

# mypy: disable-error-code="call-arg, var-annotated, no-any-return, return-value, assignment"
# (numba's own types describe neither its intrinsics nor its integers)
from __future__ import annotations

import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numpy.typing import NDArray

from disrupt.index.multi_index.intrinsics import ones, pointer
from disrupt.index.multi_index.kernels import CODE_BYTES, compiled

_CLASS_BITS = 64
_SIDE = 16


@compiled
def nearest_bits(hashes_at: int, n: int, shapes_at: int, n_shapes: int, distances_at: int) -> None:
    """Write the distance of each hash from the nearest shape in any orientation, or its negative.

    The addresses are those of uint8 (n, 32), of the shapes' words as ``orientations`` makes them,
    (4, n_shapes), and of int64 (n,).
    """
    hashes = carray(pointer(hashes_at), n * CODE_BYTES, np.uint8)
    shapes = carray(pointer(shapes_at), (4, n_shapes), np.int64)
    distances = carray(pointer(distances_at), n, np.int64)
    for at in range(n):
        distances[at] = _nearest(hashes, at * CODE_BYTES, shapes)


@compiled
def within(
    hashes_at: int,
    shapes_at: int,
    n_shapes: int,
    margin_bits: int,
    hits: int,
    query_at: int,
    distance_at: int,
    kept_at: int,
) -> int:
    """Write which hits are at least ``margin_bits`` nearer than the shape nearest to their query.

    Returns their number. There is at least one. ``query`` uint32 (hits,), ascending, are places in
    the hashes; ``distance`` uint16 (hits,); ``kept`` uint8 (hits,). The rest is as of
    ``nearest_bits``.
    """
    query = carray(pointer(query_at), hits, np.uint32)
    hashes = carray(pointer(hashes_at), (np.int64(query[hits - 1]) + 1) * CODE_BYTES, np.uint8)
    shapes = carray(pointer(shapes_at), (4, n_shapes), np.int64)
    distance = carray(pointer(distance_at), hits, np.uint16)
    kept = carray(pointer(kept_at), hits, np.uint8)
    count = 0
    limit = 0
    for hit in range(hits):
        if hit == 0 or query[hit] != query[hit - 1]:
            limit = _nearest(hashes, np.int64(query[hit]) * CODE_BYTES, shapes) - margin_bits
        near = np.int64(distance[hit]) <= limit
        kept[hit] = near
        count += near
    return count


@compiled
def _nearest(hashes: NDArray[np.uint8], begin: int, shapes: NDArray[np.int64]) -> int:
    """Return the distance of the hash that begins there from the nearest shape.

    A mirrored shape, or one in negative, has the complement of some words: all eight distances are
    sums of the same four counts.
    """
    upright = np.zeros(4, np.int64)
    transposed = np.zeros(4, np.int64)
    for place in range(8 * CODE_BYTES):
        bit = np.int64(hashes[begin + CODE_BYTES - 1 - (place >> 3)] >> (place & 7)) & 1
        row, column = place // _SIDE, place % _SIDE
        upright[2 * (row & 1) + (column & 1)] |= bit << _place(row, column)
        transposed[2 * (column & 1) + (row & 1)] |= bit << _place(column, row)
    agreement = 0
    for words in (upright, transposed):
        first, second, third, fourth = words[0], words[1], words[2], words[3]
        for shape in range(shapes.shape[1]):
            a, b = ones(first ^ shapes[0, shape]), ones(second ^ shapes[1, shape])
            c, d = ones(third ^ shapes[2, shape]), ones(fourth ^ shapes[3, shape])
            alike = abs(a + b - _CLASS_BITS) + abs(c + d - _CLASS_BITS)
            agreement = max(agreement, alike, abs(a - b) + abs(c - d))
    return 2 * _CLASS_BITS - agreement


@compiled
def _place(row: int, column: int) -> int:
    """Return the bit of a word that holds the bit in this row and column, as ``orientations``."""
    return 8 * (row >> 1) + 7 - (column >> 1)
