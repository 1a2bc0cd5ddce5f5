"""Hashes that say little: those of a line, a corner, a box or a gradient on a plain page.

The coefficients of such a picture are, but for details, the product of one column and one row, and
so are the signs of which its hash consists: of 256 bits 31 are free, and pictures that have nothing
to do with each other share them. Hashes of photographs are as far from every such product as
random ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MAX_DISTANCE_BITS

MIN_PRODUCT_BITS = MAX_DISTANCE_BITS + 1
"""Hashes nearer to a product are left out: they would match it. Of parts of photographs a
thousandth are; half have 80 bits."""

_ROUNDS = 3


def product_bits(bits: NDArray[np.bool]) -> NDArray[np.uint8]:
    """Distances of hashes, shape (..., 16, 16), from the nearest product of a column and a row.

    Nearly: the nearest one that is reached from one of their rows, by taking the best column for a
    row and the best row for a column in turn. The same for all eight versions of a picture, as far
    as their hashes are. Thread-safe.
    """
    signs = np.where(bits, np.float32(1), np.float32(-1))
    rows = signs  # the first ones to try, 16 for each hash
    for _ in range(_ROUNDS):
        columns = np.where(rows @ signs.mT < 0, np.float32(-1), np.float32(1))
        sums = columns @ signs
        rows = np.where(sums < 0, np.float32(-1), np.float32(1))
    agreeing = np.abs(sums).sum(axis=-1).max(axis=-1)
    side = bits.shape[-1]
    return np.asarray((side**2 - agreeing) / 2, np.uint8)
