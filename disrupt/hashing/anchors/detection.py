"""Find anchors: extrema of a scale space of differences of Gaussians, with their orientations.

Lowe's detector (SIFT, 2004) with fixed parameters; docs/anchors.md has every step.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from disrupt.hashing.anchors.pages import PAGE_PX, in_weight_steps, mapped
from disrupt.hashing.pdq.banded_matrix import Band

_LAYERS = 3
"""Scales an octave at which extrema are looked for."""
_SIGMA_PX, _SHARP_SIGMA_PX = 1.6, 0.5
"""Blur of the first scale of an octave, and that which any picture has already."""
_OCTAVES = 4
_BORDER_PX = 5
_MIN_CONTRAST = 1.02
"""Least difference of Gaussians at an extremum, in levels; half of it before it is placed."""
_MAX_EDGE = 30.0
"""Largest ratio of the principal curvatures: a line has a larger one."""
_HALF = 0.5
_NO_DETERMINANT, _FAR = 1e-12, 1e6
_MOVES = 5
"""Most times that an extremum is placed anew, at the neighbour that it lies nearer to."""
_BINS = 36
_TANGENTS = np.tan(np.radians(np.arange(5, 90, 10))).astype(np.float32)
"""Steepness at which a quarter's bins of gradients end; one along a diagonal is in the flat bin."""
_BLOCK = 64
"""Extrema whose gradients are weighed at a time: a picture may have thousands."""
_PEAK_SHARE = 0.8
"""Least share of the highest peak of gradients that is an orientation of its own."""

_NEIGHBOURS = np.indices((3, 3, 3)).reshape(3, -1).T - 1
"""Steps along layer, row and column to a pixel's neighbours, itself in their middle: (27, 3)."""
_CENTRAL = np.array([[0, 1, 0], [-0.5, 0, 0.5], [1, -2, 1]])
"""Weights of a pixel and both its neighbours in the value and its two derivatives."""


def _weights(orders: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the weights of neighbours, (..., 27), in derivatives of orders (..., 3) by axis."""
    layer, row, column = np.moveaxis(_CENTRAL[orders], -2, 0)
    weights = np.einsum("...i,...j,...k->...ijk", layer, row, column)
    return np.asarray(weights.reshape(*orders.shape[:-1], -1), np.float64)


_AXES = np.eye(3, dtype=np.intp)
_GRADIENT, _HESSIAN = _weights(_AXES), _weights(_AXES + _AXES[:, None]).reshape(9, -1)

SIDES_SIGMAS = (16, 24, 11)
"""Sides of the regions of an extremum, in the blur at which it is: all regions of the first side
come before those of the second, which serve pictures of few extrema."""
MIN_SIDE_PX = 60
"""Least side of a region of a page."""


class Anchors(NamedTuple):
    """Squares on a page, in the order in which they are taken, as columns of one length.

    ``x`` and ``y``: centre in px of the page, 0 at its corner; ``side`` in px; ``angle`` in
    radians, clockwise, of the square's right from the page's right. float64 (n,).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    side: NDArray[np.float64]
    angle: NDArray[np.float64]

    def take(self, rows: NDArray[np.intp] | slice) -> Anchors:
        """Return some of them."""
        return Anchors(*(column[rows] for column in self))


class _Extrema(NamedTuple):
    """Extrema of an octave: layer, row and column, as placed; its blur in px of the octave."""

    layer: NDArray[Any]
    row: NDArray[Any]
    column: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any]
    sigma: NDArray[Any]
    response: NDArray[Any]

    def take(self, rows: NDArray[np.bool] | slice) -> _Extrema:
        return _Extrema(*(column[rows] for column in self))


def find_anchors(pages: list[NDArray[np.float32]]) -> Anchors:
    """Return the anchors of a page, of which ``pages`` are the halvings, in their order."""
    if not pages:
        return Anchors(*(np.empty(0) for _ in Anchors._fields))
    height, width = pages[0].shape
    x, y, sigma, angle, response = _oriented(pages[1], width, height)
    regions = []
    for sigmas in SIDES_SIGMAS:
        side = sigmas * sigma
        reach = side / 2 * (np.abs(np.cos(angle)) + np.abs(np.sin(angle)))
        inside = (side >= MIN_SIDE_PX) & (np.minimum(x, width - x) >= reach)
        inside &= np.minimum(y, height - y) >= reach
        some = Anchors(x[inside], y[inside], side[inside], angle[inside])
        regions.append(some.take(_order(some.side, response[inside])))
    return Anchors(*(np.concatenate(columns) for columns in zip(*regions, strict=True)))


