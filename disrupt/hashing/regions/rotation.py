"""Turn a picture by a few degrees about its centre."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def turned(luma: NDArray[Any], degrees: float, aspect: float) -> NDArray[np.float32]:
    """Turn luma (height, width) clockwise, to the same shape, interpolated between pixels.

    ``aspect``: width over height of the picture, which ``luma`` may have lost. Where corners come
    from outside the picture, its edge goes on.
    """
    height_px, width_px = luma.shape
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    x = _centres(width_px)
    y = _centres(height_px)[:, None]
    from_x = (x * cosine + y * (sine / aspect) + 0.5) * width_px - 0.5
    from_y = (y * cosine - x * (sine * aspect) + 0.5) * height_px - 0.5
    left, right_share = _cell(from_x, width_px)
    top, lower_share = _cell(from_y, height_px)
    pixels = luma.astype(np.float32, copy=False).reshape(-1)
    at = top * width_px + left
    upper, lower = (
        pixels[first:].take(at) * (1 - right_share) + pixels[first + 1 :].take(at) * right_share
        for first in (0, width_px)
    )
    turned_luma: NDArray[np.float32] = upper * (1 - lower_share) + lower * lower_share
    return turned_luma


def _centres(size_px: int) -> NDArray[np.float32]:
    """Return the centres of the pixels of an axis, from the middle, in its length."""
    return (np.arange(size_px, dtype=np.float32) + np.float32(0.5)) / np.float32(size_px) - 0.5


def _cell(at: NDArray[np.float32], size_px: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the pixel before each place of an axis, and the share of the one after it."""
    before = np.floor(at).clip(0, size_px - 2)
    return before.astype(np.intp), (at - before).clip(0, 1)
