"""Hashes of circles: of an outline, or of what is inside, wherever and however large it is.

The outline of a ball, a fruit, a cup, a planet or the sun is nearly one, and so is a part of it:
pictures of such things share these hashes, whatever else they are of.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.core.concentration import COEFFICIENTS, COSINES, DRAWN

_CENTRES = np.linspace(-1, 2, 51, dtype=np.float32)
"""As shares of a side, in both directions: beside the picture, too."""

_RADII = np.geomspace(0.15, 1.9, 20, dtype=np.float32)

_MARGIN = 0.08
"""Least of a circle, as a share of a side, that has to be in the picture, and of what is not."""

_INSIDE, _OUTLINE = np.float32(0.02), np.float32(0.03)
"""Widths, as shares of a side: of the edge of what is inside, and of outlines."""


def circles() -> NDArray[np.uint8]:
    """Hashes of some 21 000 circles, each filled and as an outline, shape (n, 32).

    Those of the same circles in negative are their complements. Takes a tenth of a second.
    """
    middle = (np.arange(DRAWN, dtype=np.float32) + 0.5) / DRAWN
    found = []
    for across in _CENTRES:
        distances = np.hypot(middle - across, middle[:, None] - _CENTRES[:, None, None])
        nearest, farthest = (most((1, 2))[:, None] for most in (distances.min, distances.max))
        seen = (nearest + _MARGIN < _RADII) & (farthest - _MARGIN > _RADII)
        centre, radius = np.nonzero(seen)
        beyond = distances[centre] - _RADII[radius, None, None]
        found += [_hashes(np.tanh(beyond / _INSIDE)), _hashes(np.exp(-((beyond / _OUTLINE) ** 2)))]
    return np.concatenate(found)


def _hashes(drawn: NDArray[np.float32]) -> NDArray[np.uint8]:
    """PDQ hashes of pictures of shape (n, 32, 32)."""
    coefficients = (COSINES @ drawn @ COSINES.T).reshape(-1, COEFFICIENTS**2)
    median = np.partition(coefficients, 127, axis=1)[:, 127:128]
    return np.packbits(coefficients > median, axis=1, bitorder="little")[:, ::-1]
