"""PDQ as linear algebra.

PDQ blurs with two box passes along each axis, samples 64x64 points, takes 16x16 coefficients of
the cosine transform and compares them with their median. All but the comparison is linear and
separable: with S(n) the 64xn matrix of blur and sampling along an axis of n pixels and D the 16x64
cosine matrix, the coefficients of luma L are D S(h) L S(w)' D'. The average over a grid that comes
before it in PDQ_512 is linear, too: where its rounding to 8 bits may be left out, it goes into S.

Bits and quality are those of the C++ reference (facebook/ThreatExchange, pdq/cpp, which the
pdqhash package wraps; the tests compare with it) wherever PDQ decides them. Rounding decides a bit
whose coefficient is within 0.001 of the median, as in chessboards and stripes, and the last unit of
a quality whose sum of steps is at the edge of a multiple of 90.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES
from disrupt.core.transforms import Dihedral
from disrupt.distinctiveness.cosines import COSINES
from disrupt.hashing.pdq.banded_matrix import Band, apply

_SIDE = 64
REDUCED_PX = 512
"""Side of the square that PDQ_512 averages a picture to."""

_MIN_SIDE_PX = 5
"""A picture with a smaller side has no hash: the reference gives zeros and quality 0."""

_LUMA_OF_RGB = np.array([0.299, 0.587, 0.114], np.float32)

_VIEWS = {
    Dihedral.IDENTITY: (False, False, False),
    Dihedral.ROTATE_90: (True, False, True),
    Dihedral.ROTATE_180: (True, True, False),
    Dihedral.ROTATE_270: (False, True, True),
    Dihedral.MIRROR: (False, True, False),
    Dihedral.MIRROR_ROTATE_90: (True, True, True),
    Dihedral.MIRROR_ROTATE_180: (True, False, False),
    Dihedral.MIRROR_ROTATE_270: (False, False, True),
}
"""Sampling that turns a picture: rows mirrored, columns mirrored, transposed."""

_PLACES = np.array([2 * rows + columns for rows, columns, _ in _VIEWS.values()])
_TRANSPOSED = np.flatnonzero([transposed for _, _, transposed in _VIEWS.values()])

_BAND_PX = 64
"""Approximate height of the strips that are blurred at a time."""

_UNDECIDED = 0.5
"""Distance of a coefficient from the median that re-encoding a picture easily bridges."""


@dataclass(frozen=True, slots=True, eq=False)
class Hashed:
    """Hashes, uint8 of shape (..., 32), with measures of their quality, of shape (...).

    ``qualities`` are PDQ's, 0-100, uint8. ``undecided_bits``, uint16, counts the bits whose
    coefficient is so near to the median that any copy may have it on the other side: up to some 40
    in photographs, 64 to 256 in stripes, chessboards and other pictures of one or two coefficients.
    """

    hashes: NDArray[np.uint8]
    qualities: NDArray[np.uint8]
    undecided_bits: NDArray[np.uint16]

    def __getitem__(
        self, at: int | slice | tuple[int | slice | None, ...] | NDArray[np.intp] | None
    ) -> Hashed:
        """Index the axes before that of the bytes, as an array is indexed."""
        return self._each(lambda array: array[at])

    def joined(self) -> Hashed:
        """Merge the first two axes into one."""
        return self._each(lambda array: array.reshape(-1, *array.shape[2:]))

    def _each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Hashed:
        return Hashed(
            change(self.hashes),
            change(self.qualities),
            change(self.undecided_bits),
        )


def hash_luma(luma: NDArray[np.uint8]) -> Hashed:
    """Hash pictures of one size, shape (..., height, width), at that size. Thread-safe.

    A crop is a slice of its picture; a batch of frames is one array. A side under 5 px gives
    quality 0.
    """
    return hash_samples(_sample_luma(luma, (False,)))


def hash_dihedral(luma: NDArray[np.uint8]) -> Hashed:
    """Hash the eight turned and mirrored versions of pictures (..., height, width). Thread-safe.

    The last axis before the hash's bytes is that of ``Dihedral``. Each is the hash of the turned
    pixels: PDQ samples off centre, so that changing signs of coefficients, as the reference's
    own dihedral function does, gives hashes of no picture (8-28 bits away).
    """
    return _hash_halves(_sample_luma(luma, (False, True)))


def hash_rgb(
    rows: Callable[[int, int], NDArray[np.uint8]], width_px: int, height_px: int, turn: Dihedral
) -> Hashed:
    """Hash one RGB picture at its own size, turned. Thread-safe.

    ``rows(top, bottom)`` gives a strip of it, shape (bottom - top, width, 3): only one strip of
    about 64 rows, or 1/64 of the height, is held at a time.
    """

    def strip(top: int, bottom: int) -> NDArray[np.float32]:
        return rows(top, bottom).reshape(bottom - top, -1).astype(np.float32)

    # PDQ blurs luma; this mixes the blurred colours: the same, for all is linear, and less work.
    mirrored_rows, mirrored_columns, transposed = _VIEWS[turn]
    colours = np.zeros((_SIDE, 3 * width_px), np.float32)
    if min(width_px, height_px) >= _MIN_SIDE_PX:
        apply(_sampler(height_px, (mirrored_rows,)), strip, colours)
    luma = colours.reshape(_SIDE, width_px, 3) @ _LUMA_OF_RGB
    samples = _sample_columns(luma, _sampler(width_px, (mirrored_columns,)))
    return hash_samples(samples.mT if transposed else samples)


def hash_reduced(
    rows: Callable[[int, int], NDArray[np.uint8]], width_px: int, height_px: int, turn: Dihedral
) -> Hashed:
    """Hash one picture averaged to 512x512 and turned, whatever its size. Thread-safe.

    ``rows(top, bottom)`` gives a strip of its luma, shape (bottom - top, width). The average is not
    rounded to 8 bits, as PDQ_512 has it: within 2 bits of it, most often 0, at a fifth of the time.
    """
    return hash_samples(reduced_samples(rows, width_px, height_px, turn))


def hash_reduced_dihedral(luma: NDArray[np.uint8]) -> Hashed:
    """Hash upright luma (height, width) as ``hash_reduced``, in its eight versions: (8, 32)."""
    height_px, width_px = luma.shape
    both = (False, True)
    samples = _reduced_samples(
        lambda top, bottom: luma[top:bottom], width_px, height_px, both, both
    )
    return _hash_halves(samples)


def reduced_samples(
    rows: Callable[[int, int], NDArray[np.uint8]], width_px: int, height_px: int, turn: Dihedral
) -> NDArray[np.float32]:
    """Return the first half of ``hash_reduced``: blurred samples of the average, shape (64, 64)."""
    mirrored_rows, mirrored_columns, transposed = _VIEWS[turn]
    samples = _reduced_samples(rows, width_px, height_px, (mirrored_rows,), (mirrored_columns,))
    return samples.mT if transposed else samples


def _reduced_samples(
    rows: Callable[[int, int], NDArray[np.uint8]],
    width_px: int,
    height_px: int,
    directions_of_rows: tuple[bool, ...],
    directions_of_columns: tuple[bool, ...],
) -> NDArray[np.float32]:
    """Return samples of the averaged picture, 64 per axis and direction."""

    def strip(top: int, bottom: int) -> NDArray[np.float32]:
        return rows(top, bottom).astype(np.float32)

    samples = np.empty((_SIDE * len(directions_of_rows), width_px), np.float32)
    apply(_sampler(height_px, directions_of_rows, reduced=True), strip, samples)
    return _sample_columns(samples, _sampler(width_px, directions_of_columns, reduced=True))


def _sample_luma(luma: NDArray[np.uint8], directions: tuple[bool, ...]) -> NDArray[np.float32]:
    """Return blurred samples of luma (..., height, width), 64 per axis and direction."""
    *batch, height_px, width_px = luma.shape
    samples = np.zeros((*batch, _SIDE * len(directions), width_px), np.float32)
    if min(height_px, width_px) >= _MIN_SIDE_PX:
        apply(
            _sampler(height_px, directions),
            lambda top, bottom: luma[..., top:bottom, :].astype(np.float32),
            samples,
        )
    return _sample_columns(samples, _sampler(width_px, directions))


def _sample_columns(rows: NDArray[np.float32], sampler: tuple[Band, ...]) -> NDArray[np.float32]:
    columns = rows.mT
    outputs = sum(len(band.weights) for band in sampler)
    samples = np.empty((*columns.shape[:-2], outputs, columns.shape[-1]), np.float32)
    apply(sampler, lambda left, right: columns[..., left:right, :], samples)
    return samples.mT


@lru_cache(maxsize=512)
def _sampler(
    size_px: int, directions: tuple[bool, ...], *, reduced: bool = False
) -> tuple[Band, ...]:
    """Return the blur and sampling of an axis, plain (False) or mirrored (True), stacked.

    ``reduced``: after an average over 512 cells of equal length.
    """
    starts, stops, weights = _reduced(size_px) if reduced else blur_weights(size_px)
    samples: list[tuple[int, NDArray[np.float64]]] = []
    for mirrored in directions:
        for start, stop, row in zip(starts.tolist(), stops.tolist(), weights, strict=True):
            sample = row[: stop - start]
            samples.append((size_px - stop, sample[::-1]) if mirrored else (start, sample))
    order = sorted(range(len(samples)), key=lambda at: samples[at][0])
    per_band = min(max(_BAND_PX * _SIDE // size_px, 1), 8)
    bands = []
    for at in range(0, len(order), per_band):
        outputs = order[at : at + per_band]
        left = samples[outputs[0]][0]
        right = max(samples[output][0] + len(samples[output][1]) for output in outputs)
        band = np.zeros((len(outputs), right - left), np.float32)
        for line, output in zip(band, outputs, strict=True):
            start, sample = samples[output]
            line[start - left : start - left + len(sample)] = sample
        bands.append(Band(np.array(outputs), left, band))
    return tuple(bands)


_Weights = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]
"""First pixels of samples (64,), the pixels after their last ones, and their weights (64, most)."""


def blur_weights(size_px: int) -> _Weights:
    """Return the blur and sampling of an axis: weights of its pixels in 64 samples.

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
    starts, stops = first[first[centres]], stop[stop[centres] - 1]
    # Steps of the weights: each box of the second pass is one up and one down.
    steps = np.zeros((_SIDE, int((stops - starts).max()) + 1))
    row, at = np.nonzero(np.arange(window_px) < (stop - first)[centres][:, None])
    box = first[centres][row] + at
    heights = share[box] * share[centres][row]
    np.add.at(steps, (row, first[box] - starts[row]), heights)
    np.subtract.at(steps, (row, stop[box] - starts[row]), heights)
    return starts, stops, steps.cumsum(axis=1)[:, :-1]


