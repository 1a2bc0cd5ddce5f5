"""Find where in a picture another picture may be: within borders, on a screen, in a collage.

A picture that is shown on a page or beside others has straight edges, as long as itself, along
which most pixels on one side differ from those on the other. ``find_regions`` looks for rectangles
of which each side is such a line, or an end of the whole:

1. Reduce the picture, and find its lines (``edge_lines.py``).
2. List the cells of an even grid, if the whole is one.
3. List rectangles with an even page around them, and parts of a collage, each with a weight: the
   product of how much of each side is a line.
4. Choose the heaviest that differ from one another and are not plain.
5. Place their sides between the lines of pixels.

A wrong candidate costs one more lookup and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.transforms import Crop
from disrupt.hashing.regions.edge_lines import CORNER, Lines, peaks, shares

_SIDE_PX = 512
"""Longer side, at least, of the reduced picture in which lines are sought; at most twice this."""

_LEAST_SHARE = 0.45
"""Least share of a rectangle's side along which luma must step from one pixel to the next."""

_LEAST_LINE = 0.25
"""Least share of the whole width along which luma must step for a row to be tried as a side."""

_MOST_LINES = 8
"""Most rows that are tried as the top of a rectangle, and as its bottom."""

_LEAST_SIDE = 0.12
"""Least width or height of a candidate, as a share of the whole."""

_LEAST_DEVIATION = 6
"""Least standard deviation of a candidate's luma: plain areas of a page have less."""

_AT_AN_END = 0.75
"""Weight of a side that is an end of the whole. A line weighs the share of it that is a step."""

_LINE_LOSS = 0.2
"""Most of its weight that a rectangle loses for a side at an end, where it could end at a line.

So of a picture with a thin border, the part within the border weighs more than the whole.
"""

_SAME = 0.015
"""Largest difference of sides, as a share of the width or height, of rectangles that are alike.

Their hashes differ by little.
"""

_OVERLAP_LOSS = 0.5
"""Share of its weight that a rectangle loses where it equals a chosen one; less if it overlaps."""
_LEAST_WEIGHT, _LEAST_OF_BEST = 0.1, 0.3
"""Least weight of a candidate: in itself, and as a share of the heaviest one's."""

_MOST_CUTS = 4
"""Most lines along which the whole, or a part of it, is cut."""

_MOST_CELLS = 4
"""Most cells of an even grid in a row, and in a column."""

_GUTTER = 0.04
"""Widest gutter of an even grid, as a share of the whole."""

_LEAST_GRID_LINE, _LEAST_GRID = 0.3, 0.5
"""Share of each line of an even grid along which there must be a step, and of all on average."""

_CERTAIN = 0.35
"""Weight from which a candidate is more likely than the whole; one of 92 pictures without a border
has such a candidate."""


class Region(NamedTuple):
    """The sides of a candidate, as shares of the width and height: 0, 0, 1, 1 is the whole.

    ``certain``: more likely to be the picture than the whole is.
    """

    left: float
    top: float
    right: float
    bottom: float
    certain: bool = False

    @property
    def area(self) -> float:
        """Share of the whole."""
        return (self.right - self.left) * (self.bottom - self.top)

    @property
    def sides_within(self) -> int:
        """Number of sides that are no ends of the whole."""
        return sum((self.left > 0, self.top > 0, self.right < 1, self.bottom < 1))

    def box(self, height: int, width: int) -> _Box:
        """Return the region in rows and columns of a picture of this size."""
        top, bottom = round(self.top * height), round(self.bottom * height)
        return _Box(top, bottom, round(self.left * width), round(self.right * width))

    def crop(self, inner: Crop) -> Crop:
        """Return the crop of the whole that ``inner`` of this region is, in thousandths."""
        left, top, right, bottom = (side / 1000 for side in inner)
        wide, high = self.right - self.left, self.bottom - self.top
        shares = (
            self.left + left * wide,
            self.top + top * high,
            1 - self.right + right * wide,
            1 - self.bottom + bottom * high,
        )
        first, second, third, fourth = (round(1000 * share) for share in shares)
        return first, second, third, fourth


WHOLE = Region(0, 0, 1, 1)


