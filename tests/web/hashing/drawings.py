"""Pictures that Python and JavaScript draw alike, in integers, and what is registered of them.

Run as a program to write vectors.json.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness.browsers import rows_of
from disrupt.core.media import LowQuality
from disrupt.core.transforms import Dihedral
from disrupt.hashing.decoding.pixels import Picture
from disrupt.hashing.images import _registered

VECTORS = Path(__file__).with_name("vectors.json")

_OCTAVES = ((128, 4), (32, 2), (8, 1))
"""Side of the cells in px, and weight."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture: its size, and ``noise`` by a seed, or one of the others."""

    width: int
    height: int
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
    y, x = np.mgrid[: drawing.height, : drawing.width]
    if drawing.kind == "noise":
        return np.dstack([_noise(x, y, 3 * drawing.seed + channel) for channel in range(3)])
    if drawing.kind == "stripes":
        level = 255 * (x // 20 % 2)
    elif drawing.kind == "disc":
        level = 255 * ((2 * x - drawing.width) ** 2 + (2 * y - drawing.height) ** 2 < 400**2)
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


def registered(colours: NDArray[np.uint8]) -> list[str] | dict[str, object]:
    """Return what is registered of colours, as the vectors hold it."""
    outcome = _registered(Picture(Image.fromarray(colours), Dihedral.IDENTITY))
    if isinstance(outcome, LowQuality):
        reason = "featureless" if outcome.quality < outcome.minimum_quality else "too-regular"
        return {"reason": reason, "quality": outcome.quality}
    return rows_of(outcome)


def vectors() -> str:
    """Return the text of VECTORS."""
    entries = [
        json.dumps(asdict(drawing) | {"registered": registered(draw(drawing))})
        for drawing in DRAWINGS
    ]
    return "[\n" + ",\n".join(entries) + "\n]\n"


if __name__ == "__main__":
    VECTORS.write_text(vectors())
