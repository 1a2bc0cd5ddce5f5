"""Draw the pictures of the test bank, and compute the hashes that a device would register.

Deterministic: another release of Pillow or zlib may write other bytes, but the same pixels.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from disrupt import test_bank
from disrupt.core.media import LowQuality, columns
from disrupt.hashing import fingerprint_image

_FOLDER = Path(test_bank.__file__).parent
_SIZE_PX = (640, 480)
_SHAPES = 40
_COLOURS = 16
"""Few, so that the files stay small."""


def draw(seed: int) -> Image.Image:
    """Draw large flat shapes on each other: distinctive for PDQ, and nobody's picture."""
    chance = random.Random(seed)  # noqa: S311 the same pictures each time
    palette = [tuple(chance.randrange(256) for _ in range(3)) for _ in range(_COLOURS)]
    picture = Image.new("RGB", _SIZE_PX, palette[0])
    pen = ImageDraw.Draw(picture)
    width_px, height_px = _SIZE_PX
    for _ in range(_SHAPES):
        colour = chance.choice(palette)
        x, y = chance.randrange(-60, width_px), chance.randrange(-60, height_px)
        across, down = chance.randrange(40, 240), chance.randrange(40, 200)
        if chance.random() < 1 / 2:
            pen.ellipse((x, y, x + across, y + down), fill=colour)
        else:
            corners = [(x + chance.randrange(across), y + chance.randrange(down)) for _ in range(4)]
            pen.polygon(corners, fill=colour)
    return picture.quantize(_COLOURS)


def main() -> None:
    """Write pictures and hashes."""
    for seed, name in enumerate((*test_bank.PICTURES, test_bank.UNREGISTERED), start=1):
        draw(seed).save(_FOLDER / f"{name}.png", optimize=True)
    rows = []
    for name in test_bank.PICTURES:
        fingerprinted = fingerprint_image(test_bank.picture(name))
        if isinstance(fingerprinted, LowQuality):
            raise SystemExit(f"{name} is too featureless: draw another.")
        rows.append(columns(fingerprinted.fingerprints))
    np.savez_compressed(
        _FOLDER / test_bank.HASHES,
        fingerprints=np.concatenate(rows),
        lengths=np.array([len(part) for part in rows]),
    )


if __name__ == "__main__":
    main()