class _Box(NamedTuple):
    """A rectangle of the reduced picture: its first row and column, and those after its last."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        return max(self.bottom - self.top, 0) * max(self.right - self.left, 0)


_Weighed = tuple[float, _Box]

_Side = tuple[int, bool, int, int, int]
"""Axis, whether it is the end of a rectangle, its line, and where it starts and stops along it."""


def find_regions(luma: NDArray[np.uint8], most: int) -> list[Region]:
    """Find at most so many candidates in a picture, shape (height, width), the best first.

    Where it is an even grid, its cells come first, all of them, up to 16. Deterministic and
    thread-safe. Takes 2 to 5 ms, more on pages with many lines.
    """
    height, width = luma.shape
    factor = reduction(width, height)
    if min(height, width) < _SIDE_PX // 8 * factor:
        return []
    small = luma if factor == 1 else np.asarray(Image.fromarray(luma).reduce(factor))
    rows, columns = Lines(small), Lines(small.T)
    cells = _cells(rows, columns)
    whole = _Box(0, len(rows.luma), 0, len(columns.luma))
    on_pages = _less_at_ends([*_on_pages(rows, columns)], whole)
    weighed = [*on_pages, *_in_collages(rows, columns)]
    known = [region.box(len(rows.luma), len(columns.luma)) for region in cells]
    chosen = _best(rows, weighed, [whole, *known], most - len(cells))
    return [*cells, *(_refined(rows, columns, *candidate) for candidate in chosen)]


def reduction(width_px: int, height_px: int) -> int:
    """Return the factor by which a picture is reduced first.

    A picture reduced by it has the same candidates, except those that get too thin.
    """
    return max(max(width_px, height_px) // _SIDE_PX, 1)


class _Sides:
    """Weighs sides of rectangles: how much, 0 to 1, each is the edge of something. Caches them."""

    def __init__(self, rows: Lines, columns: Lines) -> None:
        self._axes = (rows, columns)
        self._shares: dict[_Side, float] = {}
        self._evenness: dict[_Side, float] = {}

    def weight(self, box: _Box, least: float) -> float:
        """Return the product of the four sides' weights; 0 once it is below ``least``."""
        top, bottom, left, right = box
        sides = (
            (0, False, top, left, right),
            (0, True, bottom, left, right),
            (1, False, left, top, bottom),
            (1, True, right, top, bottom),
        )
        weight = 1.0
        # Evenness is slower to compute, and only lowers a weight: compute it last.
        for known, tell in ((self._shares, self._share), (self._evenness, self._even)):
            for side in sides:
                if side not in known:
                    known[side] = tell(*side)
                weight *= known[side]
                if weight < least:
                    return 0.0
        return weight

    def _share(self, axis: int, is_stop: bool, line: int, start: int, stop: int) -> float:  # noqa: FBT001 part of a key
        lines = self._axes[axis]
        if line in {0, len(lines.luma)}:
            return _AT_AN_END
        share = float(shares((lines.stops if is_stop else lines.starts)[line], start, stop))
        return share if share >= _LEAST_SHARE else 0.0

    def _even(self, axis: int, is_stop: bool, line: int, start: int, stop: int) -> float:  # noqa: FBT001 part of a key
        lines = self._axes[axis]
        last = len(lines.luma)
        if line in {0, last}:
            return 1.0
        outside = min(line + CORNER, last - 1) if is_stop else max(line - CORNER - 1, 0)
        return math.sqrt(lines.evenness(outside, start, stop))


def _on_pages(rows: Lines, columns: Lines) -> Iterator[_Weighed]:
    """Yield rectangles with an even page around them."""
    height, width = len(rows.luma), len(columns.luma)
    sides = _Sides(rows, columns)
    tops = [0, *peaks(shares(rows.starts, 0, width), _LEAST_LINE, _MOST_LINES)]
    bottoms = [height, *peaks(shares(rows.stops, 0, width), _LEAST_LINE, _MOST_LINES)]
    for top, bottom in product(tops, bottoms):
        if bottom - top < _LEAST_SIDE * height:
            continue
        lefts = [0, *peaks(shares(columns.starts, top, bottom), _LEAST_SHARE, 3)]
        rights = [width, *peaks(shares(columns.stops, top, bottom), _LEAST_SHARE, 3)]
        for left, right in product(lefts, rights):
            box = _Box(top, bottom, left, right)
            if right - left < _LEAST_SIDE * width:
                continue
            weight = sides.weight(box, _LEAST_WEIGHT)
            if weight:
                yield weight * (box.area / (height * width)) ** 0.25, box


