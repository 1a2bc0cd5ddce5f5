"""The compiled comparison of hashes with the library of shapes. Importing it imports numba."""

# mypy: disable-error-code="call-arg, var-annotated, no-any-return, return-value, assignment"
# (numba's own types describe neither its intrinsics nor its integers)
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.index.multi_index.intrinsics import ones
from disrupt.index.multi_index.kernels import compiled

_CLASS_BITS = 64


@compiled
def nearest_bits(
    upright: NDArray[np.int64],
    transposed: NDArray[np.int64],
    shapes: NDArray[np.int64],
    distances: NDArray[np.int64],
) -> None:
    """Write the distance of each hash from the nearest shape in any orientation, or its negative.

    Hashes (4, n) and shapes (4, m) are words of ``parities``. A mirrored shape, or one in negative,
    has the complement of some words: all eight distances are sums of the same four counts.
    """
    for at in range(upright.shape[1]):
        agreement = 0
        for words in (upright, transposed):
            first, second, third, fourth = words[0, at], words[1, at], words[2, at], words[3, at]
            for shape in range(shapes.shape[1]):
                a, b = ones(first ^ shapes[0, shape]), ones(second ^ shapes[1, shape])
                c, d = ones(third ^ shapes[2, shape]), ones(fourth ^ shapes[3, shape])
                alike = abs(a + b - _CLASS_BITS) + abs(c + d - _CLASS_BITS)
                agreement = max(agreement, alike, abs(a - b) + abs(c - d))
        distances[at] = 2 * _CLASS_BITS - agreement
