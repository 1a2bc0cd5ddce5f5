"""Many crops of one picture, each hashed as PDQ_512 hashes the cropped picture.

To cut, average to 512x512, blur, sample and transform is linear and separable: what becomes of an
axis is one small matrix for each interval that is kept. Edges may lie between pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.transforms import Crop
from disrupt.distinctiveness.cosines import COEFFICIENTS, COSINES, SAMPLES
from disrupt.hashing.pdq.banded_matrix import Band
from disrupt.hashing.pdq.linear import (
    REDUCED_PX,
    Hashed,
    blur_weights,
    hash_mirrored,
    hash_samples,
    in_hundredths,
    quality_of,
)

MAX_PLAIN_SHARE = 0.75
"""Largest share of samples that may equal their neighbours. A part with more is a shape on a plain
page, which looks like other shapes whatever its quality. Photographs have up to 0.75, half of them
0.05."""

MAX_DISTANT_PLAIN_SHARE = 0.4
"""The same for a crop that leaves out more than 6 % at a side of what is looked up: the corners of
QR codes and letterheads have more, and one in 300 such crops of photographs. A whole region may be
a dark photograph on a page."""

_ALL: Crop = (0, 0, 0, 0)
_NEAR = 60
"""Most thousandths cut off a side for which samples of the whole give the quality."""

_WHOLE = 1000
_BAND_SAMPLES = 8
PLAIN_STEP = 0.5
"""Least difference in levels of neighbouring samples that counts as a step."""


def hash_crops(luma: NDArray[Any], crops: Sequence[Crop]) -> Hashed:
    """Hash n crops of a picture, shape (height, width): hashes (n, 32). Thread-safe.

    The cropped pictures are averaged to 512x512 without rounding, whatever their size. ``luma`` of
    512x512 or even 256x256 px does for a larger picture: hashes of its crops move by a few bits.
    """
    return hash_samples(sample_crops(luma, crops))


def sample_crops(luma: NDArray[Any], crops: Sequence[Crop]) -> NDArray[np.float32]:
    """Return the first half of ``hash_crops``: blurred samples of the crops, (..., n, 64, 64)."""
    return _mapped(luma, crops, _samples)


def hash_crops_dihedral(luma: NDArray[Any], crops: Sequence[Crop]) -> Hashed:
    """Hash crops as ``hash_crops``, in eight versions each: hashes (n, 8, 32), by ``Dihedral``.

    ``luma`` may be several pictures of one size, (..., height, width): hashes (..., n, 8, 32). The
    quality of all eight is that of the crop as it is, from which theirs differ by little; 0 for a
    shape on a plain page. That of a crop that leaves most is estimated from samples of the whole.
    """
    pixels = luma.astype(np.float32, copy=False)
    coefficients = _mapped(pixels, crops, _coefficients)
    halves = coefficients.reshape(*coefficients.shape[:-2], 2, COEFFICIENTS, 2, COEFFICIENTS)
    versions = halves.swapaxes(-3, -2)
    versions = versions.reshape(*coefficients.shape[:-2], 4, COEFFICIENTS, COEFFICIENTS)
    return hash_mirrored(versions, np.repeat(_qualities(pixels, crops)[..., None], 4, axis=-1))


def _qualities(pixels: NDArray[np.float32], crops: Sequence[Crop]) -> NDArray[np.uint8]:
    """Return qualities (..., n) of crops of pictures; 0 for a shape on a plain page."""
    near = np.array([max(crop) <= _NEAR for crop in crops])
    of_near = [crop for crop, is_near in zip(crops, near, strict=True) if is_near]
    distant = [crop for crop, is_near in zip(crops, near, strict=True) if not is_near]
    samples = sample_crops(pixels, [_ALL, *distant])
    qualities = np.empty((*pixels.shape[:-2], len(crops)), np.uint8)
    qualities[..., ~near] = _judged(samples[..., 1:, :, :])
    qualities[..., near] = _judged_near(samples[..., 0, :, :], tuple(of_near))
    return qualities


def _judged(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return qualities (...) of samples (..., 64, 64); 0 for a shape on a plain page."""
    qualities = quality_of(samples)
    qualities[plain_shares(samples) > MAX_DISTANT_PLAIN_SHARE] = 0
    return qualities