def _less_at_ends(weighed: list[_Weighed], whole: _Box) -> Iterator[_Weighed]:
    """Lower weights where a side is an end of the whole and a line would do nearly as well."""
    at_lines: dict[tuple[int, ...], float] = {}
    for weight, box in weighed:
        for side in range(4):
            if box[side] != whole[side]:
                key = (side, *box[:side], *box[side + 1 :])
                at_lines[key] = max(at_lines.get(key, 0), weight)
    for weight, box in weighed:
        less = weight
        for side in range(4):
            if box[side] == whole[side]:
                at_line = at_lines.get((side, *box[:side], *box[side + 1 :]), 0)
                less *= 1 - _LINE_LOSS * min(at_line / weight, 1) ** 2
        yield less, box


def _in_collages(rows: Lines, columns: Lines) -> Iterator[_Weighed]:
    """Yield the parts of the whole, cut along lines from side to side, and their parts again."""
    whole = _Box(0, len(rows.luma), 0, len(columns.luma))
    for first in (0, 1):
        for weight, box in _parts((rows, columns), whole, (_AT_AN_END,) * 4, first, 3):
            yield weight * (box.area / whole.area) ** 0.25, box


def _parts(
    axes: tuple[Lines, Lines], box: _Box, weights: tuple[float, ...], axis: int, cuts: int
) -> Iterator[_Weighed]:
    """Yield a box, and its parts between lines, cut ``cuts`` times, by rows and columns in turn."""
    if min(weights) < _AT_AN_END or max(weights) > _AT_AN_END:
        yield float(np.prod(weights)), box
    if not cuts:
        return
    start, stop = box[2 * axis : 2 * axis + 2]
    cut_shares = shares(axes[axis].cuts[start:stop], *box[2 - 2 * axis : 4 - 2 * axis])
    cut_shares[:CORNER] = cut_shares[-CORNER:] = 0
    lines = [0, *sorted(peaks(cut_shares, _LEAST_SHARE, _MOST_CUTS)), stop - start]
    for first, last in pairwise(lines):
        if last - first < _LEAST_SIDE * len(axes[axis].luma) or (first, last) == (0, stop - start):
            continue
        sides, ends = list(weights), list(box)
        for at, line in enumerate((first, last)):
            ends[2 * axis + at] = start + line
            if 0 < line < stop - start:
                sides[2 * axis + at] = float(cut_shares[line])
        yield from _parts(axes, _Box(*ends), tuple(sides), 1 - axis, cuts - 1)


def _cells(rows: Lines, columns: Lines) -> list[Region]:
    """Return the cells of an even grid; none where the whole is no grid."""
    height, width = len(rows.luma), len(columns.luma)
    bands, strips = _even_parts(rows, width, least=2), _even_parts(columns, height, least=2)
    if not bands and not strips:
        return []
    whole = [(0.0, 1.0)]  # and no gutters at its ends
    bands = bands or _even_parts(rows, width, least=1) or whole
    strips = strips or _even_parts(columns, height, least=1) or whole
    return [
        Region(left, top, right, bottom) for (top, bottom), (left, right) in product(bands, strips)
    ]


def _even_parts(lines: Lines, along: int, *, least: int) -> list[tuple[float, float]]:
    """Return starts and stops of the equal parts of an axis, as shares of it; as many as it shows.

    They are next to each other, or have equal gutters between them, and at the ends or not.
    """
    size, most = len(lines.luma), round(_GUTTER * len(lines.luma))
    edges = np.max([shares(sums, 0, along) for sums in (lines.cuts, lines.starts, lines.stops)], 0)
    steps: NDArray[np.float64] | None = None
    for count in range(_MOST_CELLS, least - 1, -1):
        middles = [round(size * at / count) for at in range(1, count)]
        around = [edges[middle - most - 1 : middle + most + 2].max() for middle in middles]
        if around and (min(around) < _LEAST_GRID_LINE or sum(around) < _LEAST_GRID * len(around)):
            continue
        if steps is None:
            steps = np.abs(np.diff(lines.luma[:, ::4].astype(np.int16), axis=0)).mean(axis=1)
        layouts = [(0, 0), *((gutter, at) for gutter in range(1, most + 1) for at in (0, gutter))]
        weighed = [_weight(edges, steps, _layout(size, count, *layout)) for layout in layouts]
        weight, layout = max(zip(weighed, layouts, strict=True))
        if weight:
            return [
                (lines.place(round(start), 0, along), lines.place(round(stop), 0, along))
                for start, stop in _layout(size, count, *layout)
            ]
    return []


