"""Hashes of simple shapes: circles, edges and lines, wherever in the picture.

The outline of a ball, a fruit, a cup, a head or a planet is nearly a circle, and that of a wall or
a horizon is an edge: pictures of such things share these hashes, whatever else they are of.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LIBRARY = Path(__file__).with_suffix(".npy")
"""Drawn once, by ``benchmarks/recall/shape_library.py``: rounding must not decide what matches."""


@cache
def shapes() -> NDArray[np.uint8]:
    """Return the hashes, shape (13928, 32), each in one of the eight orientations."""
    hashes: NDArray[np.uint8] = np.load(LIBRARY)
    hashes.flags.writeable = False  # shared
    return hashes
