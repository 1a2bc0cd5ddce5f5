"""Find lines of a picture along which there is an edge, for the sides of regions."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_STEP = 4
"""Levels by which luma steps at the edge of a picture, beyond how it changes before."""

_EVEN = 6
"""Levels by which a page may change in 3 lines: blurred copies of a picture do."""

_FAINT_STEP = 1
"""Levels by which luma steps where it is even before: a sky on a blurred sky, a night on black."""

_BLOCK_PX = 16
"""Length of the blocks of a line in which steps are counted together."""

_BAND = 128
"""Lines that are searched for steps at a time: their data stay in the cache."""

CORNER = 3
"""Lines at an end of the whole for which no share is computed."""


class Lines:
    """Edges between the lines of an axis, for ``luma`` of shape (lines, along).

    Rows of its running sums, shape (lines, along / 16 + 1), count up to each sixteenth place along
    a line those pixels where there is a step from the line before; of two neighbours one is looked
    at. A faint one, from where luma does not change, counts as three quarters of a pixel.
    """

    def __init__(self, luma: NDArray[np.uint8]) -> None:
        self.luma = luma
        blocks = luma.shape[1] // _BLOCK_PX
        thin = np.ascontiguousarray(luma[:, : blocks * _BLOCK_PX : 2]).astype(np.int16)
        counts = np.zeros((5, len(luma), blocks), np.uint8)
        for first in range(0, len(luma) - 6, _BAND):
            some = thin[first : first + _BAND + 6]
            over_3 = some[3:] - some[:-3]
            by = over_3[3:] - over_3[:-3]
            np.abs(by, out=by)
            np.abs(over_3, out=over_3)
            even, level = over_3 <= _EVEN, over_3 == 0
            steps, small = by > _STEP, by > _FAINT_STEP
            # Line i is compared with those 2 before and 1 after it: scaling blurs an edge over two.
            for side, before, at in ((0, slice(-3), first + 5), (1, slice(3, None), first + 2)):
                clear = steps & even[before]
                _count(clear, counts[side, at:])
                _count(clear | (small & level[before]), counts[3 + side, at:])
            beside = some[1:] - some[:-1]
            np.abs(beside, out=beside)
            least = np.maximum(beside[:-4], beside[4:])
            least *= 2
            least += _STEP + 1
            _count(over_3[1:-1] > least, counts[2, first + 3 :])
        counts[:2] += 3 * counts[3:]
        counts[2] *= 4
        # A product with ones above the diagonal takes half the time of a running sum.
        self.starts, self.stops, self.cuts = counts[:3].astype(np.float32) @ (_above(blocks) / 4)

    def evenness(self, line: int, start: int, stop: int) -> float:
        """Return the share of a line, ``start`` to ``stop``, that is of one level or smooth."""
        levels = self.luma[line, start:stop:2].astype(np.int16)
        middle = np.partition(levels, len(levels) // 2)[len(levels) // 2]
        plain = np.count_nonzero(np.abs(levels - middle) <= _STEP) / len(levels)
        smooth = np.count_nonzero(np.abs(levels[1:] - levels[:-1]) < _STEP) / len(levels)
        return max(plain, 0.9 * smooth)

    def place(self, line: int, start: int, stop: int) -> float:
        """Return the place of the edge at a line, to less than a line, as a share of all lines."""
        last = len(self.luma)
        if not 1 < line < last - 1:
            return line / last
        around = self.luma[line - 2 : line + 2, start:stop].astype(np.int16, order="C")
        steps = np.abs(np.diff(around, axis=0)).mean(axis=1)
        steps -= steps.min()
        return (line + float(steps @ (-1, 0, 1)) / max(float(steps.sum()), 1e-9)) / last


def _count(marks: NDArray[np.bool], sums: NDArray[np.uint8]) -> None:
    """Count the marks in each block of some lines, into the first of ``sums``."""
    np.bitwise_count(marks.view(np.uint64), out=sums[: len(marks)])


@lru_cache(maxsize=16)
def _above(blocks: int) -> NDArray[np.float32]:
    return np.triu(np.ones((blocks, blocks + 1), np.float32), 1)


def shares(sums: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float64]:
    """Return the share of each line, from ``start`` to ``stop``, in whole blocks only."""
    last = stop // _BLOCK_PX
    first = min(-(-start // _BLOCK_PX), last)  # An interval within a block has none.
    return (sums[..., last] - sums[..., first]) / (max(last - first, 1) * (_BLOCK_PX // 2))


def peaks(of_lines: NDArray[np.float64], least: float, most: int) -> list[int]:
    """List lines where a share is largest around, largest first, no two within 3 of another."""
    places = np.flatnonzero(of_lines >= least)
    if not len(places):
        return []
    lines: list[int] = []
    for place in places[np.argsort(-of_lines[places], kind="stable")].tolist():
        if all(abs(place - line) > CORNER for line in lines):
            lines.append(place)
            if len(lines) == most:
                break
    return lines
