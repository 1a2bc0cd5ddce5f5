"""Find tilted and turned pictures on plain pages, and straighten them.

From each edge of the page, lines are followed until they differ from their level at that edge. If
that is where a picture begins that was photographed on a wall, or turned with all its corners,
these places lie on four straight sides. A wrong candidate is harmless: it costs some hashes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.transforms import Corners

_SIDE_PX = 192
"""Longer side of the reduced page in which sides are sought."""

_LEAST_SIDE_PX = 24
"""Least side of the reduced page: one that is thinner has room for no picture."""

_LEVELS = (6, 16)
"""Most that the page differs from its edge: if it is plain, and if it is unevenly lit."""

_AROUND = 2
"""Lines on either side whose median smooths a line's place."""

_AT_EDGE = 0.5
"""Most lines that may end at the page's edge: a picture without a page ends most of them there."""

_DIRECTIONS = 72
"""Directions in which the outermost places are taken as the hull."""

_LEAST_AREA = 0.08
"""Least area of a candidate, as a share of the page."""

_BESIDE = 0.02
"""Distance from a side, in its length, within which a place belongs to it."""

_LEAST_PLACES = 6
"""Least places that a side is fitted to, and its least length in pixels."""

_LEAST_SHARE = 0.55
"""Least share of all places that belong to one of the sides."""

_PARALLEL = 0.1
"""Sine of the angle of two sides below which they do not meet."""

_OUTSIDE = 0.02
"""Most that a corner may lie outside of the page, as a share of its width or height."""

_LEAST_SLANT = 0.012
"""Least distance of a corner from the upright rectangle around all, as a share of the page:
upright pictures are regions."""

_SAME = 0.03
"""Distance of corners, as a share of the page, within which two candidates are alike."""

_STRAIGHT_PX = 440
"""Longer side of a straightened page; regions are averaged from pages of about this size."""

_CORNERS = 4


def find_quadrilaterals(luma: NDArray[np.uint8], most: int) -> list[Corners]:
    """Find at most so many tilted pictures on a page, shape (height, width), the largest first.

    Deterministic and thread-safe. Takes a ms or two, whatever the page shows.
    """
    height, width = luma.shape
    scale = min(_SIDE_PX / max(height, width), 1)
    size = round(width * scale), round(height * scale)
    if not most or min(size) < _LEAST_SIDE_PX:
        return []
    small = Image.fromarray(luma).resize(size, Image.Resampling.BOX)
    page = _evenly_lit(np.asarray(small, np.float32))
    candidates: list[NDArray[np.float64]] = []
    for levels in _LEVELS:
        corners = _corners(_places(page, levels), _LEAST_AREA * page.size)
        if corners is None or not _is_tilted(corners / size):
            continue
        if all(np.abs(corners - known).max() > _SAME * max(size) for known in candidates):
            candidates.append(corners)
    candidates.sort(key=_area, reverse=True)
    return [
        tuple(np.rint(corners / size * 1000).astype(int).clip(0, 1000).ravel().tolist())
        for corners in candidates[:most]
    ]


def straightened(luma: NDArray[np.uint8], corners: Corners) -> NDArray[np.uint8]:
    """Map the page within the corners to an upright one, its longer side at most 440 px."""
    height, width = luma.shape
    shown = np.reshape(corners, (_CORNERS, 2)) * (width / 1000, height / 1000)
    top, right, bottom, left = np.linalg.norm(np.roll(shown, -1, axis=0) - shown, axis=1)
    sides = np.array([top + bottom, left + right]) / 2
    wide, high = (
        np.rint(sides * min(_STRAIGHT_PX / sides.max(), 1)).clip(min=1).astype(int).tolist()
    )
    upright = np.array([[0, 0], [wide, 0], [wide, high], [0, high]])
    # (a x + b y + c) / (g x + h y + 1) and (d x + e y + f) / (g x + h y + 1) at four corners
    equations = np.zeros((2 * _CORNERS, 8))
    equations[::2, :2], equations[::2, 2] = upright, 1
    equations[1::2, 3:5], equations[1::2, 5] = upright, 1
    equations[:, 6:] = -shown.reshape(-1, 1) * upright.repeat(2, axis=0)
    try:
        mapping = np.linalg.solve(equations, shown.ravel())
    except np.linalg.LinAlgError:
        return luma[:1, :1]
    page = Image.fromarray(luma).transform(
        (wide, high), Image.Transform.PERSPECTIVE, mapping.tolist(), Image.Resampling.BILINEAR
    )
    return np.asarray(page)


