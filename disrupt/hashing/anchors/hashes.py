"""Hash anchored regions by PDQ, and leave out those that look like others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.distinctiveness.cosines import COEFFICIENTS, COSINES, SAMPLES
from disrupt.hashing.anchors.detection import Anchors, find_anchors
from disrupt.hashing.anchors.pages import LEVELS, in_image_steps, pages
from disrupt.hashing.pdq.linear import Hashed, hash_coefficients, quality_of_steps
from disrupt.hashing.regions.crops import MAX_PLAIN_SHARE, PLAIN_STEP

CANDIDATES = 128
"""Most regions of a page that are hashed."""

MAX_UNDECIDED_BITS = 48
"""Most undecided bits of a region."""

_STEEPEST = 200
"""Number of largest steps whose share of all steps tells drawn marks on plain ground."""
_MAX_DRAWN = 6.2
"""Most of ten times that share and six times the share of the two fullest bins of levels."""
_LEVEL_BINS = 32
_FEW = 8
_DISTINCT_BITS = 60
"""Regions that do not overlap and are nearer than this are of a pattern that repeats."""

_MIRRORED = np.where(np.arange(COEFFICIENTS) % 2, 1, -1).astype(np.float32)[:, None]
"""Signs of the coefficients of a region once its rows are mirrored.

A region's columns run along its gradients, which a mirror image turns with it.
"""


def hash_anchors(
    luma: NDArray[Any], aspect: float, most: int, least_quality: int, most_repeats: int = 0
) -> tuple[Anchors, Hashed]:
    """Hash the first ``most`` good regions of luma (height, width), plain and mirrored: (n, 2, 32).

    ``aspect``: width over height of the picture, or of the stretched picture that is to be hashed.
    ``most_repeats``: most other regions of the page that one may look like.
    """
    anchors, hashed, are_good = candidates(pages(luma, aspect), most_repeats)
    kept = np.flatnonzero(are_good & (hashed.qualities[:, 0] >= least_quality))[:most]
    return anchors.take(kept), hashed[kept]


def candidates(
    page: list[NDArray[np.float32]], most_repeats: int = 0
) -> tuple[Anchors, Hashed, NDArray[np.bool]]:
    """Hash the first CANDIDATES regions of a page, plain and mirrored: (n, 2, 32).

    The last, (n,), tells which are good, whatever their quality.
    """
    anchors = find_anchors(page).take(slice(CANDIDATES))
    samples = sample_regions(page, anchors)
    both = np.empty((len(samples), 2, COEFFICIENTS, COEFFICIENTS), np.float32)
    qualities = np.empty((len(samples), 2), np.uint8)
    are_marks = np.empty(len(samples), np.bool)
    for first in range(0, len(samples), _FEW):
        few = slice(first, first + _FEW)
        both[few, 0] = _coefficients(samples[few])
        quality, are_marks[few] = _judged(samples[few])
        qualities[few] = quality[:, None]
    np.multiply(both[:, 0], _MIRRORED, out=both[:, 1])
    hashed = hash_coefficients(both, qualities)
    are_good = hashed.undecided_bits[:, 0] <= MAX_UNDECIDED_BITS
    are_good &= ~are_marks & (_repeats(anchors, hashed.hashes) <= most_repeats)
    return anchors, hashed, are_good


def sample_regions(page: list[NDArray[np.float32]], anchors: Anchors) -> NDArray[np.float32]:
    """Return samples (n, 64, 64) of regions, bilinear from the halving that is fine enough."""
    n = len(anchors.side)
    samples = np.empty((n, SAMPLES, SAMPLES), np.float32)
    levels = np.floor(np.log2(anchors.side / SAMPLES)).clip(0, LEVELS - 1).astype(np.intp)
    scales = (1 / (1 << levels))[:, None, None]
    places = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5).astype(np.float32)
    cosine, sine = (turn(anchors.angle) * anchors.side for turn in (np.cos, np.sin))
    ux, uy, x, y = (
        (column[:, None, None] * scales).astype(np.float32)
        for column in (cosine, sine, anchors.x, anchors.y)
    )
    for rows, level in _few_of_a_level(levels):
        u, v = ux[rows] * places, uy[rows] * places
        at_x, at_y = u - v.mT, v + u.mT
        at_x += x[rows] - np.float32(0.5)
        at_y += y[rows] - np.float32(0.5)
        samples[rows] = _bilinear(page[level], at_x, at_y)
    return samples


def _few_of_a_level(levels: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Yield rows of one level, so few that what is made of them stays in the cache."""
    for level in np.unique(levels).tolist():
        rows = np.flatnonzero(levels == level)
        for first in range(0, len(rows), _FEW):
            yield rows[first : first + _FEW], level


