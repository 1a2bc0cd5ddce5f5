"""Find a video within its frames: bars are plain, and what surrounds a recording stands still."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_SIDE_PX = 400
"""Rows and columns, about, that frames are reduced to: an edge is a quarter percent off."""

_CHANGE = 16
"""Range of levels, of 255 and over the whole time, from which a pixel counts as changing: more than
noise causes. A slow camera changes little from frame to frame."""

_VARIED = 12
"""Least range of levels in a row that is no bar."""

_SHARE = 0.3
"""Share of a row that has changed where the video is."""

_SOME = 0.02
"""Share of a row that has changed where at least something of the video moves."""

_STEP = 8
"""Levels between the two sides of an edge of the video, in the mean of all frames."""

_STRAIGHT = 0.75
"""Share of a side along which there is such a step."""

_LEAST = 0.1
"""Smallest side of the video within its frame."""

_NARROW = 0.015
"""Borders up to here change a hash so little that they need not be cut."""

_MIN_FRAMES = 3

_NEWS = 1.1
"""Growth of the number of frames after which the borders are computed again."""


class Box(NamedTuple):
    """Borders to cut off, as shares of the width and height."""

    left: float
    top: float
    right: float
    bottom: float


_NO_BORDERS = Box(0, 0, 0, 0)


class Borders:
    """Learns the borders from frame to frame. For frames of one size."""

    def __init__(self) -> None:
        self._darkest: NDArray[np.uint8] | None = None
        self._lightest: NDArray[np.uint8] | None = None
        self._sum: NDArray[np.float32] = np.zeros((1, 1), np.float32)
        self._varied: list[NDArray[np.bool_]] = []
        self._frames = 0
        self._boxes: tuple[Box, ...] = ()
        self._boxed_at = 0

    def see(self, luma: NDArray[np.uint8]) -> None:
        """Learn from a frame, shape (height, width)."""
        steps = [max(size // _SIDE_PX, 1) for size in luma.shape]
        small = luma[:: steps[0], :: steps[1]]
        if self._darkest is None or self._lightest is None or self._darkest.shape != small.shape:
            self._darkest, self._lightest = small.copy(), small.copy()
            self._sum = np.zeros(small.shape, np.float32)
            self._varied = [np.zeros(size, np.bool_) for size in small.shape]
            self._frames = self._boxed_at = 0
        else:
            np.minimum(self._darkest, small, out=self._darkest)
            np.maximum(self._lightest, small, out=self._lightest)
        for varied, every in zip(self._varied, (small, small.T), strict=True):
            lines = every[~varied]
            cut = lines.shape[1] // 20  # Ignore what codecs smear in from neighbours.
            ordered = np.partition(lines, (cut, lines.shape[1] - 1 - cut), axis=1)
            light, dark = ordered[:, -1 - cut].astype(np.int16), ordered[:, cut]
            varied[~varied] = light - dark > _VARIED
        self._sum += small
        self._frames += 1

    def boxes(self) -> tuple[Box, ...]:
        """Return the borders to cut: plain edges, bars, still parts, and around straight edges.

        Nearly equal boxes are merged. Still parts may belong to the video: then some boxes cut too
        much.
        """
        if self._frames >= _NEWS * self._boxed_at:
            self._boxes, self._boxed_at = self._detected(), self._frames
        return self._boxes

    def plain(self) -> tuple[Box, ...]:
        """Return the plain edges, at most one box: a border, or part of the video."""
        if self._frames < _MIN_FRAMES:
            return ()
        return _distinct([self._box(*(_extent(varied) for varied in self._varied))])

    def _detected(self) -> tuple[Box, ...]:
        if self._darkest is None or self._lightest is None or self._frames < _MIN_FRAMES:
            return ()
        rows, columns = (_extent(varied) for varied in self._varied)
        plain = self._box(rows, columns)
        boxes = [plain, _bars(plain)]
        changed = self._lightest - self._darkest > _CHANGE
        inner = changed[rows[0] : rows[1], columns[0] : columns[1]]
        # Otherwise most of the video itself stands still.
        if inner.size and inner.mean() > _SHARE / 2:
            top, bottom = _extent(inner.mean(axis=1) > _SHARE)
            left, right = _extent(inner[top:bottom].mean(axis=0) > _SHARE)
            boxes.append(self._box(_within(rows, (top, bottom)), _within(columns, (left, right))))
        if min(inner.shape) > 1:
            boxes += self._framed(rows, columns, inner)
        return _distinct(boxes)

    def _framed(
        self, rows: tuple[int, int], columns: tuple[int, int], changed: NDArray[np.bool_]
    ) -> list[Box]:
        """Return boxes around all that moves and around the straight edges outside of it."""
        # Noise changes single pixels, so count only blocks of four.
        solid = changed[1:, 1:] & changed[1:, :-1] & changed[:-1, 1:] & changed[:-1, :-1]
        top, bottom = _extent(solid.mean(axis=1) > _SOME)
        left, right = _extent(solid.mean(axis=0) > _SOME)
        if top == bottom or left == right:
            return []
        mean = self._sum[rows[0] : rows[1], columns[0] : columns[1]] / self._frames
        moving = (top, bottom), (left, right)
        boxes = [self._box(_within(rows, moving[0]), _within(columns, moving[1]))]
        # The second pass measures along the box of the first: longer edges are clearer.
        for _ in range(2):
            across, along = _steps(mean[:, left:right]), _steps(mean[top:bottom].T)
            top, bottom = _outside(across, *moving[0])
            left, right = _outside(along, *moving[1])
            if top >= bottom or left >= right:
                return boxes
        return [*boxes, self._box(_within(rows, (top, bottom)), _within(columns, (left, right)))]

    def _box(self, rows: tuple[int, int], columns: tuple[int, int]) -> Box:
        height, width = self._darkest.shape if self._darkest is not None else (1, 1)
        return Box(
            columns[0] / width, rows[0] / height, 1 - columns[1] / width, 1 - rows[1] / height
        )


def _distinct(candidates: list[Box]) -> tuple[Box, ...]:
    """Keep boxes that leave enough of the frame, cut something, and differ from each other."""
    boxes: list[Box] = []
    for box in candidates:
        small = 1 - box.left - box.right < _LEAST or 1 - box.top - box.bottom < _LEAST
        if not small and all(_apart(box, earlier) for earlier in (_NO_BORDERS, *boxes)):
            boxes.append(box)
    return tuple(boxes)


def _bars(plain: Box) -> Box:
    """Return bars as players add them, equal and on two sides; other plain edges stay."""
    across, along = min(plain.left, plain.right), min(plain.top, plain.bottom)
    return Box(across, 0, across, 0) if across > along else Box(0, along, 0, along)


def _apart(first: Box, second: Box) -> bool:
    """Tell whether two borders differ so much that hashes without them do."""
    return max(abs(a - b) for a, b in zip(first, second, strict=True)) > _NARROW


def _extent(inside: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the extent from the first True to after the last; empty for none."""
    places = np.flatnonzero(inside)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)