def _reduced(size_px: int) -> _Weights:
    """Return the average over 512 cells of equal length, then blur and sampling of those."""
    starts, stops, weights = blur_weights(REDUCED_PX)
    # A pixel weighs what the cells weigh that it lies in: the difference of their running sum.
    sums = np.pad(weights.cumsum(axis=1), ((0, 0), (1, 1)), mode="edge")
    sums[:, 0] = 0
    first, last = starts * size_px // REDUCED_PX, -(-stops * size_px // REDUCED_PX)
    edges = first[:, None] + np.arange(int((last - first).max()) + 1)
    cells = edges * (REDUCED_PX / size_px) - starts[:, None]
    cells = cells.clip(0, weights.shape[1])
    whole = cells.astype(np.intp)
    row = np.arange(_SIDE)[:, None]
    below, above = sums[row, whole], sums[row, whole + 1]
    return first, last, np.diff(below + (cells - whole) * (above - below), axis=1)


def hash_samples(samples: NDArray[np.float32]) -> Hashed:
    """Return hashes and qualities of blurred samples (..., 64, 64)."""
    return hash_coefficients(coefficients_of(samples), quality_of(samples))


def hash_coefficients(coefficients: NDArray[np.float32], qualities: NDArray[np.uint8]) -> Hashed:
    """Return hashes of coefficients (..., 16, 16) of pictures of these qualities (...)."""
    bits, undecided_bits = _bits(coefficients)
    return Hashed(packed(bits), qualities, undecided_bits)


