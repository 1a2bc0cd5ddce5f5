"""Draw the library of simple shapes that the limits of distances compare hashes with.

    ./scripts/bench shape_library

A part of a picture is hashed as a square, so circles in it may be wider than tall.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
import numpy as np
from numpy.typing import NDArray

from disrupt.distinctiveness.cosines import COEFFICIENTS
from disrupt.distinctiveness.shapes import LIBRARY

_DRAWN = 32
"""Samples along a side of what is drawn."""

_MIDDLES = (np.arange(_DRAWN) + 0.5) / _DRAWN
_DOWN, _ACROSS = _MIDDLES[:, None], _MIDDLES
_COSINES = np.cos(np.pi * np.outer(np.arange(1, COEFFICIENTS + 1), _MIDDLES))

_RADII = ((0.15, 0.8, 0.05), (0.8, 1.9, 0.2))
"""Radii from, to, and the step of radii and of centres, as shares of a side. Of a larger circle
only an arc is in the picture, on which a step along it changes little."""

_STRETCHES = (1, 1.25)
"""Widths over heights of circles."""

_MARGIN = 0.08
"""Least share of a side by which the circle, and its outside, have to reach into the picture."""

_ANGLES, _OFFSETS = 15, 20

_CIRCLE_WIDTHS = (0.02,), (0.03,)
_LINE_WIDTHS = (0.01, 0.06), (0.015, 0.06)
"""Widths, as shares of a side: of edges from dark to light, and of outlines."""

_Distances = NDArray[np.float64]
"""Distances of samples from outlines, as shares of a side, negative inside: shape (n, 32, 32)."""


@click.command(help=__doc__)
def main() -> None:
    """Write the library into the package."""
    np.save(LIBRARY, drawn())
    click.echo(f"{LIBRARY}: written", err=True)


def drawn() -> NDArray[np.uint8]:
    """Return hashes of shapes, shape (n, 32), each in one of the eight orientations.

    Drawn in double precision, so that rounding decides few bits.
    """
    circles = [_hashes(distances, *_CIRCLE_WIDTHS) for distances in _circles()]
    lines = [_hashes(distances, *_LINE_WIDTHS) for distances in _lines()]
    return np.concatenate(circles + lines)


def _circles() -> Iterator[_Distances]:
    """Draw circles whose centres are left of and above the middle."""
    for stretch in np.sqrt(_STRETCHES):
        for first, last, step in _RADII:
            radii = np.arange(first, last, step)
            # From a place that is no fraction of a wave: rounding would decide bits there.
            start = 0.5 - step / np.pi
            across, down = (np.arange(start, -last * by, -step) for by in (stretch, 1 / stretch))
            for column in across:
                # A round one that is transposed is the same in another orientation.
                rows = down if stretch > 1 else down[down <= column]
                squares = ((_DOWN - rows[:, None, None]) * stretch) ** 2
                distances = np.sqrt(squares + ((_ACROSS - column) / stretch) ** 2)
                nearest, farthest = (
                    most((1, 2))[:, None] for most in (distances.min, distances.max)
                )
                seen = (nearest + _MARGIN < radii) & (farthest - _MARGIN > radii)
                centre, radius = np.nonzero(seen)
                yield distances[centre] - radii[radius, None, None]


def _lines() -> Iterator[_Distances]:
    """Draw lines at angles up to 45 degrees, on one side of the middle."""
    for angle in (np.arange(_ANGLES) + 0.5) * (np.pi / 4 / _ANGLES):
        cosine, sine = np.cos(angle), np.sin(angle)
        offsets = (np.arange(_OFFSETS) + 0.5) / _OFFSETS * ((cosine + sine) / 2)
        yield (_ACROSS - 0.5) * cosine + (_DOWN - 0.5) * sine + offsets[:, None, None]


def _hashes(
    distances: _Distances, edges: tuple[float, ...], outlines: tuple[float, ...]
) -> NDArray[np.uint8]:
    """Hash shapes that are filled, and outlines, taking 0 as the median of their coefficients."""
    drawn = [np.tanh(distances / width) for width in edges]
    drawn += [np.exp(-((distances / width) ** 2)) for width in outlines]
    bits = (_COSINES @ np.concatenate(drawn) @ _COSINES.T > 0).reshape(-1, COEFFICIENTS**2)
    return np.packbits(bits, axis=1, bitorder="little")[:, ::-1]


if __name__ == "__main__":
    main()
