"""How near hashes must be to match: nearer where few places of a picture decide all bits.

The signs of a picture's coefficients draw its edges (Oppenheim and Lim, "The importance of phase in
signals", 1981). What is drawn all over, as of most photographs, belongs to one picture; one line,
circle or corner belongs to many, and their hashes are near each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MAX_DISTANCE_BITS

DRAWN, COEFFICIENTS = 32, 16
"""Samples along a side of what is drawn, and coefficients of it."""

COSINES = np.cos(
    np.pi / (2 * DRAWN) * np.outer(np.arange(1, COEFFICIENTS + 1), 2 * np.arange(DRAWN) + 1)
).astype(np.float32)

_MEAN_POWER = np.float32(COEFFICIENTS**2 / 4)

_CONCENTRATIONS = np.array([4.8, 6, 9, 16], np.float32)
"""Of random hashes less than one in a thousand has the first or more; of parts of photographs a
quarter, and one in two hundred the last."""

CONCENTRATED_BITS, LEAST_BITS = 28, 12
"""Largest distances at which a hash matches that draws a concentrated picture: one, and the most
concentrated."""

_MOST_BITS = np.array([MAX_DISTANCE_BITS, CONCENTRATED_BITS, 24, 18, LEAST_BITS], np.int16)
"""Below these, between them and above; docs/match-distance.md says why."""

_BLOCK = 4
"""Samples along a side of a block."""

_OUTLINED = np.float32(1.45)
"""Least mean square of the power of blocks, over the square of their mean, of an outline."""


def most_bits(hashes: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the largest distances at which hashes, shape (n, 32), match: 12 to 31, shape (n,)."""
    return _MOST_BITS[np.searchsorted(_CONCENTRATIONS, concentration(_bits(hashes)), side="right")]


def draw_outlines(hashes: NDArray[np.uint8]) -> NDArray[np.bool]:
    """Tell which hashes, shape (n, 32), may be those of an outline: their drawing is uneven.

    Shape (n,). Long outlines are less concentrated than what ``concentration`` detects. Of
    random hashes 3 of 100 may be, of photographs' parts 85: from 17 to 100, by photograph.
    """
    blocks = DRAWN // _BLOCK
    power = _power(_bits(hashes)).reshape(-1, blocks, _BLOCK, blocks, _BLOCK).mean((2, 4))
    return np.asarray((power**2).mean((1, 2)) >= _OUTLINED * _MEAN_POWER**2)


def concentration(bits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the kurtosis of what the bits of hashes, shape (n, 16, 16), draw, shape (n,).

    Random bits give 3. It hardly changes when a picture is turned or mirrored.
    """
    power = _power(bits).reshape(-1, DRAWN**2)
    # The mean of the power is the same for all hashes, as cosines are orthogonal.
    return np.asarray(np.einsum("ij,ij->i", power, power) / (DRAWN**2 * _MEAN_POWER**2))


def _bits(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.unpackbits(hashes, axis=1)[:, ::-1].reshape(-1, COEFFICIENTS, COEFFICIENTS)


def _power(bits: NDArray[Any]) -> NDArray[np.float32]:
    """Return the power of what the bits of hashes draw, shape (n, 32, 32)."""
    signs = 2 * bits.astype(np.float32) - 1
    columns = (signs.reshape(-1, COEFFICIENTS) @ COSINES).reshape(-1, COEFFICIENTS, DRAWN)
    drawn = columns.mT.reshape(-1, COEFFICIENTS) @ COSINES
    drawn *= drawn
    return np.asarray(drawn.reshape(-1, DRAWN, DRAWN))