def _bilinear(
    image: NDArray[np.float32], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    height, width = image.shape
    np.clip(x, 0, width - 1.001, out=x)
    np.clip(y, 0, height - 1.001, out=y)
    column, row = np.floor(x), np.floor(y)
    x -= column
    y -= row
    row *= width
    row += column
    at = row.astype(np.intp)
    flat = image.reshape(-1)
    upper = _between(flat.take(at), flat[1:].take(at), x)
    lower = _between(flat[width:].take(at), flat[width + 1 :].take(at), x)
    return _between(upper, lower, y)


def _between(
    before: NDArray[np.float32], after: NDArray[np.float32], share: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return values between two, at a share of the way; ``after`` is written to."""
    after -= before
    after *= share
    after += before
    return after


def _coefficients(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the coefficients (n, 16, 16) of samples, summed so that the page's bits are equal."""
    cosines = COSINES.astype(np.float64)
    rows = (cosines @ samples.astype(np.float64)).astype(np.float32)
    coefficients = (rows.astype(np.float64) @ cosines.T).astype(np.float32)
    # What is zero by symmetry is not left to the order in which it was summed.
    return in_image_steps(coefficients)


def _judged(samples: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.bool]]:
    """Return qualities of samples, and which of them are shapes or marks on plain ground."""
    down = np.abs(samples[:, 1:] - samples[:, :-1])
    across = np.zeros_like(samples)  # The last column, of no steps, keeps rows in one piece.
    np.abs(np.diff(samples, axis=-1), out=across[..., :-1])
    qualities = quality_of_steps(down, across)
    across = across[:, :-1]
    is_plain = np.maximum(down, across) < PLAIN_STEP
    plain = np.count_nonzero(is_plain[..., :-1], axis=(-2, -1))
    steps = down + across
    steps[..., -1] = 0
    are_plain = plain > MAX_PLAIN_SHARE * (SAMPLES - 1) ** 2
    return qualities, are_plain | _are_drawn(samples, steps.reshape(len(samples), -1))


def _are_drawn(samples: NDArray[np.float32], steps: NDArray[np.float32]) -> NDArray[np.bool]:
    """Tell which samples, of such steps, are few marks: drawn letters, charts, frames."""
    total = np.maximum(steps.sum(axis=-1, dtype=np.float64), 1e-6)
    levels = samples.reshape(len(samples), SAMPLES**2) * np.float32(_LEVEL_BINS / 256)
    bins = levels.astype(np.intp)
    bins += _LEVEL_BINS * np.arange(len(samples))[:, None]
    counts = np.bincount(bins.reshape(-1), minlength=_LEVEL_BINS * len(samples))
    fullest = np.sort(counts.reshape(-1, _LEVEL_BINS), axis=1)[:, -2:].sum(axis=1)
    # The sum of some steps is limited by that of all squares: few have to be looked for.
    most = np.sqrt(_STEEPEST * np.einsum("ij,ij->i", steps, steps)) / total
    are_drawn: NDArray[np.bool] = _drawn(1.001 * most, fullest)
    steepest = np.partition(steps[are_drawn], -_STEEPEST, axis=-1)[:, -_STEEPEST:]
    share = steepest.sum(axis=-1, dtype=np.float64) / total[are_drawn]
    are_drawn[are_drawn] = _drawn(share, fullest[are_drawn])
    return are_drawn


def _drawn(share: NDArray[np.float64], fullest: NDArray[np.intp]) -> NDArray[np.bool]:
    return np.asarray(10 * share + 6 * fullest / SAMPLES**2 > _MAX_DRAWN)


def _repeats(anchors: Anchors, hashes: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Count the regions elsewhere on the page that each, or its mirror image, looks like."""
    if not len(hashes):
        return np.zeros(0, np.intp)
    signs = 2 * np.unpackbits(hashes, axis=-1).astype(np.float32) - 1
    agreeing = np.maximum(signs[:, 0] @ signs[:, 0].T, signs[:, 0] @ signs[:, 1].T)
    bits = (signs.shape[-1] - agreeing) / 2
    apart = np.hypot(anchors.x[:, None] - anchors.x, anchors.y[:, None] - anchors.y)
    elsewhere = apart > np.maximum(anchors.side[:, None], anchors.side) / 2
    repeats: NDArray[np.intp] = np.count_nonzero((bits < _DISTINCT_BITS) & elsewhere, axis=1)
    return repeats
