"""Hashes of circles: outlined or filled, at any place and size.

The outline of a ball, a fruit, a cup, a head, a planet or the sun is nearly one, and so is a part
of it: pictures of such things share these hashes, whatever else they are of. A part of a picture is
hashed as a square, so circles in it may be wider than tall.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.distinctiveness.concentration import COEFFICIENTS, COSINES, DRAWN

_SIZES = ((0.15, 0.8, 0.027), (0.8, 1.9, 0.055))
"""Radii from, to, and the step of radii and of centres, as shares of a side. Of a larger circle
only an arc is in the picture, on which a step along it changes little."""

_STRETCHES = np.array([0.8, 1, 1.25], np.float32)
"""Widths over heights."""

_MARGIN = 0.08
"""Least share of a side by which the circle, and its outside, have to reach into the picture."""

_INSIDE, _OUTLINE = np.float32(0.02), np.float32(0.03)
"""Widths, as shares of a side: of the edge of filled circles, and of outlines."""


def circles() -> NDArray[np.uint8]:
    """Return hashes of circles whose centres are left of and above the middle, shape (n, 32).

    Some 250 000: of 126 000 circles, each filled and as an outline. Those of the circles in
    negative are their complements, of others ``mirrored`` ones. Takes half a second.
    """
    middle = (np.arange(DRAWN, dtype=np.float32) + 0.5) / DRAWN
    hashes = []
    for stretch in np.sqrt(_STRETCHES):
        for first, last, step in _SIZES:
            radii = np.arange(first, last, step, dtype=np.float32)
            across, down = (
                np.arange(0.5, -last * by, -step, dtype=np.float32) for by in (stretch, 1 / stretch)
            )
            rows = ((middle[:, None] - down[:, None, None]) * stretch) ** 2
            for columns in ((middle - across[:, None]) / stretch) ** 2:
                distances = np.sqrt(rows + columns)
                nearest, farthest = (
                    most((1, 2))[:, None] for most in (distances.min, distances.max)
                )
                seen = (nearest + _MARGIN < radii) & (farthest - _MARGIN > radii)
                centre, radius = np.nonzero(seen)
                beyond = distances[centre] - radii[radius, None, None]
                hashes.append(_hashes(np.tanh(beyond / _INSIDE)))
                hashes.append(_hashes(np.exp(-((beyond / _OUTLINE) ** 2))))
    return np.concatenate(hashes)


def mirrored(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return hashes, shape (n, 32), unmirrored and mirrored in each direction, (4, n, 32).

    Takes the median that PDQ compares coefficients with as 0. For circles it nearly is; of
    photographs, up to 24 bits of these hashes may differ.
    """
    odd = np.arange(COEFFICIENTS) % 2 == 0  # The first coefficient is half a wave.
    flips = [np.zeros_like(odd), odd]
    signs = np.stack([down[:, None] ^ across for down in flips for across in flips])
    return hashes ^ _packed(signs)[:, None]


def _hashes(drawn: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Hash pictures of shape (n, 32, 32), taking 0 as their median."""
    return _packed(COSINES @ drawn @ COSINES.T > 0)


def _packed(bits: NDArray[np.bool]) -> NDArray[np.uint8]:
    packed = np.packbits(bits.reshape(-1, COEFFICIENTS**2), axis=1, bitorder="little")
    return packed[:, ::-1]