def _oriented(
    image: NDArray[np.float32], width: int, height: int
) -> tuple[NDArray[np.float64], ...]:
    """Return x, y and blur in px of the page, angle and response of extrema of its half, (n,)."""
    columns: list[tuple[NDArray[np.float64], ...]] = [(np.empty(0),) * 5]
    image = _blurred(image, math.sqrt(_SIGMA_PX**2 - _SHARP_SIGMA_PX**2))
    for octave in range(_OCTAVES):
        if min(image.shape) <= 2 * _BORDER_PX:
            break
        px = 2 << octave  # of the page, in a pixel of the octave
        scales = [image]
        for blur_px in _BLURS_PX:
            scales.append(_blurred(scales[-1], blur_px))
        extrema = _extrema(np.stack(scales))
        x, y, sigma = px * extrema.x + 1, px * extrema.y + 1, px * extrema.sigma
        # Where even the circle within its smallest square reaches out of the page, so do all.
        room = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
        least = np.maximum(min(SIDES_SIGMAS) * sigma, MIN_SIDE_PX)
        fits = (max(SIDES_SIGMAS) * sigma >= MIN_SIDE_PX) & (least <= 2 * room)
        extrema, x, y, sigma = extrema.take(fits), x[fits], y[fits], sigma[fits]
        at, angle = _orientations(scales, extrema)
        columns.append((x[at], y[at], sigma[at], angle, extrema.response[at]))
        image = scales[_LAYERS][::2, ::2]
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


def _order(side: NDArray[np.float64], response: NDArray[np.float64]) -> NDArray[np.intp]:
    """Order by rank of response among sides of one half octave; the largest first of equal rank."""
    of_size = np.floor(2 * np.log2(side / PAGE_PX)).astype(np.intp)
    by_response = np.lexsort((-response, of_size))
    ranked = of_size[by_response]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked)
    return by_response[np.lexsort((-ranked, rank))]


def _extrema(scales: NDArray[np.float32]) -> _Extrema:
    """Return the extrema of the differences of an octave's scales, (6, height, width)."""
    differences = np.diff(scales, axis=0)
    at = _candidates(differences)
    offset = np.empty((3, at.shape[1]))
    settled = np.zeros(at.shape[1], np.bool)
    contrast = np.empty(at.shape[1])
    curved = np.zeros(at.shape[1], np.bool)
    pending = np.arange(at.shape[1])
    upper = np.array(differences.shape)[:, None] - np.array([[1], [_BORDER_PX], [_BORDER_PX]])
    lower = np.array([[1], [_BORDER_PX], [_BORDER_PX]])
    for _ in range(_MOVES):
        if not len(pending):
            break
        value, gradient, hessian = _derivatives(differences, at[:, pending])
        step = _solved(hessian, -gradient)
        near = (np.abs(step) < _HALF).all(axis=0)
        some = pending[near]
        settled[some] = True
        offset[:, some] = step[:, near]
        contrast[some] = value[near] + 0.5 * (gradient[:, near] * step[:, near]).sum(axis=0)
        curved[some] = _is_no_edge(hessian[..., near])
        pending, step = pending[~near], step[:, ~near]
        moved = at[:, pending] + np.rint(step.clip(-_FAR, _FAR)).astype(np.intp)
        within = ((moved >= lower) & (moved < upper)).all(axis=0)
        pending = pending[within]
        at[:, pending] = moved[:, within]
    good = settled & curved & (np.abs(contrast) >= _MIN_CONTRAST)
    # Several candidates may settle at one place.
    keys = np.ravel_multi_index(tuple(at[:, good]), differences.shape)
    _, first = np.unique(keys, return_index=True)
    kept = np.flatnonzero(good)[np.sort(first)]
    (layer, row, column), (d_layer, d_row, d_column) = at[:, kept], offset[:, kept]
    sigma = _SIGMA_PX * 2 ** ((layer + d_layer) / _LAYERS)
    x, y = column + d_column, row + d_row
    return _Extrema(layer, row, column, x, y, sigma, np.abs(contrast[kept]))


