"""Make decoys: innocent pictures, hardly changed, whose PDQ hash is near that of another picture.

PDQ is linear up to the comparison with the median. So the least change of the coefficients that
gives the wanted bits is known at once, and a sum of cosines over the picture makes it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.core.transforms import Dihedral
from disrupt.distinctiveness.cosines import COEFFICIENTS, SAMPLES
from disrupt.hashing.pdq.linear import coefficients_of, reduced_samples

_MARGIN = 1.5
"""Distance from the median that coefficients are moved to: re-encoding bridges less."""

_MEDIANS = np.linspace(0.25, 0.75, 65)
"""Quantiles of the coefficients that are tried as their new median."""

_ROUNDS = 20
"""Most corrections, of what PDQ's blur and clipping to 0-255 leave of a change."""

_LUMA_OF_RGB = np.array([0.299, 0.587, 0.114], np.float32)


def decoy(innocent: NDArray[np.uint8], target: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Change a picture so that a lookup hashes it within ``bits`` of a hash.

    ``innocent`` are RGB pixels (height, width, 3), ``target`` is the hash, uint8 (32,), ``bits`` is
    0 to 31. Returns pixels of the same shape, of the least mean square of changes. Half of a hash's
    bits are set, so that distances are even. Clipping leaves very dark or bright pictures farther
    from the target.
    """
    wanted = np.unpackbits(target[::-1], bitorder="little").reshape(COEFFICIENTS, -1) == 1
    median, moved = _least_change(_coefficients(innocent), wanted, bits)
    rows, columns = (_cosines(size) for size in innocent.shape[:2])
    change = np.zeros(innocent.shape[:2], np.float32)
    changed = innocent
    for _ in range(_ROUNDS):
        needed = _needed(_coefficients(changed), wanted, median) * moved
        if np.abs(needed).max() < _MARGIN / 2:
            break
        change += rows.T @ needed @ columns
        changed = np.rint(innocent + change[..., None]).clip(0, 255).astype(np.uint8)
    return changed


def mean_change(innocent: NDArray[np.uint8], changed: NDArray[np.uint8]) -> float:
    """Return the mean change of levels, of 255."""
    return float(np.abs(changed.astype(np.int16) - innocent).mean())


def _least_change(
    coefficients: NDArray[np.float32], wanted: NDArray[np.bool_], bits: int
) -> tuple[float, NDArray[np.bool_]]:
    """Return the new median and the coefficients to move, at the least sum of squares.

    As many of the set bits as of the others stay wrong, or the median would move.
    """
    plans = []
    for median in np.quantile(coefficients, _MEDIANS).tolist():
        needed = np.abs(_needed(coefficients, wanted, median))
        moved = np.ones_like(wanted)
        for of_bits in (wanted, ~wanted):
            dearest = np.argsort(np.where(of_bits, needed, -1), axis=None)[::-1]
            moved.flat[dearest[: bits // 2]] = False
        plans.append((float((needed[moved] ** 2).sum()), median, moved))
    _, median, moved = min(plans, key=lambda plan: plan[0])
    return median, moved


def _needed(
    coefficients: NDArray[np.float32], wanted: NDArray[np.bool_], median: float
) -> NDArray[np.float32]:
    """Return what moves coefficients (16, 16) to their wanted sides of the median."""
    above = coefficients - np.float32(median)
    return np.where(wanted, (_MARGIN - above).clip(min=0), (-_MARGIN - above).clip(max=0))


def _coefficients(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    luma = np.rint(pixels @ _LUMA_OF_RGB).astype(np.uint8)
    height, width = luma.shape
    samples = reduced_samples(
        lambda top, bottom: luma[top:bottom], width, height, Dihedral.IDENTITY
    )
    return coefficients_of(samples)


def _cosines(size_px: int) -> NDArray[np.float32]:
    """Return the cosines of ``COSINES`` over an axis of so many pixels: (16, size_px)."""
    at = (np.arange(size_px) + 0.5) / size_px
    waves = np.arange(1, COEFFICIENTS + 1)[:, None]
    return np.asarray(np.sqrt(2 / SAMPLES) * np.cos(np.pi * waves * at), np.float32)
