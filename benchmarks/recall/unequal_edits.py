"""Edits that cut the four sides of a picture unequally, alone or before another edit.

As in ``edits``: each takes a scene and returns the edited pixels and its strength.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from rig.media.edits import Edit, Edited, Scene, cropped, mirror, to_aspect
from rig.media.layouts import paste, plain_page

_CUT = (0.0, 0.3)
"""Least and most share that a side loses."""


def unequal_sides(scene: Scene, *, cut: tuple[float, float] = _CUT) -> Edited:
    """Cut each of the four sides by another share."""
    left, top, right, bottom = scene.rng.uniform(*cut, 4)
    kept = (1 - left - right) * (1 - top - bottom)
    return cropped(scene.pixels, left, top, 1 - right, 1 - bottom), 100 * (1 - kept)


def unequal_mirrored(scene: Scene) -> Edited:
    """Cut each side by another share, and mirror."""
    pixels, strength = unequal_sides(scene)
    return mirror(replace(scene, pixels=pixels))[0], strength


def unequal_small(scene: Scene) -> Edited:
    """Cut each side by another share, and save at 320 px as JPEG of quality 30."""
    scene.encoding.update(side_px=320, quality=30)
    return unequal_sides(scene)


def unequal_stretched(scene: Scene) -> Edited:
    """Cut each side by another share, and stretch width or height by 5 to 15 %."""
    pixels, _ = unequal_sides(scene)
    share = scene.rng.uniform(0.05, 0.15)
    across, down = (1 + share, 1) if scene.rng.random() < 0.5 else (1, 1 + share)
    return cv2.resize(pixels, None, fx=across, fy=down, interpolation=cv2.INTER_LINEAR), 100 * share


def unequal_thumbnail(scene: Scene) -> Edited:
    """Cut each side by another share, and scale to 100 to 200 px."""
    scene.encoding["side_px"] = int(scene.rng.integers(100, 201))
    return unequal_sides(scene)[0], scene.encoding["side_px"]


def cropped_in_collage(
    scene: Scene, *, side: int | None = None, cut: tuple[float, float] = (0, 0.15)
) -> Edited:
    """Place it in an even grid of 1 x 2 to 3 x 3 or of ``side``, each picture cropped before.

    Each loses another share at each side, and is then cropped to its cell at any place.
    """
    rng = scene.rng
    columns, rows = (side, side) if side else (int(rng.integers(1, 4)), int(rng.integers(2, 4)))
    wide, tall = 1800 // columns, round(1800 / columns / (1, 4 / 5, 3 / 4)[rng.integers(3)])
    gutter = int(rng.integers(3, 24)) if rng.random() < 0.5 else 0
    page = plain_page(rng, rows * (tall + gutter) + gutter, columns * (wide + gutter) + gutter)
    mine = rng.integers(rows * columns)
    for at in range(rows * columns):
        pixels = scene.pixels if at == mine else scene.other()
        part = unequal_sides(replace(scene, pixels=pixels), cut=cut)[0]
        part, _ = to_aspect(part, wide / tall, rng.uniform(0, 1))
        shown = cv2.resize(part, (wide, tall), interpolation=cv2.INTER_AREA)
        row, column = divmod(at, columns)
        page = paste(page, shown, gutter + row * (tall + gutter), gutter + column * (wide + gutter))
    scene.encoding["side_px"] = int(rng.integers(1280, 1921))
    return np.asarray(page), float(rows * columns)


UNEQUAL: dict[str, dict[str, Edit]] = {
    "cropped_in_collage": {"cropped_in_collage": cropped_in_collage},
    "unequal_sides": {"unequal_sides": unequal_sides},
    "unequal_sides_more": {"unequal_sides_more": partial(unequal_sides, cut=(0.1, 0.4))},
    "unequal_mirrored": {"unequal_mirrored": unequal_mirrored},
    "unequal_small": {"unequal_small": unequal_small},
    "unequal_stretched": {"unequal_stretched": unequal_stretched},
    "unequal_thumbnail": {"unequal_thumbnail": unequal_thumbnail},
    "unequal_in_collage_of_4": {
        "unequal_in_collage_of_4": partial(cropped_in_collage, side=2, cut=_CUT)
    },
    "unequal_in_collage_of_9": {
        "unequal_in_collage_of_9": partial(cropped_in_collage, side=3, cut=_CUT)
    },
}
"""Edits by the row of the table of harder edits that they belong to."""
