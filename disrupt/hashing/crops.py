"""Many crops of one picture, each hashed as PDQ_512 hashes the cropped picture.

To cut, average to 512x512, blur, sample and transform is linear and separable: what becomes of an
axis is one small matrix for each interval that is kept. Edges may lie between pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from disrupt.core.transforms import Crop
from disrupt.hashing.cosines import COEFFICIENTS, COSINES, SAMPLES
from disrupt.hashing.pdq import (
    REDUCED_PX,
    Hashed,
    blur_weights,
    hash_mirrored,
    hash_samples,
    quality_of,
)

MAX_PLAIN_SHARE = 0.75
"""A part with more that does not change from sample to sample is a shape on a plain page, which
looks like other shapes whatever its quality. Photographs have up to 0.75, half of them 0.05."""

_WHOLE = 1000
_STEP = 0.5
"""Levels between neighbouring samples that are a step."""


class _Axis(NamedTuple):
    """Weights of the pixels of an axis in samples (64, n), and in coefficients (2 x 16, n).

    The coefficients are those of the axis as it is, then those of the mirrored one.
    """

    samples: NDArray[np.float32]
    coefficients: NDArray[np.float32]


def hash_crops(luma: NDArray[Any], crops: Sequence[Crop]) -> Hashed:
    """PDQ of n crops of a picture, shape (height, width): hashes (n, 32). Thread-safe.

    The cropped pictures are averaged to 512x512 without rounding, whatever their size. ``luma`` of
    512x512 or even 256x256 px does for a larger picture: hashes of its crops move by a few bits.
    """
    return hash_samples(sample_crops(luma, crops))


def sample_crops(luma: NDArray[Any], crops: Sequence[Crop]) -> NDArray[np.float32]:
    """First half of ``hash_crops``: blurred samples of the cropped pictures, (n, 64, 64)."""
    return _crops(luma, crops)[0]


def hash_crops_dihedral(luma: NDArray[Any], crops: Sequence[Crop]) -> Hashed:
    """As ``hash_crops``, each crop in its eight versions: hashes (n, 8, 32), by ``Dihedral``.

    The quality of all eight is that of the crop as it is, from which theirs differ by little; 0 for
    a shape on a plain page.
    """
    samples, coefficients = _crops(luma, crops, mirrored=True)
    qualities = quality_of(samples)
    qualities[plain_shares(samples) > MAX_PLAIN_SHARE] = 0
    halves = coefficients.reshape(-1, 2, COEFFICIENTS, 2, COEFFICIENTS).swapaxes(2, 3)
    versions = halves.reshape(-1, 4, COEFFICIENTS, COEFFICIENTS)
    return hash_mirrored(versions, np.repeat(qualities[:, None], 4, axis=1))


def plain_shares(samples: NDArray[np.float32]) -> NDArray[np.floating]:
    """Shares of samples (n, 64, 64) that are like the next one in their row and in their column."""
    across = np.abs(np.diff(samples, axis=-1))[:, :-1] < _STEP
    down = np.abs(np.diff(samples, axis=-2))[:, :, :-1] < _STEP
    return np.asarray((across & down).mean(axis=(-2, -1)))


def _crops(
    luma: NDArray[Any], crops: Sequence[Crop], *, mirrored: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Samples (n, 64, 64) and, if ``mirrored``, coefficients (n, 2 x 16, 2 x 16)."""
    height_px, width_px = luma.shape
    pixels = luma.astype(np.float32, copy=False)
    samples = np.empty((len(crops), SAMPLES, SAMPLES), np.float32)
    coefficients = np.empty((len(crops) * mirrored, 2 * COEFFICIENTS, 2 * COEFFICIENTS), np.float32)
    rows: dict[tuple[int, int], list[int]] = {}
    for at, (_, top, _, bottom) in enumerate(crops):
        rows.setdefault((top, bottom), []).append(at)
    for (top, bottom), places in rows.items():
        axis = _axis(height_px, top, _WHOLE - bottom)
        rows_of_samples = axis.samples @ pixels
        rows_of_coefficients = axis.coefficients @ pixels if mirrored else pixels[:0]
        for at in places:
            left, _, right, _ = crops[at]
            columns = _axis(width_px, left, _WHOLE - right)
            samples[at] = rows_of_samples @ columns.samples.T
            if mirrored:
                coefficients[at] = rows_of_coefficients @ columns.coefficients.T
    return samples, coefficients


@lru_cache(maxsize=256)
def _axis(size_px: int, start: int, stop: int) -> _Axis:
    """Of the interval from ``start`` to ``stop``, in thousandths of an axis."""
    edges = np.arange(size_px + 1) * (_WHOLE / size_px)
    cells = ((edges - start) * (REDUCED_PX / (stop - start))).clip(0, REDUCED_PX)
    # a pixel weighs what the cells weigh that it lies in: the difference of their running sums
    below = cells.astype(np.intp).clip(max=REDUCED_PX - 1)
    sums = _running_sums()
    at = sums[:, below] + (cells - below) * (sums[:, below + 1] - sums[:, below])
    weights = np.diff(at, axis=1).astype(np.float32)
    return _Axis(weights[:SAMPLES], weights[SAMPLES:])


@lru_cache(maxsize=1)
def _running_sums() -> NDArray[np.float64]:
    """Weights of the cells before each one, in all rows of an ``_Axis``: (64 + 2 x 16, 513)."""
    blur = np.zeros((SAMPLES, REDUCED_PX))
    for line, start, stop, row in zip(blur, *blur_weights(REDUCED_PX), strict=True):
        line[start:stop] = row[: stop - start]
    weights = np.concatenate([blur, COSINES @ blur, COSINES @ blur[:, ::-1]])
    return np.pad(weights.cumsum(axis=1), ((0, 0), (1, 0)))