def _hash_halves(both: NDArray[np.float32]) -> Hashed:
    """Hash the eight versions of pictures, from samples in both directions (..., 128, 128)."""
    halves = both.reshape(*both.shape[:-2], 2, _SIDE, 2, _SIDE).swapaxes(-3, -2)
    samples = halves.reshape(*both.shape[:-2], 4, _SIDE, _SIDE)
    return hash_mirrored(coefficients_of(samples), quality_of(samples))


def hash_mirrored(coefficients: NDArray[np.float32], qualities: NDArray[np.uint8]) -> Hashed:
    """Hash the eight versions of pictures; the last axis is that of ``Dihedral``.

    ``coefficients`` (..., 4, 16, 16) are of the picture, of it with its columns mirrored, with its
    rows mirrored, with both; ``qualities`` (..., 4) likewise.
    """
    # A transposed picture has the transposed coefficients, the same median and the same steps.
    bits, undecided_bits = _bits(coefficients)
    versions = bits[..., _PLACES, :, :]
    versions[..., _TRANSPOSED, :, :] = versions[..., _TRANSPOSED, :, :].mT
    return Hashed(packed(versions), qualities[..., _PLACES], undecided_bits[..., _PLACES])


def coefficients_of(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the coefficients (..., 16, 16) of blurred samples (..., 64, 64)."""
    coefficients: NDArray[np.float32] = np.matmul(COSINES @ samples, COSINES.T)
    return coefficients


def _bits(coefficients: NDArray[np.float32]) -> tuple[NDArray[np.bool], NDArray[np.uint16]]:
    """Return bits by coefficient (..., 16, 16), and how many of them are undecided."""
    flat = coefficients.reshape(*coefficients.shape[:-2], 8 * HASH_BYTES)
    median = np.partition(flat, 127, axis=-1)[
        ..., 127:128
    ]  # The lower one of the two middle values.
    undecided_bits = (np.abs(flat - median) < _UNDECIDED).sum(axis=-1, dtype=np.uint16)
    return coefficients > median[..., None], undecided_bits


def packed(bits: NDArray[np.bool]) -> NDArray[np.uint8]:
    """Pack bits into hashes (..., 32): the published hex begins with the last bit."""
    flat = bits.reshape(*bits.shape[:-2], 8 * HASH_BYTES)
    return np.ascontiguousarray(np.packbits(flat, axis=-1, bitorder="little")[..., ::-1])


def quality_of(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the quality: steps between neighbours, in whole hundredths of the range, over 90."""
    return quality_of_steps(np.diff(samples, axis=-2), np.diff(samples, axis=-1))


def quality_of_steps(down: NDArray[np.float32], across: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return it of the steps themselves, of either sign."""
    total = sum(in_hundredths(steps).sum(axis=(-2, -1)) for steps in (down, across))
    quality: NDArray[np.uint8] = np.minimum(total // 90, 100).astype(np.uint8)
    return quality


def in_hundredths(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return steps of luma, of either sign, in whole hundredths of the range of 255."""
    hundredths: NDArray[np.float32] = steps * np.float32(100)
    hundredths /= np.float32(255)
    np.abs(np.trunc(hundredths, out=hundredths), out=hundredths)
    return hundredths
