"""List candidates of a variant plan: versions to store, and crops to look up."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from disrupt.core.transforms import Crop

Variant: TypeAlias = tuple[int, int, int, int, int]
"""Cut off left, top, right, bottom, in thousandths, and turned clockwise, in millidegrees."""

IDENTITY: Variant = (0, 0, 0, 0, 0)

_SIDES = (0, 30, 60, 90, 120, 150)
"""Cuts of each side: every combination of these, and as many more at random."""

_PARTS = ((0, 0), (0, 500), (500, 0), (250, 250), (0, 333), (333, 0), (0, 250), (250, 0))
"""Cuts of an axis that leave halves, thirds and quarters, for what a sticker hides."""

_TURNS = (1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000)


def candidates(seed: int) -> list[Variant]:
    """Return versions of a picture at least as wide as tall, with the mirrored version of each."""
    rng = np.random.default_rng(seed)
    variants: list[Variant] = [IDENTITY]
    variants += [(*cut, 0) for cut in itertools.product(_SIDES, _SIDES, _SIDES, _SIDES)]
    drawn = rng.integers(5, 141, (len(_SIDES) ** 4 // 6, 4)).tolist()
    variants += [(left, top, right, bottom, 0) for left, top, right, bottom in drawn]
    variants += [(cut, cut, cut, cut, 0) for cut in range(10, 180, 5)]
    variants += [variant for kept in range(300, 985, 15) for variant in _aspects(1000 - kept)]
    variants += [(left, top, right, bottom, 0) for left, right in _PARTS for top, bottom in _PARTS]
    variants += [
        (across, down, across, down, turn)
        for turn in _TURNS
        for across, down in itertools.product((0, 15, 25, 35, 45, 60, 75), repeat=2)
        if abs(across - down) <= 20
    ]
    return list(dict.fromkeys(itertools.chain.from_iterable(map(mirrored, variants))))


def _aspects(cut: int) -> Iterable[Variant]:
    """Yield crops to another shape, at five places: part of the width, or also of the height."""
    for place in range(5):
        left = round(cut * place / 4)
        yield left, 0, cut - left, 0, 0
        if cut < 400:
            yield 0, left, 0, cut - left, 0
    for slight in (20, 40, 60, 80):
        yield round(cut / 2), slight, cut - round(cut / 2), slight, 0


def mirrored(variant: Variant) -> tuple[Variant, Variant, Variant, Variant]:
    """Return a variant, and its equals of the picture mirrored sideways, upside down, and both."""
    left, top, right, bottom, turn = variant
    return (
        variant,
        (right, top, left, bottom, -turn),
        (left, bottom, right, top, -turn),
        (right, bottom, left, top, turn),
    )


def orbit(crop: Crop) -> list[Crop]:
    """Return a crop in the eight orientations: lookups must not depend on how it is turned."""
    both = (crop, (crop[1], crop[0], crop[3], crop[2]))
    return sorted({variant[:4] for sides in both for variant in mirrored((*sides, 0))})


LOOKUPS: dict[str, list[Crop]] = {
    "whole": [(0, 0, 0, 0)],
    "side": orbit((40, 0, 0, 0)),
    "corner": orbit((40, 40, 0, 0)),
    "axis": orbit((40, 0, 40, 0)),
    "three": orbit((40, 40, 40, 0)),
    "all four": orbit((40, 40, 40, 40)),
    "middle": [(250, 250, 250, 250)],
    "quadrants": orbit((500, 500, 0, 0)),
    "wider": [
        crop
        for sides in ((60, 0, 0, 0), (60, 60, 0, 0), (60, 0, 60, 0), (60, 60, 60, 0), (60,) * 4)
        for crop in orbit(sides)
    ],
}
"""Crops of what is looked up, by family: in every orientation, so that none is left out.

The first six are all ways to cut a step off the sides. With them a stored grid that is twice as
coarse covers as much as a fine one: 16 lookups do the work of 16 times as many stored hashes.
"""

OF_REGIONS = ("whole", "axis", "all four")
"""Families that are looked up of every region of a picture, as of the cells of a collage."""