def _candidates(differences: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return layers, rows and columns, (3, n), that no neighbour in place and scale exceeds."""
    _, height, width = differences.shape
    flat = differences.reshape(-1)
    margin = height * width + _BORDER_PX * (width + 1)
    inner = flat[margin:-margin]
    half = _MIN_CONTRAST / 2
    is_most, is_least = inner > half, inner < -half
    for step in (-1, 1, -width, width):
        other = flat[margin + step : len(flat) - margin + step]
        is_most &= inner >= other
        is_least &= inner <= other
    at = np.flatnonzero(is_most | is_least) + margin
    # Few are left whose other neighbours have to be looked at.
    for step in _NEIGHBOURS @ (height * width, width, 1):
        value = flat.take(at)
        at = at.compress(np.abs(value) >= np.sign(value) * flat.take(at + step))
    places = np.stack(np.unravel_index(at, differences.shape))
    within = (places[1:] >= _BORDER_PX) & (
        places[1:] < [[height - _BORDER_PX], [width - _BORDER_PX]]
    )
    return places[:, within.all(axis=0)]


def _derivatives(
    differences: NDArray[np.float32], at: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return values (n,), gradients (3, n) and Hessians (3, 3, n) at layer, row and column."""
    _, height, width = differences.shape
    strides = height * width, width, 1
    places = strides @ at + (_NEIGHBOURS @ strides)[:, None]
    around = differences.reshape(-1).take(places).astype(np.float64)
    # Sums of such levels and weights are exact.
    hessian = (_HESSIAN @ around).reshape(3, 3, -1)
    return around[len(around) // 2], _GRADIENT @ around, hessian


def _solved(hessian: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve symmetric systems (3, 3, n) by Cramer's rule; far away where there is no solution."""
    (a, b, c), (_, d, e), (_, _, f) = hessian
    adjugate = np.array(
        [
            [d * f - e * e, c * e - b * f, b * e - c * d],
            [c * e - b * f, a * f - c * c, b * c - a * e],
            [b * e - c * d, b * c - a * e, a * d - b * b],
        ]
    )
    determinant = a * adjugate[0, 0] + b * adjugate[0, 1] + c * adjugate[0, 2]
    flat = np.abs(determinant) < _NO_DETERMINANT
    solved: NDArray[np.float64] = (adjugate * right).sum(axis=1) / np.where(flat, 1, determinant)
    solved[:, flat] = _FAR
    return solved


def _is_no_edge(hessian: NDArray[np.float64]) -> NDArray[np.bool]:
    """Tell where the two curvatures in the plane are of one sign and not too different."""
    trace = hessian[1, 1] + hessian[2, 2]
    determinant = hessian[1, 1] * hessian[2, 2] - hessian[1, 2] ** 2
    is_curved: NDArray[np.bool] = (determinant > 0) & (
        trace**2 * _MAX_EDGE < (_MAX_EDGE + 1) ** 2 * determinant
    )
    return is_curved


def _orientations(
    scales: list[NDArray[np.float32]], extrema: _Extrema
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return extrema, by their rows, and an angle of each of their peaks of gradients."""
    rows, angles = [], []
    for layer in range(1, _LAYERS + 1):
        of_layer = np.flatnonzero(extrema.layer == layer)
        if len(of_layer):
            histograms = _histograms(scales[layer], extrema.take(extrema.layer == layer))
            some, peaks = _peaks(histograms)
            rows.append(of_layer[some])
            angles.append(peaks)
    if not rows:
        return np.empty(0, np.intp), np.empty(0)
    return np.concatenate(rows), np.concatenate(angles)


def _histograms(scale: NDArray[np.float32], extrema: _Extrema) -> NDArray[np.float64]:
    """Return how the gradients around extrema point, weighed by a Gaussian: (n, _BINS)."""
    lengths, bins = _gradients(scale)
    sums = np.concatenate(
        [
            _sums(lengths, bins, extrema.take(slice(first, first + _BLOCK)))
            for first in range(0, len(extrema.row), _BLOCK)
        ]
    )
    near = np.roll(sums, 1, axis=1) + np.roll(sums, -1, axis=1)
    far = np.roll(sums, 2, axis=1) + np.roll(sums, -2, axis=1)
    smooth: NDArray[np.float64] = (far + 4 * near + 6 * sums) / 16
    return smooth


def _gradients(scale: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the lengths of a scale's gradients, 0 at its edges, and the bins they point to."""
    down, across = np.zeros_like(scale), np.zeros_like(scale)
    np.subtract(scale[2:, 1:-1], scale[:-2, 1:-1], out=down[1:-1, 1:-1])
    np.subtract(scale[1:-1, 2:], scale[1:-1, :-2], out=across[1:-1, 1:-1])
    lengths = np.sqrt(across * across + down * down)
    steep, flat = np.abs(down), np.abs(across)
    # No arc tangent: libraries round it in different ways.
    bins = np.zeros(scale.shape, np.uint8)
    limit, exceeds = np.empty_like(flat), np.empty(scale.shape, np.bool)
    for tangent in _TANGENTS:
        np.greater(steep, np.multiply(flat, tangent, out=limit), out=exceeds)
        bins += exceeds.view(np.uint8)
    # Mirrored left and up, without a condition for each pixel.
    bins += (across < 0) * (_BINS // 2 - 2 * bins)
    bins += (down < 0) * (_BINS - 2 * bins)
    bins[bins == _BINS] = 0
    return lengths, bins


def _sums(
    lengths: NDArray[np.float32], bins: NDArray[np.uint8], extrema: _Extrema
) -> NDArray[np.float64]:
    """Return the weighed lengths of the gradients around extrema, by bin: (n, _BINS)."""
    height, width = lengths.shape
    radius = np.rint(4.5 * extrema.sigma).astype(np.intp)
    reach = np.arange(-radius.max(), radius.max() + 1)
    spread = -1 / (2 * (1.5 * extrema.sigma) ** 2)
    weight = np.exp(reach**2 * spread[:, None])
    weight[np.abs(reach) > radius[:, None]] = 0
    rows, columns = extrema.row[:, None] + reach, extrema.column[:, None] + reach
    row_weight = np.where((rows >= 0) & (rows < height), weight, 0).astype(np.float32)
    column_weight = np.where((columns >= 0) & (columns < width), weight, 0).astype(np.float32)
    at = rows.clip(0, height - 1)[:, :, None] * width + columns.clip(0, width - 1)[:, None]
    weights = lengths.reshape(-1)[at] * row_weight[:, :, None] * column_weight[:, None]
    of = bins.reshape(-1)[at] + _BINS * np.arange(len(radius))[:, None, None]
    sums = np.bincount(of.reshape(-1), weights.reshape(-1), _BINS * len(radius))
    return np.asarray(sums.reshape(-1, _BINS), np.float64)


def _peaks(histograms: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the rows and the angles in radians of the peaks of histograms (n, _BINS)."""
    before, after = np.roll(histograms, 1, axis=1), np.roll(histograms, -1, axis=1)
    highest = histograms.max(axis=1, keepdims=True)
    is_peak = (histograms > before) & (histograms > after) & (histograms >= _PEAK_SHARE * highest)
    rows, bins = np.nonzero(is_peak)
    left, here, right = before[rows, bins], histograms[rows, bins], after[rows, bins]
    at = bins + 0.5 * (left - right) / (left - 2 * here + right)
    return rows, at * (2 * np.pi / _BINS)


_BLURS_PX = tuple(
    _SIGMA_PX * 2 ** (at / _LAYERS) * math.sqrt(2 ** (2 / _LAYERS) - 1) for at in range(_LAYERS + 2)
)
"""Blur from each scale of an octave to the next."""


def _blurred(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Blur by a Gaussian along both axes."""
    rows, columns = (_gaussian(size_px, sigma_px) for size_px in image.shape)
    return mapped(rows, columns, image)


@lru_cache(maxsize=128)
def _gaussian(size_px: int, sigma_px: float) -> tuple[Band, ...]:
    """Return a Gaussian along an axis, cut at 4 sigma, whose pixels go on mirrored at its ends."""
    radius = math.ceil(4 * sigma_px)
    reach = np.arange(-radius, radius + 1)
    weights = np.exp(-(reach**2) / (2 * sigma_px**2))
    weights = in_weight_steps(weights / weights.sum())
    places = np.arange(size_px)[:, None] + reach
    period = 2 * (size_px - 1)
    mirrored = np.abs((places + size_px - 1) % period - (size_px - 1))
    whole = np.zeros((size_px, size_px))
    np.add.at(whole, (np.arange(size_px)[:, None], mirrored), weights)
    bands = []
    for first in range(0, size_px, _BAND_PX):
        some = whole[first : first + _BAND_PX]
        read = np.flatnonzero(some.any(axis=0))
        start, stop = int(read[0]), int(read[-1]) + 1
        part = np.ascontiguousarray(some[:, start:stop])
        bands.append(Band(slice(first, first + len(some)), start, part))
    return tuple(bands)


_BAND_PX = 32