def _evenly_lit(page: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the light that falls on the page from one side, as its edges show it."""
    height, width = page.shape
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    edges = np.concatenate([page[0], page[-1], page[:, 0], page[:, -1]])
    at_x = np.concatenate([x, x, np.full(height, -1), np.full(height, 1)])
    at_y = np.concatenate([np.full(width, -1), np.full(width, 1), y, y])
    across, down = (float(at @ (edges - edges.mean()) / (at @ at)) for at in (at_x, at_y))
    even: NDArray[np.float32] = page - across * x - down * y[:, None]
    return even


def _places(page: NDArray[np.float32], levels: int) -> NDArray[np.float64]:
    """Return x and y (n, 2) where lines from the page's edges first differ from them."""
    height, width = page.shape
    places: list[NDArray[np.float64]] = []
    at_edge = lines = 0
    for turn in range(4):
        turned = np.rot90(page, turn)
        differs = np.abs(turned - turned[:, :1]) > levels
        differs[:, :-1] &= differs[:, 1:]  # one alone is grain
        depths = np.where(differs.any(axis=1), differs.argmax(axis=1), np.inf)
        around = np.pad(depths, _AROUND, constant_values=np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(around, 2 * _AROUND + 1)
        depths = np.sort(windows, axis=1)[:, _AROUND]
        lines += len(depths)
        at_edge += int(np.count_nonzero(depths <= 1))
        row = np.flatnonzero(np.isfinite(depths))
        depth, row_at = depths[row], row + 0.5
        x, y = (
            (depth, row_at),
            (width - row_at, depth),
            (width - depth, height - row_at),
            (row_at, height - depth),
        )[turn]
        places.append(np.stack([x, y], axis=1))
    if at_edge > _AT_EDGE * lines:
        return np.empty((0, 2))
    return np.concatenate(places)


def _corners(places: NDArray[np.float64], least_area: float) -> NDArray[np.float64] | None:
    """Return the corners of the four sides that places (n, 2) lie on, or None."""
    if len(places) < _CORNERS * _LEAST_PLACES:
        return None
    angles = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    outermost = (places @ directions).argmax(axis=0)
    hull = places[outermost[outermost != np.roll(outermost, 1)]]
    if len(hull) < _CORNERS or _area(hull) < least_area:
        return None
    while len(hull) > _CORNERS:
        before, after = np.roll(hull, 1, axis=0) - hull, np.roll(hull, -1, axis=0) - hull
        cut_off = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
        hull = np.delete(hull, cut_off.argmin(), axis=0)
    # clockwise, from the corner nearest to the top left
    corners = _fitted(np.roll(hull, -int(hull.sum(axis=1).argmin()), axis=0), places)
    return None if corners is None else _fitted(corners, places)


def _fitted(
    corners: NDArray[np.float64], places: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Fit each side to the places beside it; return where the sides meet, or None."""
    sides, belongs = [], np.zeros(len(places), bool)
    for start, along in zip(corners, np.roll(corners, -1, axis=0) - corners, strict=True):
        length = float(np.hypot(*along))
        if length < _LEAST_PLACES:
            return None
        inwards = np.array([-along[1], along[0]]) / length
        offsets = places - start
        shares, distances = offsets @ along / length**2, offsets @ inwards
        beside = (np.abs(distances) < max(_BESIDE * length, 2)) & (shares > 0) & (shares < 1)
        if np.count_nonzero(beside) < _LEAST_PLACES:
            return None
        belongs |= beside
        slope, distance = _line(shares[beside], distances[beside])
        sides.append((start + distance * inwards, along + slope * inwards))
    if np.count_nonzero(belongs) < _LEAST_SHARE * len(places):
        return None
    met = []
    for (point, along), (other, across) in zip(sides[-1:] + sides[:-1], sides, strict=True):
        sine = along[0] * across[1] - along[1] * across[0]
        if abs(sine) < _PARALLEL * np.hypot(*along) * np.hypot(*across):
            return None
        x, y = other - point
        met.append(point + (x * across[1] - y * across[0]) / sine * along)
    return np.array(met)


def _line(shares: NDArray[np.float64], distances: NDArray[np.float64]) -> tuple[float, float]:
    """Fit slope and distance by medians, so that places of something else do not move the line."""
    order = np.argsort(shares)
    shares, distances = shares[order], distances[order]
    half = len(shares) // 2
    first, second = slice(half), slice(-half, None)
    slope = np.median(
        (distances[second] - distances[first]) / np.maximum(shares[second] - shares[first], 0.01)
    )
    return float(slope), float(np.median(distances - slope * shares))


def _area(polygon: NDArray[np.float64]) -> float:
    """Return the area of a convex polygon (n, 2)."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def _is_tilted(shares: NDArray[np.float64]) -> bool:
    """Tell whether corners, as shares of the page, are on it and of no upright rectangle."""
    if shares.min() < -_OUTSIDE or shares.max() > 1 + _OUTSIDE:
        return False
    (left, top), (right, bottom) = shares.min(axis=0), shares.max(axis=0)
    upright = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return bool(np.abs(shares - upright).max() > _LEAST_SLANT)
