"""How near a hash must be: its distance from the nearest shape, less a margin."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from disrupt.core.hashes import HASH_BITS, MAX_DISTANCE_BITS
from disrupt.distinctiveness import limits
from disrupt.distinctiveness.shape_distance import SHAPE_BITS, are_degenerate
from disrupt.distinctiveness.shapes import shapes
from disrupt.errors import DisruptError
from disrupt.hashing.pdq.linear import hash_luma

SIDE_PX = 512
ODD = np.arange(16) % 2 == 0
"""Waves 1, 3, 5... across a picture: the signs of their coefficients change if it is mirrored."""


def bits_of(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.unpackbits(hashes, axis=-1)[..., ::-1].reshape(*hashes.shape[:-1], 16, 16)


def hashes_of(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.packbits(bits.reshape(*bits.shape[:-2], HASH_BITS)[..., ::-1], axis=-1)


def limits_bits(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the limits, which are the same compiled and not."""
    interpreted = limits.limits_bits(hashes)
    assert limits.limits_bits(hashes, compiled=True).tolist() == interpreted.tolist()
    return interpreted


def orientations(hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return hashes (n, 32) in all eight orientations, shape (8, n, 32)."""
    bits = bits_of(hashes)
    mirrored = [bits, bits ^ ODD, bits ^ ODD[:, None], bits ^ ODD ^ ODD[:, None]]
    return hashes_of(np.stack(mirrored + [version.mT for version in mirrored]))


@cache
def every_shape() -> NDArray[np.uint8]:
    """Return the shapes in all orientations."""
    return orientations(shapes())


def naive_limit(code: NDArray[np.uint8]) -> int:
    """Compare a hash with every shape, in every orientation, and in negative."""
    distances = np.bitwise_count(every_shape() ^ code).sum(axis=-1, dtype=np.int64)
    return int(min(distances.min(), HASH_BITS - distances.max()) - SHAPE_BITS)


@given(st.integers(0, 2**32 - 1))
def test_the_limit_is_the_distance_from_the_nearest_shape_less_a_margin(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits = np.unpackbits(every_shape()[rng.integers(8), rng.integers(len(shapes()))])
    bits[rng.permutation(HASH_BITS)[: rng.integers(HASH_BITS)]] ^= 1
    code = np.packbits(bits)
    limit = naive_limit(code)
    assert limits_bits(code[None]).tolist() == [min(limit, MAX_DISTANCE_BITS)]
    assert bool(are_degenerate(code)) == (limit < 0)


@pytest.mark.parametrize("flips", [SHAPE_BITS - 1, SHAPE_BITS, SHAPE_BITS + 1])
def test_a_hash_is_degenerate_below_the_margin(flips: int) -> None:
    rng = np.random.default_rng(flips)
    bits = np.unpackbits(shapes()[rng.choice(len(shapes()), 50)], axis=1)
    for row in bits:
        row[rng.permutation(HASH_BITS)[:flips]] ^= 1
    hashes = np.packbits(bits, axis=1)
    expected = [flips < SHAPE_BITS] * len(hashes)
    assert are_degenerate(hashes).tolist() == (limits_bits(hashes) < 0).tolist() == expected


def test_random_hashes_match_within_31_bits() -> None:
    hashes = np.random.default_rng(2).integers(0, 256, (1000, 32), np.uint8)
    assert (limits_bits(hashes) == MAX_DISTANCE_BITS).all()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_photographs_match_within_31_bits(name: str) -> None:
    luma = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY)
    assert limits_bits(hash_luma(luma).hashes[None]).tolist() == [MAX_DISTANCE_BITS]


def page() -> NDArray[np.uint8]:
    noise = np.random.default_rng(3).normal(60, 2, (SIDE_PX, SIDE_PX))
    return noise.clip(0, 255).astype(np.uint8)


def arcs(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a circle larger than the picture."""
    radius = rng.uniform(0.9, 1.8) * SIDE_PX
    across, down = rng.uniform(0.2, 0.8) * SIDE_PX, rng.uniform(0.4, 0.7) * SIDE_PX + radius
    return np.asarray(cv2.circle(page(), (int(across), int(down)), int(radius), 230, -1))


def discs(rng: np.random.Generator) -> NDArray[np.uint8]:
    centre, radius = rng.uniform(0.3, 0.7, 2) * SIDE_PX, rng.uniform(0.2, 0.45) * SIDE_PX
    return np.asarray(cv2.circle(page(), centre.astype(int).tolist(), int(radius), 230, -1))


def rings(rng: np.random.Generator) -> NDArray[np.uint8]:
    centre, radius = rng.uniform(0.3, 0.7, 2) * SIDE_PX, rng.uniform(0.2, 0.45) * SIDE_PX
    return np.asarray(cv2.circle(page(), centre.astype(int).tolist(), int(radius), 230, 22))


def edges(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a bright half and a dark one, at any angle."""
    far = 4 * SIDE_PX
    angle, place = rng.uniform(0, 2 * np.pi), SIDE_PX * rng.uniform(0.3, 0.7, 2)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    corners = [place + far * along, place - far * along]
    corners += [corners[1] + far * across, corners[0] + far * across]
    return np.asarray(cv2.fillPoly(page(), [np.array(corners).astype(np.int32)], 200, cv2.LINE_AA))


@pytest.mark.parametrize("draw", [arcs, discs, rings, edges])
def test_pictures_of_a_shape_have_to_be_nearer(
    draw: Callable[[np.random.Generator], NDArray[np.uint8]],
) -> None:
    rng = np.random.default_rng(4)
    most_bits = limits_bits(np.stack([hash_luma(draw(rng)).hashes for _ in range(20)]))
    assert (most_bits < 20).sum() >= 17


def test_nothing_asked_is_nothing_answered() -> None:
    empty = np.empty((0, 32), np.uint8)
    assert limits_bits(empty).shape == are_degenerate(empty).shape == (0,)


def test_limits_that_are_compiled_wrongly_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    limits.check_limits()
    monkeypatch.setattr(limits, "_compiled_bits", lambda hashes: np.zeros(len(hashes), np.int64))
    with pytest.raises(DisruptError, match="compiled"):
        limits.check_limits()
