"""Hashes of low distinctiveness, for tests of matching."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.distinctiveness.limits import limits_bits
from disrupt.distinctiveness.shape_distance import SHAPE_BITS
from disrupt.distinctiveness.shapes import shapes


def hash_of_limit(limit_bits: int) -> NDArray[np.uint8]:
    """Return a hash, shape (32,), that matches within so many bits only."""
    rng = np.random.default_rng(limit_bits)
    while True:
        bits = np.unpackbits(shapes()[0])
        bits[rng.permutation(256)[: SHAPE_BITS + limit_bits]] ^= 1
        code = np.packbits(bits)
        if limits_bits(code[None]) == limit_bits:
            return code
