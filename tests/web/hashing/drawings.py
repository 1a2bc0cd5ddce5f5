"""Pictures that Python and JavaScript draw alike, in integers, and what is registered of them."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness.fingerprint_rows import rows_of
from disrupt.core.media import LowQuality
from disrupt.core.transforms import Dihedral
from disrupt.hashing.decoding.pixels import Picture
from disrupt.hashing.images import _registered
from disrupt.hashing.pdq.luma import canonical_luma

VECTORS = Path(__file__).with_name("vectors.json")

_OCTAVES = ((128, 4), (32, 2), (8, 1))
"""Side of the cells in px, and weight."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture: its size, and ``noise`` by a seed, or one of the others."""

    width_px: int
    height_px: int
    kind: str
    seed: int = 0


DRAWINGS = (
    Drawing(900, 700, "noise", 1),
    Drawing(300, 410, "noise", 2),
    Drawing(1200, 90, "noise", 3),
    Drawing(512, 512, "noise", 4),
    Drawing(4, 600, "noise", 5),
    Drawing(700, 500, "plain"),
    Drawing(640, 640, "stripes"),
    Drawing(800, 600, "disc"),
)


def draw(drawing: Drawing) -> NDArray[np.uint8]:
    """Return the colours, shape (height, width, 3); drawings.js draws the same."""
    y, x = np.mgrid[: drawing.height_px, : drawing.width_px]
    if drawing.kind == "noise":
        return np.dstack([_noise(x, y, 3 * drawing.seed + channel) for channel in range(3)])
    if drawing.kind == "stripes":
        level = 255 * (x // 20 % 2)
    elif drawing.kind == "disc":
        level = 255 * ((2 * x - drawing.width_px) ** 2 + (2 * y - drawing.height_px) ** 2 < 400**2)
    else:
        level = np.full_like(x, 90)
    return np.repeat(level[..., None], 3, axis=2).astype(np.uint8)


def _noise(x: NDArray[np.int64], y: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
    total = np.zeros_like(x)
    for side, weight in _OCTAVES:
        column, across = np.divmod(x, side)
        row, down = np.divmod(y, side)
        above, below = (
            _level(column, line, seed) * (side - across) + _level(column + 1, line, seed) * across
            for line in (row, row + 1)
        )
        total += weight * ((above * (side - down) + below * down) // side**2)
    return (total // sum(weight for _, weight in _OCTAVES)).astype(np.uint8)


def _level(column: NDArray[np.int64], row: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return a level for each corner of the cells, 0 or 255, by Wellons' hash ``lowbias32``."""
    mixed = (column * 73 + row * 7919 + seed * 104729).astype(np.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        mixed = (mixed ^ (mixed >> np.uint32(shift))) * np.uint32(factor)
    return 255 * ((mixed ^ (mixed >> np.uint32(16))) & np.uint32(1)).astype(np.int64)


def picture_of(colours: NDArray[np.uint8]) -> Picture:
    """Return colours as a decoded picture."""
    return Picture(Image.fromarray(colours), Dihedral.IDENTITY)


def registered(colours: NDArray[np.uint8]) -> dict[str, Any]:
    """Return what is registered of colours, as the vectors hold it."""
    picture = picture_of(colours)
    outcome = _registered(picture)
    luma = hashlib.sha256(canonical_luma(picture).tobytes()).hexdigest()
    if isinstance(outcome, LowQuality):
        cause = "TOO_REGULAR" if outcome.is_too_regular else "FEATURELESS"
        return {"luma": luma, "refused": {"cause": cause, "quality": outcome.quality}}
    return {"luma": luma, "fingerprints": rows_of(outcome)}


def vectors() -> str:
    """Return the text of VECTORS."""
    entries = [
        {
            "width": drawing.width_px,
            "height": drawing.height_px,
            "kind": drawing.kind,
            "seed": drawing.seed,
            **registered(draw(drawing)),
        }
        for drawing in DRAWINGS
    ]
    return json.dumps(entries, indent=1) + "\n"


if __name__ == "__main__":
    VECTORS.write_text(vectors())
    sys.exit()
