"""Canonical luma: 8 bits, area-averaged to 512x512 by exact integer arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from disrupt.hashing.decoding.pixels import Picture, oriented
from disrupt.hashing.pdq.banded_matrix import Band, apply

SIDE_PX = 512
"""Side of the canonical square."""

_PER_BAND = 8
"""Output rows per matrix product: few, to waste little on zeros; enough to be worth a call."""


def canonical_luma(picture: Picture) -> NDArray[np.uint8]:
    """Return the luma that PDQ_512 hashes, upright, shape (height, width).

    The picture's own size up to 512 px; when either side is larger, 512x512 (aspect not kept).
    Takes 2 kB per pixel of width beside the picture, whatever its height.
    """
    width_px, height_px = picture.width_px, picture.height_px
    if max(width_px, height_px) <= SIDE_PX:
        luma = picture.luma(0, height_px)
    else:
        luma = area_average(picture.luma, width_px, height_px)
    # Turning afterwards is the same, for the average of a turned picture is the turned average,
    # bit for bit.
    return np.ascontiguousarray(oriented(luma, picture.orientation))


def area_average(
    rows: Callable[[int, int], NDArray[np.uint8]], width_px: int, height_px: int
) -> NDArray[np.uint8]:
    """Average each cell of a 512x512 grid over the picture, rounded half up; (512, 512).

    ``rows(top, bottom)`` gives a strip of 8-bit luma, shape (bottom - top, width). In units of
    1/512 input pixel, cell i covers [i n, (i + 1) n) of an axis of n pixels and pixel x covers
    [512 x, 512 (x + 1)): the lengths they share are integer weights that sum to n. Exact for sides
    up to 65 535 px, and so the same in any order of summation: a column sum is an integer of at
    most 255 x 65 535 < 2^24, which float32 holds exactly; a cell's sum is one of at most 255 x
    width x height < 2^53, which float64 holds.
    """
    columns = np.empty((SIDE_PX, width_px), np.float32)
    apply(
        _coverage(height_px),
        lambda top, bottom: rows(top, bottom).astype(np.float32),
        columns,
    )
    average = np.empty((SIDE_PX, SIDE_PX), np.uint8)
    area = width_px * height_px
    for band in _coverage(width_px):
        part = columns[:, band.start : band.start + band.weights.shape[1]]
        sums = np.matmul(band.weights, part.T.astype(np.float64)).astype(np.int64)
        average[band.outputs] = (2 * sums + area) // (2 * area)
    return average.T


@lru_cache(maxsize=64)
def _coverage(size_px: int) -> tuple[Band, ...]:
    """Return how much each cell covers of each pixel of an axis."""
    bands = []
    for first in range(0, SIDE_PX, _PER_BAND):
        start, stop = first * size_px // SIDE_PX, -(-(first + _PER_BAND) * size_px // SIDE_PX)
        cells = np.arange(first, first + _PER_BAND)[:, None] * size_px
        pixels = np.arange(start, stop) * SIDE_PX
        shared = np.minimum(cells + size_px, pixels + SIDE_PX) - np.maximum(cells, pixels)
        weights = shared.clip(min=0).astype(np.float32)
        bands.append(Band(slice(first, first + _PER_BAND), start, weights))
    return tuple(bands)
