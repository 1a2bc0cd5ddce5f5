"""The share of a looked-up picture that the anchored regions which agree cover together.

A bit stands for each cell of a grid over the picture. Between regions a picture has few marks, so
that regions which cover most of it tell of nearly all of it: so do those of a cropped copy, and not
those around a person before a background that another picture shows, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from disrupt.core.transforms import ENLARGED, IDENTITY, Transform, turned_crop

_SIDE = 8
_CENTRES_PERMILLE = [1000 * (2 * at + 1) / (2 * _SIDE) for at in range(_SIDE)]
_NEARLY_ALL_CELLS = 38
"""Least cells of nearly the whole, 59 %. Of people before one background regions covered 53 % of a
picture at most, in 76 matches; those of half of the cropped copies cover more."""


def cells(version: Transform) -> int:
    """Return the cells whose centre lies within an anchored region, as bits; of others none."""
    if not version.anchored:
        return 0
    left, top, right, bottom = turned_crop(version.crop, version.dihedral)
    columns = sum(1 << at for at in _within(left, right))
    return sum(columns << _SIDE * at for at in _within(top, bottom))


def covered_permille(cells: int) -> int:
    """Return the share that regions cover, in thousandths; 1000 of nearly all."""
    count = cells.bit_count()
    return 1000 if count >= _NEARLY_ALL_CELLS else 1000 * count // _SIDE**2


def is_of_a_picture(versions: Sequence[Transform]) -> bool:
    """Tell whether versions of a query are of a single picture.

    Regions of several frames say nothing together: where people move before a background, all of
    that is seen.
    """
    return max(versions.count(IDENTITY), versions.count(ENLARGED)) == 1


def _within(before: int, after: int) -> list[int]:
    return [at for at, centre in enumerate(_CENTRES_PERMILLE) if before <= centre <= 1000 - after]
