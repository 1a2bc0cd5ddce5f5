"""List candidates of a variant plan: versions to store, and crops to look up."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from disrupt.core.transforms import Crop
from disrupt.core.variant_plan_1 import VARIANTS

Variant: TypeAlias = tuple[int, int, int, int, int]
"""Cut off left, top, right, bottom, in thousandths, and turned clockwise, in millidegrees."""

IDENTITY: Variant = (0, 0, 0, 0, 0)

_SIDES = (0, 30, 60, 90, 120, 150)
"""Cuts of each side: every combination of these, and as many more at random."""

_PARTS = ((0, 0), (0, 500), (500, 0), (250, 250), (0, 333), (333, 0), (0, 250), (250, 0))
"""Cuts of an axis that leave halves, thirds and quarters, for what a sticker hides."""

_ZOOMS = range(70, 381, 20)
"""Cuts of both sides of an axis, for zooms and the middles of cells."""

_TURNS = (1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000)


def candidates(plan: int, seed: int) -> list[Variant]:
    """Return versions of a picture at least as wide as tall, with the mirrored version of each.

    The first are the picture itself and, of a later plan, the versions of the plans before it.
    """
    rng = np.random.default_rng(seed)
    variants = [*stored_before(plan), *(_pool_1(rng) if plan == 1 else _pool_2(rng))]
    return list(dict.fromkeys(itertools.chain.from_iterable(map(mirrored, variants))))


def stored_before(plan: int) -> list[Variant]:
    """Return the versions that earlier plans store."""
    return [IDENTITY] if plan == 1 else [IDENTITY, *VARIANTS]


def _pool_1(rng: np.random.Generator) -> list[Variant]:
    variants: list[Variant] = []
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
    return variants


def _pool_2(rng: np.random.Generator) -> list[Variant]:
    variants: list[Variant] = []
    for wide, narrow in ((0, 0), (0, 30), (30, 0), (30, 30), (0, 60), (60, 60)):
        for cut in range(140, 551, 15):
            variants += [(cut, narrow, wide, narrow, 0), (narrow, cut, narrow, wide, 0)]
    for cut in range(160, 671, 30):
        for place in range(9):
            before = round(cut * place / 8)
            for slight in (0, 30):
                variants.append((before, slight, cut - before, slight, 0))
                variants.append((slight, before, slight, cut - before, 0))
    variants += [(across, down, across, down, 0) for across in _ZOOMS for down in _ZOOMS]
    lopsided = rng.integers(0, 121, (800, 4))
    lopsided[np.arange(800), rng.integers(0, 4, 800)] = rng.integers(160, 541, 800)
    variants += [(*sides, 0) for sides in lopsided.tolist()]
    variants += [(left, top, right, bottom, 0) for left, right in _PARTS for top, bottom in _PARTS]
    variants += [
        (across, down, across, down, turn)
        for turn in range(5000, 21000, 1000)
        for across in range(40, 200, 20)
        for down in (across - 40, across - 20, across, across + 20)
        if down > 0
    ]
    return variants


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
    "axes": [
        crop for cut in (100, 160) for crop in (*orbit((cut, 0, 0, 0)), *orbit((cut, 0, cut, 0)))
    ],
}
"""Crops of what is looked up, by family: in every orientation, so that none is left out.

The first six are all ways to cut a step off the sides. With them a stored grid that is twice as
coarse covers as much as a fine one: 16 lookups do the work of 16 times as many stored hashes.
"""

OF_REGIONS = ("whole", "axis", "all four")
"""Families that are looked up of every region of a picture, as of the cells of a collage."""
