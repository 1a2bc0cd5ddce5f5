"""The page that anchors are found and sampled on: luma of 512 px a side, and its halvings."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.hashing.pdq.banded_matrix import Band

PAGE_PX = 512
"""Longer side of a page."""

LEVELS = 4
"""Page, and three times its half."""

_MIN_PX = 16
"""Shortest side of a page that has anchors."""

_BAND_CELLS = 16

_TO_IMAGE_STEPS, _TO_WEIGHT_STEPS = 3.0 * 2**35, 3.0 * 2**27
"""Added to a smaller float64 and taken away again, they round it to a multiple of 2^-16, of 2^-24.

Products of such weights and levels are multiples of 2^-40 (2^-42 of a halving), so that float64
holds sums of them exactly: images are the same whatever the order in which a machine adds.
"""


def pages(luma: NDArray[Any], aspect: float) -> list[NDArray[np.float32]]:
    """Return the page of luma (height, width) and its halvings, float32; none of a thin picture.

    ``aspect``: width over height that the page has, whatever that of ``luma`` is.
    """
    short_px = round(PAGE_PX * min(aspect, 1 / aspect))
    if short_px < _MIN_PX:
        return []
    width_px, height_px = (PAGE_PX, short_px) if aspect >= 1 else (short_px, PAGE_PX)
    halved = [averaged(luma, width_px, height_px)]
    while len(halved) < LEVELS:
        halved.append(_half(halved[-1]))
    return halved


def averaged(luma: NDArray[Any], width_px: int, height_px: int) -> NDArray[np.float32]:
    """Average luma over a grid of cells of equal size, without rounding; (height, width)."""
    return mapped(_cells(luma.shape[0], height_px), _cells(luma.shape[1], width_px), luma)


def mapped(
    rows: tuple[Band, ...], columns: tuple[Band, ...], image: NDArray[Any]
) -> NDArray[np.float32]:
    """Map the rows of an image, then its columns, both to multiples of 2^-16."""
    return np.ascontiguousarray(_mapped(columns, _mapped(rows, image).T).T, np.float32)


def _mapped(bands: tuple[Band, ...], image: NDArray[Any]) -> NDArray[np.float64]:
    """Map the rows of an image (rows, columns) by ``in_weight_steps``, to multiples of 2^-16."""
    outputs = sum(len(band.weights) for band in bands)
    result = np.empty_like(image, np.float64, shape=(outputs, image.shape[1]))
    for band in bands:
        rows = image[band.start : band.start + band.weights.shape[1]]
        np.matmul(band.weights, rows.astype(np.float64, copy=False), out=result[band.outputs])
    return _in_image_steps(result)


def in_image_steps(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Round values to multiples of 2^-16."""
    return _in_image_steps(values.astype(np.float64)).astype(np.float32)


def _in_image_steps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values += _TO_IMAGE_STEPS
    values -= _TO_IMAGE_STEPS
    return values


def in_weight_steps(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round weights to multiples of 2^-24."""
    return (weights + _TO_WEIGHT_STEPS) - _TO_WEIGHT_STEPS


@lru_cache(maxsize=64)
def _cells(size_px: int, cells: int) -> tuple[Band, ...]:
    """Return the average of the pixels of an axis over cells, as bands."""
    bands = []
    for first in range(0, cells, _BAND_CELLS):
        last = min(first + _BAND_CELLS, cells)
        start, stop = first * size_px // cells, -(-last * size_px // cells)
        edges = np.arange(first, last + 1)[:, None] * (size_px / cells)
        pixels = np.arange(start, stop)
        shared = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
        weights = in_weight_steps(shared.clip(min=0) * (cells / size_px))
        bands.append(Band(slice(first, last), start, weights))
    return tuple(bands)


def _half(page: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average 2x2 px; an odd last row or column is left out."""
    height, width = page.shape[0] // 2 * 2, page.shape[1] // 2 * 2
    even = page[:height, :width]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) * np.float32(
        0.25
    )