def _within(outer: tuple[int, int], inner: tuple[int, int]) -> tuple[int, int]:
    """Convert an extent counted from the start of ``outer``."""
    return outer[0] + inner[0], outer[0] + inner[1]


def _steps(mean: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return for the line before each row the share of it with a step; 0 at the ends."""
    steps = np.zeros(len(mean) + 1)
    if len(mean) > 3:  # noqa: PLR2004 two rows on each side
        pairs = mean[1:] + mean[:-1]
        steps[2:-2] = (np.abs(pairs[2:] - pairs[:-2]) > 2 * _STEP).mean(axis=1)
    return steps


def _outside(steps: NDArray[np.float64], first: int, end: int) -> tuple[int, int]:
    """Return the nearest straight lines before the first and after the last moving row, or ends."""
    before = np.flatnonzero(steps[: first + 3] > _STRAIGHT)
    after = np.flatnonzero(steps[max(end - 2, 0) :] > _STRAIGHT)
    return (
        _peak(steps, int(before[-1])) if len(before) else 0,
        _peak(steps, max(end - 2, 0) + int(after[0])) if len(after) else len(steps) - 1,
    )


def _peak(steps: NDArray[np.float64], at: int) -> int:
    """Return the line of the largest step near ``at``: blur spreads a step over some lines."""
    from_ = max(at - 2, 0)
    return from_ + int(steps[from_ : at + 3].argmax())
