"""Banded linear maps along an axis, applied strip by strip.

Blurring, sampling and averaging all weigh a few neighbours for each output: a matrix that is zero
away from its diagonal. Cut into bands, each reads one strip of the input, which is converted while
it is in the cache, so that neither time nor memory goes to the zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Some outputs of a map: their places, the first input they read, weights (outputs, inputs)."""

    outputs: slice | NDArray[np.intp]
    start: int
    weights: NDArray[np.floating]


def apply(
    bands: tuple[Band, ...], strip: Callable[[int, int], NDArray[Any]], out: NDArray[Any]
) -> None:
    """Write the map of an input into ``out``, shape (..., outputs, columns).

    ``strip(start, stop)`` gives rows of the input as floats, shape (..., stop - start, columns).
    """
    for band in bands:
        rows = strip(band.start, band.start + band.weights.shape[1])
        out[..., band.outputs, :] = np.matmul(band.weights, rows)
