"""PDQ of pixels, by the pdqhash package (the C++ reference of facebook/ThreatExchange)."""

from __future__ import annotations

import numpy as np
import pdqhash
from numpy.typing import NDArray

from disrupt.core.hashes import PdqHash


def hash_luma(luma: NDArray[np.uint8]) -> tuple[PdqHash, int]:
    """PDQ hash and quality (0-100) of luma (height, width), without reduction. Thread-safe."""
    return _compute(np.broadcast_to(np.ascontiguousarray(luma)[:, :, None], (*luma.shape, 3)))


def hash_rgb(rgb: NDArray[np.uint8]) -> tuple[PdqHash, int]:
    """PDQ hash and quality (0-100) of RGB (height, width, 3), without reduction. Thread-safe.

    A picture with a side under 5 px has quality 0.
    """
    # pdqhash keeps the order of the axes in memory, and then reads it as if rows came first: a
    # turned view would come out as another picture.
    return _compute(np.ascontiguousarray(rgb))


def _compute(rgb: NDArray[np.uint8]) -> tuple[PdqHash, int]:
    bits, quality = pdqhash.compute(rgb)
    return PdqHash(np.packbits(bits.astype(np.uint8)).tobytes()), quality
