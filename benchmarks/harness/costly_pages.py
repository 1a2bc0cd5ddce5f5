"""Pages that are drawn to cost a lookup as much as possible."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

LARGEST_PX = 7071
"""Side of a square of 50 megapixels."""


_Page = NDArray[np.uint8]


def _lines() -> _Page:
    rng = np.random.default_rng(3)
    page = np.full((2000, 2000), 255, np.uint8)
    for start, stop in rng.integers(0, len(page), (3000, 2, 2)):
        cv2.line(page, start.tolist(), stop.tolist(), int(rng.integers(256)), 1)
    return page


def _nested() -> _Page:
    rng = np.random.default_rng(4)
    page = np.full((1500, 1500), 255, np.uint8)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 700
    for at in range(40):
        turn = np.array([[np.cos(at), -np.sin(at)], [np.sin(at), np.cos(at)]])
        corners = (square * 0.93**at @ turn + 750).astype(np.int32)
        cv2.fillPoly(page, [corners], int(rng.integers(256)))
    return page


def _cells() -> _Page:
    cells = np.random.default_rng(5).integers(0, 256, (10, 10, 100, 100), np.uint8)
    return cells.swapaxes(1, 2).reshape(1000, 1000)


def _one_line() -> _Page:
    return np.random.default_rng(6).integers(0, 256, (1, 20_000), np.uint8)


def _chess() -> _Page:
    row, column = np.indices((40, 40), np.uint8)
    return 255 * np.kron((row + column) % np.uint8(2), np.ones((25, 25), np.uint8))


def _framed() -> _Page:
    return np.pad(np.full((700, 900), 90, np.uint8), 60)


def _most_lines() -> _Page:
    lines = _lines()
    tiles = -(-LARGEST_PX // len(lines))
    return np.tile(lines, (tiles, tiles))[:LARGEST_PX, :LARGEST_PX]


COSTLY_PAGES: dict[str, Callable[[], _Page]] = {
    "thousands of lines": _lines,
    "quadrilaterals within quadrilaterals": _nested,
    "a grid of 100 cells": _cells,
    "one colour, with a frame": _framed,
    "one line of 20 000 pixels": _one_line,
    "a chessboard": _chess,
    "50 megapixels of lines": _most_lines,
}
"""Each draws a page, uint8 (height, width), the same at every call."""
