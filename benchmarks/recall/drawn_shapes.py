"""Draw pictures of one simple shape, anywhere, in noise: unrelated ones have hashes in common."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.float64]
"""Corners of a shape, columns and rows around 0, about 1 from it: (n, 2)."""

_SIDE_PX = 96
_SHIFT = 4
"""Binary places of coordinates that OpenCV is given."""

_FAR = 6.0
"""Longer than any picture is wide, in sides."""


def _circular(rng: np.random.Generator, squeezed: float = 1) -> Outline:
    angles = np.linspace(0, 2 * math.pi, 90)
    return np.stack([np.cos(angles), np.sin(angles) / rng.uniform(1, squeezed)], axis=1)


def _star(points: int, inner: float) -> Outline:
    angles = np.arange(2 * points) * (math.pi / points)
    radii: NDArray[np.float64] = np.tile([1, inner], points)
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], axis=1)


def _heart(_: np.random.Generator) -> Outline:
    angle = np.linspace(0, 2 * math.pi, 60)
    waves = 13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)
    return np.stack([16 * np.sin(angle) ** 3, -waves], axis=1) / 16


def _corner(rng: np.random.Generator) -> Outline:
    half = rng.uniform(math.radians(20), math.radians(70))
    far = [(_FAR * math.cos(angle), _FAR * math.sin(angle)) for angle in (-half, 0, half)]
    return np.array([(0, 0), *far])


def _bar(rng: np.random.Generator) -> Outline:
    width = rng.uniform(0.02, 0.6)
    return np.array([(-_FAR, 0), (_FAR, 0), (_FAR, width), (-_FAR, width)])


SHAPES: dict[str, Callable[[np.random.Generator], Outline]] = {
    "disc": _circular,
    "ellipse": lambda rng: _circular(rng, 1.5),
    "arc": lambda rng: _circular(rng) * rng.uniform(2, 4) + [rng.uniform(2, 4), 0],
    "edge": lambda _: np.array([(0, -_FAR), (_FAR, -_FAR), (_FAR, _FAR), (0, _FAR)]),
    "bar": _bar,
    "corner": _corner,
    "square": lambda _: _star(2, 1),
    "triangle": lambda _: _star(3, 0.5),
    "star": lambda _: _star(5, 0.4),
    "heart": _heart,
}
"""Outline of each shape, before it is turned, enlarged and moved."""


def drawn(shape: str, count: int, seed: int) -> NDArray[np.uint8]:
    """Return pictures (count, 96, 96) of a shape: filled or an outline, lighter or darker."""
    rng = np.random.default_rng([seed, list(SHAPES).index(shape)])
    return np.stack([_picture(SHAPES[shape](rng), rng) for _ in range(count)])


def _picture(outline: Outline, rng: np.random.Generator) -> NDArray[np.uint8]:
    angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0.15, 0.6) * _SIDE_PX
    cosine, sine = math.cos(angle), math.sin(angle)
    turned = outline @ np.array([[cosine, sine], [-sine, cosine]])
    placed = turned * radius + rng.uniform(0, _SIDE_PX, 2)
    corners = [np.round(placed * 2**_SHIFT).astype(np.int32)]
    mask = np.zeros((_SIDE_PX, _SIDE_PX), np.uint8)
    if rng.random() < 0.75:
        cv2.fillPoly(mask, corners, 255, cv2.LINE_AA, _SHIFT)
    else:
        width_px = int(rng.integers(2, 9))
        cv2.polylines(mask, corners, True, 255, width_px, cv2.LINE_AA, _SHIFT)  # noqa: FBT003 OpenCV's
    background, step = rng.uniform(70, 185), rng.uniform(40, 70) * rng.choice([-1, 1])
    noise = rng.normal(0, rng.uniform(0.5, 4), mask.shape)
    shades = rng.normal(0, 8, 2) * (np.indices(mask.shape).T / _SIDE_PX - 0.5)
    luma = background + step * (mask / 255) + noise + shades.sum(axis=-1)
    return np.asarray(luma.clip(0, 255), np.uint8)