def _judged_near(samples: NDArray[np.float32], crops: tuple[Crop, ...]) -> NDArray[np.uint8]:
    """Estimate qualities of crops from samples (..., 64, 64) of the whole pictures."""
    across, down = np.diff(samples[..., :-1, :], axis=-1), np.diff(samples[..., :-1], axis=-2)
    steps = in_hundredths(across) + in_hundredths(down)
    plain = np.maximum(np.abs(across), np.abs(down)) < PLAIN_STEP
    rows, columns = _windows(crops)
    sums = [((rows @ values) * columns).sum(axis=-1) for values in (steps, plain)]
    areas = rows.sum(axis=1) * columns.sum(axis=1)
    # A crop has as many samples; truncating its smaller steps loses half of what that adds.
    totals = sums[0] * np.sqrt(SAMPLES / np.sqrt(areas))
    qualities: NDArray[np.uint8] = np.minimum(totals // 90, 100).astype(np.uint8)
    qualities[sums[1] > MAX_PLAIN_SHARE * areas] = 0
    return qualities


@lru_cache(maxsize=16)
def _windows(crops: tuple[Crop, ...]) -> NDArray[np.float32]:
    """Return how much of each step between samples crops leave, by rows and columns: (2, n, 63)."""
    steps = SAMPLES - 1
    cuts = np.array(crops).reshape(-1, 4) * (steps / _WHOLE)
    sides = cuts[:, [[1, 3], [0, 2]]].swapaxes(0, 1)
    places = np.arange(steps)
    starts, stops = sides[..., :1], steps - sides[..., 1:]
    left: NDArray[np.float64] = np.minimum(stops, places + 1) - np.maximum(starts, places)
    return left.clip(0).astype(np.float32)


def plain_shares(samples: NDArray[np.float32]) -> NDArray[np.floating]:
    """Return the shares of samples (..., 64, 64) that equal the next one in row and column."""
    across = np.abs(np.diff(samples, axis=-1))[..., :-1, :] < PLAIN_STEP
    down = np.abs(np.diff(samples, axis=-2))[..., :-1] < PLAIN_STEP
    return np.asarray((across & down).mean(axis=(-2, -1)))


_Axis = Callable[[int, int, int], tuple[Band, ...]]
"""Returns the map of the n pixels of an axis to its m outputs, given n and an interval in
thousandths."""


def _mapped(luma: NDArray[Any], crops: Sequence[Crop], axis: _Axis) -> NDArray[np.float32]:
    """Apply ``axis`` to both axes of crops of luma (..., height, width): (..., n, m, m)."""
    height_px, width_px = luma.shape[-2:]
    pixels = luma.astype(np.float32, copy=False)
    by_rows: dict[tuple[int, int], list[int]] = {}
    for at, (_, top, _, bottom) in enumerate(crops):
        by_rows.setdefault((top, bottom), []).append(at)
    side = sum(len(band.weights) for band in axis(height_px, 0, _WHOLE))
    mapped = np.empty((*luma.shape[:-2], len(crops), side, side), np.float32)
    rows = np.empty((*luma.shape[:-2], side, width_px), np.float32)
    for (top, bottom), places in by_rows.items():
        for band in axis(height_px, top, _WHOLE - bottom):
            stop = band.start + band.weights.shape[1]
            rows[..., band.outputs, :] = band.weights @ pixels[..., band.start : stop, :]
        for at in places:
            left, _, right, _ = crops[at]
            for band in axis(width_px, left, _WHOLE - right):
                stop = band.start + band.weights.shape[1]
                mapped[..., at, :, band.outputs] = rows[..., band.start : stop] @ band.weights.T
    return mapped


@lru_cache(maxsize=512)
def _samples(size_px: int, start: int, stop: int) -> tuple[Band, ...]:
    """Map the pixels of an axis to the 64 samples of an interval of it.

    A registration takes 230 intervals of canonical squares.
    """
    return _bands(_axis(_sample_sums(), size_px, start, stop), _BAND_SAMPLES)


@lru_cache(maxsize=256)
def _coefficients(size_px: int, start: int, stop: int) -> tuple[Band, ...]:
    """Map the pixels of an axis to 2 x 16 coefficients of an interval: plain, then mirrored."""
    return _bands(_axis(_coefficient_sums(), size_px, start, stop), 2 * COEFFICIENTS)


def _axis(sums: NDArray[np.float64], size_px: int, start: int, stop: int) -> NDArray[np.float32]:
    """Return weights (m, n) of the n pixels of an axis in m outputs of an interval.

    ``sums`` (m, 513) are weights of the cells of that before each one.
    """
    edges = np.arange(size_px + 1) * (_WHOLE / size_px)
    cells = ((edges - start) * (REDUCED_PX / (stop - start))).clip(0, REDUCED_PX)
    # A pixel has the weight of the cells that it lies in: the difference of their running sums.
    below = cells.astype(np.intp).clip(max=REDUCED_PX - 1)
    at = sums[:, below] + (cells - below) * (sums[:, below + 1] - sums[:, below])
    weights: NDArray[np.float64] = np.diff(at, axis=1)
    return weights.astype(np.float32)


def _bands(weights: NDArray[np.float32], outputs: int) -> tuple[Band, ...]:
    """Cut weights (m, n) into bands of so many outputs, without the pixels that none of it reads.

    A sample reads 8 of 512 pixels: the bands of a registration take a sixth of the time of whole
    matrices, and larger or smaller ones more.
    """
    bands = []
    for first in range(0, len(weights), outputs):
        some = weights[first : first + outputs]
        read = np.flatnonzero(some.any(axis=0))
        start, stop = int(read[0]), int(read[-1]) + 1
        part = np.ascontiguousarray(some[:, start:stop])
        bands.append(Band(slice(first, first + outputs), start, part))
    return tuple(bands)


@lru_cache(maxsize=1)
def _sample_sums() -> NDArray[np.float64]:
    """Return running sums of the weights of the cells of an interval in samples: (64, 513)."""
    return np.pad(_blur().cumsum(axis=1), ((0, 0), (1, 0)))


@lru_cache(maxsize=1)
def _coefficient_sums() -> NDArray[np.float64]:
    """Return them in coefficients, plain and then mirrored: (2 x 16, 513)."""
    weights = np.concatenate([COSINES @ _blur(), COSINES @ _blur()[:, ::-1]])
    return np.pad(weights.cumsum(axis=1), ((0, 0), (1, 0)))


def _blur() -> NDArray[np.float64]:
    """Return the weights of the cells of an interval in its blurred samples: (64, 512)."""
    blur = np.zeros((SAMPLES, REDUCED_PX))
    for line, start, stop, row in zip(blur, *blur_weights(REDUCED_PX), strict=True):
        line[start:stop] = row[: stop - start]
    return blur
