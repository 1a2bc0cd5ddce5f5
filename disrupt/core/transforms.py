"""Versions of a media item that are hashed, and the published plans of such versions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.variant_plan import VARIANTS


class Dihedral(IntEnum):
    """The eight symmetries of a rectangle: mirrored left to right if named so, then turned."""

    IDENTITY = 0
    ROTATE_90 = 1
    ROTATE_180 = 2
    ROTATE_270 = 3
    MIRROR = 4
    MIRROR_ROTATE_90 = 5
    MIRROR_ROTATE_180 = 6
    MIRROR_ROTATE_270 = 7

    def then(self, other: Dihedral) -> Dihedral:
        """Return the symmetry that equals this one followed by ``other``."""
        (mirrored, quarters), (mirrored_more, quarters_more) = divmod(self, 4), divmod(other, 4)
        if mirrored_more:
            quarters = -quarters
        return Dihedral(4 * (mirrored ^ mirrored_more) + (quarters + quarters_more) % 4)

    @property
    def inverse(self) -> Dihedral:
        """Symmetry that undoes this one."""
        return self if self >= Dihedral.MIRROR else Dihedral(-self % 4)


Crop: TypeAlias = tuple[int, int, int, int]
"""Cut off left, top, right and bottom, in thousandths of the width or height."""


Corners: TypeAlias = tuple[int, ...]
"""x and y of top left, top right, bottom right and bottom left, in thousandths of width and height;
empty where nothing was straightened."""


def turned_crop(crop: Crop, dihedral: Dihedral) -> Crop:
    """Return the same crop of the turned picture."""
    mirrored, quarters = divmod(dihedral, 4)
    sides = crop[2::-1] + crop[3:] if mirrored else crop
    left, top, right, bottom = sides[4 - quarters :] + sides[: 4 - quarters]
    return left, top, right, bottom


ANCHORED_MOST_PERMILLE = 700
"""Largest share that an anchored region is told to show: it is a part, not nearly the whole."""


class Transform(NamedTuple):
    """Steps in the order of the fields; all zero is the media item itself.

    Turning happens after cropping, but the turned corners show the picture around the crop.

    ``scale_side_px``: longer side after scaling; 0 means not scaled. 512 also stands for the square
    that the canonical profile reduces larger pictures to.

    ``plain_edges_cut``: of a frame of a video, without the rows and columns at its edges that are
    plain all the time, as bars are.

    ``negative``: with all levels inverted. ``corners``: what lies within them, straightened; done
    before all other steps.

    ``anchored``: a square that the content marks, turned as the content is. Of a looked-up picture,
    the crop is the rectangle around it; of a registered one its place is not kept.

    ``gamma_permille``: with all levels, from 0 to 1, raised to this power; 0 means not.
    """

    dihedral: Dihedral = Dihedral.IDENTITY
    crop_left_permille: int = 0
    crop_top_permille: int = 0
    crop_right_permille: int = 0
    crop_bottom_permille: int = 0
    rotation_millidegrees: int = 0
    scale_side_px: int = 0
    plain_edges_cut: bool = False
    negative: bool = False
    corners: Corners = ()
    anchored: bool = False
    gamma_permille: int = 0

    @property
    def crop(self) -> Crop:
        """Left, top, right, bottom."""
        return (
            self.crop_left_permille,
            self.crop_top_permille,
            self.crop_right_permille,
            self.crop_bottom_permille,
        )

    @property
    def area_permille(self) -> int:
        """Share of the media item that this version shows, in thousandths, 1-1000.

        1 of a registered anchored region: it is a part, and of what share is not kept.
        """
        left, top, right, bottom = self.crop
        share = max(1000 - left - right, 0) * max(1000 - top - bottom, 0) / 1e6
        if self.corners:
            x, y = self.corners[::2], self.corners[1::2]
            twice = sum(x[at - 1] * y[at] - x[at] * y[at - 1] for at in range(len(x)))
            share *= abs(twice) / 2e6
        if self.anchored:
            radians = math.radians(self.rotation_millidegrees / 1000)
            around = (abs(math.cos(radians)) + abs(math.sin(radians))) ** 2
            share = min(share / around, ANCHORED_MOST_PERMILLE / 1000) if any(self.crop) else 0
        return min(max(round(1000 * share), 1), 1000)

    def __str__(self) -> str:
        """Short form for people, as ``mirror crop 100,0,100,0``."""
        parts = ["straightened"] if self.corners else []
        if self.anchored:
            parts.append("region that the content marks")
        if self.dihedral != Dihedral.IDENTITY:
            parts.append(self.dihedral.name.lower())
        if any(self.crop):
            parts.append("crop " + ",".join(map(str, self.crop)))
        if self.rotation_millidegrees:
            parts.append(f"turned {self.rotation_millidegrees / 1000:g}°")
        if self.scale_side_px:
            parts.append(f"scaled to {self.scale_side_px} px")
        if self.plain_edges_cut:
            parts.append("without plain edges")
        if self.negative:
            parts.append("negative")
        if self.gamma_permille:
            parts.append(f"gamma {self.gamma_permille / 1000:g}")
        return " ".join(parts) or "identity"


IDENTITY = Transform()

ENLARGED = Transform(scale_side_px=512)
"""A picture of at most 512 px a side, enlarged, so that reduced larger copies match it."""


def _of(variant: tuple[int, int, int, int, int]) -> Transform:
    return Transform(Dihedral.IDENTITY, *variant)


def _across(variant: tuple[int, int, int, int, int]) -> tuple[int, int, int, int, int]:
    """Return the variant of the picture with its axes exchanged."""
    left, top, right, bottom, millidegrees = variant
    return top, left, bottom, right, -millidegrees


ANCHORED_WIDTHS = (1.0, 0.88, 1.13)
"""Factors of a picture's width at which anchored regions of it are registered."""