def _layout(size: int, count: int, gutter: int, margin: int) -> list[tuple[float, float]]:
    part = (size - 2 * margin - (count - 1) * gutter) / count
    starts = [margin + at * (part + gutter) for at in range(count)]
    return [(start, start + part) for start in starts]


def _weight(
    edges: NDArray[np.float64], steps: NDArray[np.float64], parts: list[tuple[float, float]]
) -> float:
    """Return the sum of steps of luma where parts start and stop; 0 unless there are edges."""
    lines = [round(line) for part in parts for line in part]
    lines = [line for line in lines if 0 < line < len(edges)]
    there = edges[lines]
    if not lines or there.min() < _LEAST_GRID_LINE or there.mean() < _LEAST_GRID:
        return 0.0
    return float(steps[[line - 1 for line in lines]].sum())


def _plain(rows: Lines, box: _Box) -> bool:
    """Tell whether luma varies less within a rectangle than _LEAST_DEVIATION."""
    # A quarter of the lines nearly always decides: all vary by at least a quarter of its variance.
    return _variance(rows, box, 16) / 4 < _LEAST_DEVIATION**2 > _variance(rows, box, 4)


def _variance(rows: Lines, box: _Box, step: int) -> float:
    """Return the variance of each fourth pixel of one in ``step`` lines."""
    shown = rows.luma[box.top : box.bottom : step, box.left : box.right : 4]
    pixels = shown.astype(np.float32).ravel()
    pixels -= pixels[0]  # keeps precision in the sums
    mean = float(pixels.sum()) / len(pixels)
    return float(pixels @ pixels) / len(pixels) - mean**2


def _best(rows: Lines, weighed: list[_Weighed], known: list[_Box], most: int) -> list[_Weighed]:
    """Choose the best that are not plain, not alike nor ``known``, and overlap little."""
    chosen: list[_Weighed] = []
    if not weighed:
        return chosen
    alone = np.array([weight for weight, _ in weighed])
    boxes = np.array([box for _, box in weighed])
    for box in known:
        alone[_alike(boxes, box)] = 0
    overlaps, least = np.zeros(len(alone)), _LEAST_WEIGHT
    while len(chosen) < most:
        weights = alone * (1 - _OVERLAP_LOSS * overlaps)
        at = int(weights.argmax())
        if weights[at] <= least:
            break
        best = _Box(*boxes[at].tolist())
        if _plain(rows, best):
            alone[at] = 0
            continue
        chosen.append((float(weights[at]), best))
        least = max(least, _LEAST_OF_BEST * weights[at])
        overlaps = np.maximum(overlaps, _overlaps(boxes, best))
        alone[_alike(boxes, best)] = 0
    return chosen


def _alike(boxes: NDArray[np.intp], box: _Box) -> NDArray[np.bool]:
    """Tell which of the boxes (n, 4) are nearly equal to ``box``."""
    sizes = np.repeat((box.bottom - box.top, box.right - box.left), 2)
    alike: NDArray[np.bool] = (np.abs(boxes - box) <= _SAME * sizes).all(axis=1)
    return alike


def _overlaps(boxes: NDArray[np.intp], box: _Box) -> NDArray[np.float64]:
    """Return the area of both over the area of either, for each of the boxes (n, 4)."""
    starts, stops = boxes[:, ::2], boxes[:, 1::2]
    both = np.minimum(stops, box[1::2]) - np.maximum(starts, box[::2])
    shared = both.clip(0).prod(axis=1)
    either = (stops - starts).prod(axis=1) + box.area - shared
    return np.asarray(shared / either)


def _refined(rows: Lines, columns: Lines, weight: float, box: _Box) -> Region:
    """Refine the sides to a part of a line: an edge within a pixel is shared by two steps."""
    top, bottom, left, right = box
    vertical = [rows.place(line, left, right) for line in (top, bottom)]
    horizontal = [columns.place(line, top, bottom) for line in (left, right)]
    return Region(
        horizontal[0], vertical[0], horizontal[1], vertical[1], certain=weight >= _CERTAIN
    )
