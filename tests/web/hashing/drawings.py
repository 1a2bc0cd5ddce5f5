"""Pictures that Python and JavaScript draw alike, in integers, and what is found of them.

Of each there is what is registered, and the first anchored regions of its page, kept or not.

Run as a program to write vectors.json.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.examples import _BYTES_PER_SHAPE, _SHAPES, EXAMPLES, _bytes
from disrupt.core.media import LowQuality
from disrupt.core.transforms import Dihedral
from disrupt.hashing.anchors.hashes import candidates
from disrupt.hashing.anchors.pages import pages
from disrupt.hashing.decoding.pixels import Picture
from disrupt.hashing.pdq.luma import canonical_luma
from disrupt.hashing.registration import _registered
from rig.callers.browsers import rows_of

VECTORS = Path(__file__).with_name("vectors.json")

_OCTAVES = ((128, 4), (32, 2), (8, 1))
"""Side of the cells in px, and weight."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture: its size, and ``noise`` by a seed, or one of the others.

    The seed of an ``example`` is its place among EXAMPLES, and that of a ``chessboard`` and of
    ``static`` is the side of a square.
    """

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
    Drawing(640, 480, "example", 0),
    Drawing(640, 480, "example", 1),
    Drawing(640, 480, "example", 2),
    Drawing(512, 400, "static", 4),
    Drawing(300, 520, "static", 1),
    Drawing(1000, 1000, "chessboard", 1),
    Drawing(512, 512, "chessboard", 18),
    Drawing(1, 65535, "noise", 6),
    Drawing(512, 20, "noise", 7),
)
"""A chessboard of a million squares has no anchors; one of 18 px has 6 568."""


def draw(drawing: Drawing) -> NDArray[np.uint8]:
    """Return the colours, shape (height, width, 3); drawings.js draws the same."""
    y, x = np.mgrid[: drawing.height, : drawing.width]
    if drawing.kind == "noise":
        return np.dstack([_noise(x, y, 3 * drawing.seed + channel) for channel in range(3)])
    if drawing.kind == "example":
        return EXAMPLES[drawing.seed].picture()
    if drawing.kind == "static":
        level = _level(x // drawing.seed, y // drawing.seed, 0)
    elif drawing.kind == "chessboard":
        level = 255 * ((x // drawing.seed + y // drawing.seed) % 2)
    elif drawing.kind == "stripes":
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


def regions(colours: NDArray[np.uint8]) -> list[str]:
    """Return x, y, side and angle of the candidates of a page, quality, if good, and hash."""
    luma = canonical_luma(Picture(Image.fromarray(colours), Dihedral.IDENTITY))
    anchors, hashed, are_good = candidates(pages(luma, colours.shape[1] / colours.shape[0]))
    return [
        f"{x:.5f} {y:.5f} {side:.5f} {angle:.5f} {quality} {int(is_good)} {code.tobytes().hex()}"
        for x, y, side, angle, quality, is_good, code in zip(
            *anchors, hashed.qualities[:, 0], are_good, hashed.hashes[:, 0], strict=True
        )
    ]


def entry(drawing: Drawing) -> dict[str, object]:
    """Return what the vectors hold of a drawing; ``shapes`` are 12 bytes each, as Example has."""
    colours = draw(drawing)
    held: dict[str, object] = asdict(drawing)
    if drawing.kind == "example":
        name = EXAMPLES[drawing.seed].name
        held["shapes"] = _bytes(f"picture {name}", _SHAPES * _BYTES_PER_SHAPE).hex()
    return held | {"registered": registered(colours), "regions": regions(colours)}


def vectors() -> str:
    """Return the text of VECTORS."""
    entries = [json.dumps(entry(drawing)) for drawing in DRAWINGS]
    return "[\n" + ",\n".join(entries) + "\n]\n"


if __name__ == "__main__":
    VECTORS.write_text(vectors())
