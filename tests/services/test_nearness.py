"""How near hashes of pictures have to be, by what these show. Near enough is told in matching."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from disrupt.core.concentration import LEAST_BITS, most_bits
from disrupt.hashing.pdq import hash_luma
from disrupt.services.nearness import limits_of

SIDE_PX = 512


def circle(seed: int) -> NDArray[np.uint8]:
    """A noisy one, filled or as an outline, of which a good part is in the picture."""
    rng = np.random.default_rng(seed)
    luma = np.full((SIDE_PX, SIDE_PX), rng.integers(0, 100), np.uint8)
    centre, radius = rng.uniform(0, SIDE_PX, 2), rng.uniform(0.25, 0.7) * SIDE_PX
    width = -1 if seed % 2 else int(rng.integers(15, 30))
    cv2.circle(luma, centre.astype(int).tolist(), int(radius), int(rng.integers(150, 256)), width)
    return np.clip(luma + rng.normal(0, 2, luma.shape), 0, 255).astype(np.uint8)


def test_circles_match_within_the_fewest_bits() -> None:
    hashes = np.stack([hash_luma(circle(seed)).hashes for seed in range(40)])
    assert (limits_of(hashes) == LEAST_BITS).sum() >= 24
    assert (most_bits(hashes) == LEAST_BITS).sum() <= 4, "concentration alone tells"
    assert (limits_of(~hashes) == limits_of(hashes)).all(), "negatives"


def test_photographs_and_their_quarters_are_no_circles() -> None:
    hashes = []
    for name in ("astronaut", "chelsea"):  # one of coffee is: the rim of the cup
        luma = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY)
        down, across = luma.shape[0] // 2, luma.shape[1] // 2
        quarters = [luma[top:, left:][:down, :across] for top in (0, down) for left in (0, across)]
        hashes += [hash_luma(np.ascontiguousarray(one)).hashes for one in (luma, *quarters)]
    assert (limits_of(np.stack(hashes)) == most_bits(np.stack(hashes))).all()


def test_random_hashes_are_no_circles() -> None:
    hashes = np.random.default_rng(2).integers(0, 256, (2000, 32), np.uint8)
    assert (limits_of(hashes) == most_bits(hashes)).all()


def test_nothing_asked_is_nothing_answered() -> None:
    assert limits_of(np.empty((0, 32), np.uint8)).shape == (0,)
