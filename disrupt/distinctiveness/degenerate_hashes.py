"""Degenerate hashes: those of one line, edge, corner, box or gradient on a plain page.

The coefficients of such a picture are, but for details, those of a function of two or three
numbers, and so are the signs of which its hash consists: pictures that have nothing to do with each
other share them. Hashes of photographs are as far from these as random ones.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from disrupt.distinctiveness.concentration import concentration
from disrupt.distinctiveness.cosines import COEFFICIENTS, COSINES, SAMPLES

_MAX_PRODUCT_BITS = 40
"""Distance from a product of a column and a row. Photographs have about 80, and 3 of 1000 of their
parts no more than this."""

_MAX_LINE_BITS = 54
"""Distance from a line or an edge. Photographs have about 98, 3 of 1000 parts no more than this."""

_LINE_CONCENTRATION = 8.0
"""Hashes that draw less concentrated pictures are near no line: most need no comparison."""

_NEAR_PRODUCT_BITS = 56
"""No version of a picture whose hash is farther is a product."""

_ANGLES, _OFFSETS = 60, 40
_EDGES, _LINES = (0.01, 0.06), (0.015, 0.06)
"""Widths, as shares of a side: of edges from dark to light, and of lines."""


def are_shapes(bits: NDArray[np.bool]) -> NDArray[np.bool]:
    """Tell whether hashes, shape (..., 16, 16), are those of a shape, shape (...). Thread-safe.

    A mirrored picture sometimes gets another verdict: mirroring moves the median that decides
    the bits, and the points that PDQ samples. Transposing moves neither.
    """
    flat = bits.reshape(-1, COEFFICIENTS, COEFFICIENTS)
    shapes = product_bits(flat) <= _MAX_PRODUCT_BITS
    left = np.flatnonzero(~shapes & (concentration(flat) >= _LINE_CONCENTRATION))
    shapes[left] = line_bits(flat[left]) <= _MAX_LINE_BITS
    return shapes.reshape(bits.shape[:-2])


def mirrored_shapes(bits: NDArray[np.bool]) -> NDArray[np.bool]:
    """Apply ``are_shapes`` to the four mirrored versions of pictures, shape (..., 4, 16, 16).

    The other versions are compared only where the first one is near a shape.
    """
    versions = bits.reshape(-1, *bits.shape[-3:])
    upright = versions[:, 0]
    near = product_bits(upright) <= _NEAR_PRODUCT_BITS
    near |= concentration(upright) >= _LINE_CONCENTRATION
    shapes = np.zeros(versions.shape[:2], np.bool)
    shapes[near] = are_shapes(versions[near])
    return shapes.reshape(bits.shape[:-2])


def product_bits(bits: NDArray[np.bool]) -> NDArray[np.intp]:
    """Return distances of hashes, shape (n, 16, 16), from the nearest product of column and row.

    Nearly: the nearest one whose column is the best one for a row of the hash, and whose row is the
    best one for that column. Repeating that, with the best column for that row, brings no further
    hash within 40 bits: none of 190 000, of which 4 800 are.
    """
    signs = np.copysign(np.float32(1), bits - np.float32(0.5))
    columns = np.copysign(np.float32(1), signs @ np.ascontiguousarray(signs.mT))
    agreeing = np.abs(columns @ signs).sum(axis=-1).max(axis=-1, initial=0)
    return np.asarray((COEFFICIENTS**2 - agreeing) / 2, np.intp)


def line_bits(bits: NDArray[np.bool]) -> NDArray[np.intp]:
    """Return distances of hashes, shape (n, 16, 16), from the nearest line or edge anywhere."""
    nearest_bits = np.empty(len(bits), np.intp)
    for at, words in enumerate(_packed(bits).T):
        distances = np.bitwise_count(_lines() ^ words[:, None]).sum(axis=0, dtype=np.uint16)
        # The most distant line is the nearest in negative.
        nearest_bits[at] = min(distances.min(), COEFFICIENTS**2 - distances.max())
    return nearest_bits


def _packed(bits: NDArray[np.bool]) -> NDArray[np.uint64]:
    """Pack hashes (n, 16, 16) into words (4, n)."""
    words = np.packbits(bits.reshape(-1, COEFFICIENTS**2), axis=1).view(np.uint64)
    return np.ascontiguousarray(words.T)


@lru_cache(maxsize=1)
def _lines() -> NDArray[np.uint64]:
    """Return hashes of lines and edges, as words (4, n). Takes a tenth of a second."""
    middle = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5).astype(np.float32)
    hashes = []
    for angle in (np.arange(_ANGLES) + 0.5) * (np.pi / _ANGLES):
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        reach = (abs(cosine) + abs(sine)) / 2
        offsets = ((np.arange(_OFFSETS, dtype=np.float32) + 0.5) / _OFFSETS * 2 - 1) * reach
        across = middle * cosine + middle[:, None] * sine - offsets[:, None, None]
        samples = [np.tanh(across / np.float32(width)) for width in _EDGES]
        samples += [np.exp(-((across / np.float32(width)) ** 2)) for width in _LINES]
        coefficients = COSINES @ np.concatenate(samples) @ COSINES.T
        flat = coefficients.reshape(-1, COEFFICIENTS**2)
        median = np.partition(flat, 127, axis=1)[:, 127:128]
        hashes.append(flat > median)
    return _packed(np.concatenate(hashes))
