"""PDQ as linear algebra.

PDQ blurs with two box passes along each axis, samples 64x64 points, takes 16x16 coefficients of
the cosine transform and compares them with their median. All but the comparison is linear and
separable: with S(n) the 64xn matrix of blur and sampling along an axis of n pixels and D the 16x64
cosine matrix, the coefficients of luma L are D S(h) L S(w)' D'.

Bits and quality are those of the C++ reference (facebook/ThreatExchange, pdq/cpp, which the
pdqhash package wraps; the tests compare with it) wherever PDQ decides them. Rounding decides a bit
whose coefficient is within 0.001 of the median, as in chessboards and stripes, and the last unit of
a quality whose sum of steps is at the edge of a multiple of 90.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES
from disrupt.core.transforms import Dihedral
from disrupt.hashing.bands import Band, apply

_SIDE = 64
_MIN_SIDE_PX = 5
"""A picture with a smaller side has no hash: the reference gives zeros and quality 0."""

_COSINES = (
    np.sqrt(2 / _SIDE)
    * np.cos(np.pi / (2 * _SIDE) * np.outer(np.arange(1, 17), 2 * np.arange(_SIDE) + 1))
).astype(np.float32)

_LUMA_OF_RGB = np.array([0.299, 0.587, 0.114], np.float32)

_SAMPLERS = {
    Dihedral.IDENTITY: (False, False, False),
    Dihedral.ROTATE_90: (True, False, True),
    Dihedral.ROTATE_180: (True, True, False),
    Dihedral.ROTATE_270: (False, True, True),
    Dihedral.MIRROR: (False, True, False),
    Dihedral.MIRROR_ROTATE_90: (True, True, True),
    Dihedral.MIRROR_ROTATE_180: (True, False, False),
    Dihedral.MIRROR_ROTATE_270: (False, False, True),
}
"""How to sample a picture as if it were turned: rows mirrored, columns mirrored, transposed."""

_BAND_PX = 64
"""Height of the strips that are blurred at a time, about."""


_UNDECIDED = 0.5
"""Distance from the median, in coefficients, that re-encoding a picture easily moves them."""


@dataclass(frozen=True, slots=True, eq=False)
class Hashed:
    """Hashes, uint8 of shape (..., 32), with what they are worth, of shape (...).

    ``qualities`` are PDQ's, 0-100, uint8. ``undecided_bits``, uint16, counts the bits whose
    coefficient is so near to the median that any copy may have it on the other side: up to some 40
    in photographs, 64 to 256 in stripes, chessboards and other pictures of one or two coefficients.
    """

    hashes: NDArray[np.uint8]
    qualities: NDArray[np.uint8]
    undecided_bits: NDArray[np.uint16]


def hash_luma(luma: NDArray[np.uint8]) -> Hashed:
    """PDQ of pictures of one size, shape (..., height, width), at that size. Thread-safe.

    A crop is a slice of its picture; a batch of frames is one array. A side under 5 px gives
    quality 0.
    """
    return _hashed(_sample_luma(luma, (False,)))


def hash_dihedral(luma: NDArray[np.uint8]) -> Hashed:
    """PDQ of the eight turned and mirrored versions of pictures (..., height, width). Thread-safe.

    The last axis before the hash's bytes is that of ``Dihedral``. Each is the hash of the turned
    pixels: PDQ samples off centre, so that changing signs of coefficients, as the reference's
    own dihedral function does, gives hashes of no picture (8-28 bits away).
    """
    both = _sample_luma(luma, (False, True))
    halves = slice(None, _SIDE), slice(_SIDE, None)
    versions = []
    for rows, columns, transposed in _SAMPLERS.values():
        samples = both[..., halves[rows], halves[columns]]
        versions.append(samples.mT if transposed else samples)
    return _hashed(np.stack(versions, axis=-3))


def hash_rgb(
    rows: Callable[[int, int], NDArray[np.uint8]], width_px: int, height_px: int, turn: Dihedral
) -> Hashed:
    """PDQ of one RGB picture at its own size, turned. Thread-safe.

    ``rows(top, bottom)`` gives a strip of it, shape (bottom - top, width, 3): only one strip of
    about 64 rows, or 1/64 of the height, is held at a time.
    """
    # PDQ blurs luma; this mixes the blurred colours: the same, for all is linear, and less work.
    mirrored_rows, mirrored_columns, transposed = _SAMPLERS[turn]
    colours = np.zeros((_SIDE, 3 * width_px), np.float32)
    if min(width_px, height_px) >= _MIN_SIDE_PX:
        apply(
            _sampler(height_px, (mirrored_rows,)),
            lambda top, bottom: rows(top, bottom).reshape(bottom - top, -1).astype(np.float32),
            colours,
        )
    luma = colours.reshape(_SIDE, width_px, 3) @ _LUMA_OF_RGB
    samples = _sample_columns(luma, (mirrored_columns,))
    return _hashed(samples.mT if transposed else samples)


def _sample_luma(luma: NDArray[np.uint8], directions: tuple[bool, ...]) -> NDArray[np.float32]:
    """Blurred samples of luma (..., height, width), 64 per axis and direction."""
    *batch, height_px, width_px = luma.shape
    samples = np.zeros((*batch, _SIDE * len(directions), width_px), np.float32)
    if min(height_px, width_px) >= _MIN_SIDE_PX:
        apply(
            _sampler(height_px, directions),
            lambda top, bottom: luma[..., top:bottom, :].astype(np.float32),
            samples,
        )
    return _sample_columns(samples, directions)


def _sample_columns(rows: NDArray[np.float32], directions: tuple[bool, ...]) -> NDArray[np.float32]:
    columns = rows.mT
    samples = np.empty(
        (*columns.shape[:-2], _SIDE * len(directions), columns.shape[-1]), np.float32
    )
    apply(
        _sampler(columns.shape[-2], directions),
        lambda left, right: columns[..., left:right, :],
        samples,
    )
    return samples.mT


@lru_cache(maxsize=512)
def _sampler(size_px: int, directions: tuple[bool, ...]) -> tuple[Band, ...]:
    """Blur and sampling of an axis, plain (False) or of the mirrored picture (True), stacked.

    ``box1DFloat`` and ``decimateFloat`` of the reference: windows of ceil(n / 128) pixels, one
    more after the centre than before it when that is even, cut off at the edges.
    """
    window_px = -(-size_px // 128)
    after_px = window_px // 2
    places = np.arange(size_px)
    first = np.maximum(places - (window_px - 1 - after_px), 0)
    stop = np.minimum(places + after_px + 1, size_px)
    share = 1 / (stop - first)

    centres = (2 * np.arange(_SIDE) + 1) * size_px // 128
    weights = np.zeros(
        (_SIDE, size_px + 1)
    )  # first their differences: each box is a step up and down
    for row, centre in enumerate(centres):
        boxes = slice(first[centre], stop[centre])
        np.add.at(weights[row], first[boxes], share[boxes] * share[centre])
        np.subtract.at(weights[row], stop[boxes], share[boxes] * share[centre])
    weights = weights.cumsum(axis=1)[:, :-1]
    start, end = first[first[centres]], stop[stop[centres] - 1]

    stacked = np.concatenate([weights[:, ::-1] if mirrored else weights for mirrored in directions])
    starts = np.concatenate([size_px - end if mirrored else start for mirrored in directions])
    ends = np.concatenate([size_px - start if mirrored else end for mirrored in directions])
    order = np.argsort(starts, kind="stable")
    per_band = len(directions) * min(max(_BAND_PX * _SIDE // size_px, 1), 8)
    bands = []
    for at in range(0, len(order), per_band):
        outputs = order[at : at + per_band]
        left, right = int(starts[outputs].min()), int(ends[outputs].max())
        bands.append(Band(outputs, left, stacked[outputs, left:right].astype(np.float32)))
    return tuple(bands)


def _hashed(samples: NDArray[np.float32]) -> Hashed:
    """Hashes and qualities of blurred samples (..., 64, 64)."""
    coefficients = np.matmul(_COSINES @ samples, _COSINES.T)
    coefficients = coefficients.reshape(*samples.shape[:-2], 8 * HASH_BYTES)
    median = np.partition(coefficients, 127, axis=-1)[..., 127:128]  # the lower one of two
    bits = (coefficients > median)[..., ::-1]  # the published hex begins with the last bit
    undecided_bits = (np.abs(coefficients - median) < _UNDECIDED).sum(axis=-1, dtype=np.uint16)
    return Hashed(np.packbits(bits, axis=-1), _quality(samples), undecided_bits)


def _quality(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Sum of steps between neighbours, each in whole hundredths of the range, over 90."""
    down, across = (
        np.abs(np.trunc(np.diff(samples, axis=axis) * np.float32(100) / np.float32(255)))
        for axis in (-2, -1)
    )
    total = down.sum(axis=(-2, -1)) + across.sum(axis=(-2, -1))
    quality: NDArray[np.uint8] = np.minimum(total // 90, 100).astype(np.uint8)
    return quality
