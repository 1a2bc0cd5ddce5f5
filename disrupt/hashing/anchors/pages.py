"""The page that anchors are found and sampled on: luma of 512 px a side, and its halvings."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.hashing.pdq.banded_matrix import Band, apply

PAGE_PX = 512
"""Longer side of a page."""

LEVELS = 4
"""Page, and three times its half."""

_MIN_PX = 16
"""Shortest side of a page that has anchors."""

_BAND_CELLS = 32


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
    rows = np.empty((height_px, luma.shape[1]), np.float32)
    apply(
        _cells(luma.shape[0], height_px),
        lambda top, bottom: luma[top:bottom].astype(np.float32, copy=False),
        rows,
    )
    columns = np.empty((width_px, height_px), np.float32)
    apply(_cells(luma.shape[1], width_px), lambda left, right: rows[:, left:right].T, columns)
    return np.ascontiguousarray(columns.T)


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
        weights = (shared.clip(min=0) * (cells / size_px)).astype(np.float32)
        bands.append(Band(slice(first, last), start, weights))
    return tuple(bands)


def _half(page: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average 2x2 px; an odd last row or column is left out."""
    height, width = page.shape[0] // 2 * 2, page.shape[1] // 2 * 2
    even = page[:height, :width]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) * np.float32(
        0.25
    )
