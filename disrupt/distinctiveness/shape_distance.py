"""Distances of hashes from those of simple shapes, and the degenerate hashes near them."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BITS, HASH_BYTES
from disrupt.distinctiveness.cosines import COEFFICIENTS
from disrupt.distinctiveness.shapes import shapes

SHAPE_BITS = 45
"""Distance from a shape below which a hash is degenerate: it is of the shape, and matches nothing.
"""

REGISTERED_SHAPE_BITS = SHAPE_BITS + 8
"""Least distance from a shape of the hash for which a picture is registered.

Below it the limit of the hash is less than the 8 bits by which a lookup of the same file may differ
from what was registered, so that the file might never find itself.
"""

_CLASS_BITS = HASH_BITS // 4


def are_degenerate(hashes: NDArray[np.uint8], least_bits: int = SHAPE_BITS) -> NDArray[np.bool]:
    """Tell which hashes, shape (..., 32), are nearer than ``least_bits`` to a shape: shape (...).

    The limits of those nearer than SHAPE_BITS are negative. A sixth of a ms for each, but without
    numba. Thread-safe.
    """
    distances = [shape_bits(code[None]) for code in hashes.reshape(-1, HASH_BYTES)]
    return np.array(distances, np.int16).reshape(hashes.shape[:-1]) < least_bits


def shape_bits(code: NDArray[np.uint8]) -> int:
    """Return the distance of a hash, shape (1, 32), from the nearest shape, as the kernel does."""
    agreement = 0
    for words in orientations(code):
        counts = np.bitwise_count(shape_words() ^ words).view(np.int8)
        first, second, third, fourth = counts - np.int8(_CLASS_BITS // 2)
        for left, right in ((first + second, third + fourth), (first - second, third - fourth)):
            largest = (np.abs(left).view(np.uint8) + np.abs(right).view(np.uint8)).max()
            agreement = max(agreement, int(largest))
    return HASH_BITS // 2 - agreement


def orientations(hashes: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the words of hashes, shape (n, 32), and of them transposed, shape (4, n) each."""
    bits = np.unpackbits(hashes, axis=1)[:, ::-1].reshape(-1, COEFFICIENTS, COEFFICIENTS)
    return _words(bits), _words(bits.mT)


def _words(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Pack bits (n, 16, 16) into four words by the parity of row and column, shape (4, n).

    A mirrored picture has the other sign in every second column or row, nearly, and so the
    complement of two words.
    """
    classes = bits.reshape(-1, COEFFICIENTS // 2, 2, COEFFICIENTS // 2, 2).transpose(2, 4, 0, 1, 3)
    packed = np.packbits(classes.reshape(4, len(bits), _CLASS_BITS), axis=-1)
    return packed.view(np.uint64)[..., 0]


@cache
def shape_words() -> NDArray[np.uint64]:
    """Return the words of all shapes, shape (4, n), contiguous."""
    return np.ascontiguousarray(orientations(shapes())[0])