ANCHORED_MOST = (32, 8, 8)
"""Most anchored regions that are registered at each of ANCHORED_WIDTHS."""

ANCHORED = Transform(anchored=True)
"""An anchored region as it is registered, without its place."""

PARTS_PLAN = 1
"""Plan of the versions that show parts of a picture."""

REGISTERED_MOST = 130
"""Most hashes of a picture."""

PLANS: dict[int, tuple[Transform, ...]] = {
    0: (
        IDENTITY,
        ENLARGED,
        Transform(plain_edges_cut=True),
        Transform(scale_side_px=512, plain_edges_cut=True),
    ),
    1: (
        *(ANCHORED for most in ANCHORED_MOST for _ in range(most)),
        *map(_of, VARIANTS),
        *map(_of, map(_across, VARIANTS)),
    ),
}
"""Published variant plans by number. Immutable: no stored hash can be computed again.

Plan 0 is the picture itself, and for small pictures ENLARGED; of videos also both without plain
edges. Plan 1 is parts of it: anchored regions at each width, crops and turns that are
taken of a picture at least as wide as tall, then those that are taken of a taller one.
"""


def anchored_ordinals() -> list[range]:
    """Return the places in plan 1 of anchored regions, at each of ANCHORED_WIDTHS."""
    ends = np.cumsum(ANCHORED_MOST).tolist()
    return [range(end - most, end) for end, most in zip(ends, ANCHORED_MOST, strict=True)]


def crops_of(aspect: float) -> list[tuple[int, Transform]]:
    """Return places in plan 1 and transforms of crops of a picture of this width over height."""
    first = sum(ANCHORED_MOST) + (0 if aspect >= 1 else len(VARIANTS))
    return list(enumerate(PLANS[1]))[first : first + len(VARIANTS)]


def transform_of(plan: int, ordinal: int) -> Transform | None:
    """Return the transform at a place of a plan; None where only a newer version knows it."""
    transforms = PLANS.get(plan, ())
    return transforms[ordinal] if ordinal < len(transforms) else None


_AREAS_PERMILLE = np.zeros((1 + len(PLANS), 1 + max(map(len, PLANS.values()))), np.uint16)
for _plan, _transforms in PLANS.items():
    _AREAS_PERMILLE[_plan, : len(_transforms)] = [each.area_permille for each in _transforms]


def count_anchored(places: Iterable[tuple[int, int]]) -> int:
    """Count the anchored regions among stored versions, given by plan and ordinal."""
    most = sum(ANCHORED_MOST)
    return sum(plan == PARTS_PLAN and ordinal < most for plan, ordinal in set(places))


def areas_permille(plans: NDArray[np.uint16], ordinals: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return the share of its item that each stored version shows, in thousandths, uint16 (n,).

    0 where only a newer version of this program knows the place.
    """
    rows, columns = _AREAS_PERMILLE.shape
    areas: NDArray[np.uint16] = _AREAS_PERMILLE[
        np.minimum(plans, rows - 1), np.minimum(ordinals, columns - 1)
    ]
    return areas
