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
    y, x = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    x = (x + 0.5) / width_px - 0.5
    y = (y + 0.5) / height_px - 0.5
    from_x = (x * cosine + y * (sine / aspect) + 0.5) * width_px - 0.5
    from_y = (y * cosine - x * (sine * aspect) + 0.5) * height_px - 0.5
    left, right_share = _cell(from_x, width_px)
    top, lower_share = _cell(from_y, height_px)
    pixels = luma.astype(np.float32, copy=False)
    upper, lower = (
        pixels[rows, left] * (1 - right_share) + pixels[rows, left + 1] * right_share
        for rows in (top, top + 1)
    )
    return (upper * (1 - lower_share) + lower * lower_share).astype(np.float32)


def _cell(at: NDArray[np.float32], size_px: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the pixel before each place of an axis, and the share of the one after it."""
    before = np.floor(at).clip(0, size_px - 2)
    return before.astype(np.intp), (at - before).clip(0, 1).astype(np.float32)
