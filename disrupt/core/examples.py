"""The generated pictures of the test bank: what platforms look up to try what they built.

Every server has the same ones, under the same ids. Nothing in them is secret.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import PdqHash

HEIGHT_PX, WIDTH_PX = 480, 640

_SHAPES = 60
_BYTES_PER_SHAPE = 12


@dataclass(frozen=True, slots=True)
class Example:
    """One picture: ``name`` decides how it looks, and ``pdq_hash`` is its hash, of quality 100."""

    name: str
    pdq_hash: PdqHash

    @property
    def item_id(self) -> bytes:
        """Return the id of its item, 16 bytes."""
        return _bytes(f"item {self.name}", 16)

    def picture(self) -> NDArray[np.uint8]:
        """Draw it: rectangles and ellipses of many colours, uint8 (480, 640, 3), sRGB.

        Integers alone decide every pixel, so that it is the same on every machine.
        """
        rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX].astype(np.int64)
        drawn = np.full((HEIGHT_PX, WIDTH_PX, 3), 128, np.uint8)
        words = np.frombuffer(_bytes(f"picture {self.name}", _SHAPES * _BYTES_PER_SHAPE), "<u2")
        for y, x, high, wide, colour, kind in words.reshape(_SHAPES, -1).tolist():
            height, width = 20 + high % 100, 20 + wide % 130
            down, across = abs(rows - y % HEIGHT_PX), abs(columns - x % WIDTH_PX)
            if kind % 2:
                inside = (down < height) & (across < width)
            else:
                inside = (down * width) ** 2 + (across * height) ** 2 < (height * width) ** 2
            drawn[inside] = [colour % 256, colour // 256, kind // 256]
        return drawn


def _bytes(text: str, size: int) -> bytes:
    return hashlib.shake_256(f"disrupt test bank {text}".encode()).digest(size)


QUALITY = 100
"""PDQ quality of each."""

EXAMPLES = (
    Example(
        "one", PdqHash.from_hex("b573ddd06a22aee05d996a60f9a9952d6aa01d5a75f4ccb7b1425d1a8e882337")
    ),
    Example(
        "two", PdqHash.from_hex("9c70c1a41e1de42ba35d2852e5ef1f44a0ec8ac5e2d6315c4c72313d67a7d67b")
    ),
    Example(
        "three",
        PdqHash.from_hex("e05ba12f51a274c6595bb039545553134e0f571f9e961ce397b32f1c9e1b2929"),
    ),
)
"""Pictures of the test bank. Their hashes are constants, so that the writer need not hash."""

EXAMPLE_IDS = frozenset(example.item_id for example in EXAMPLES)
"""Ids of their items."""
