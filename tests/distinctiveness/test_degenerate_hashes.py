from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.core.transforms import Dihedral
from disrupt.distinctiveness.degenerate_hashes import are_shapes, line_bits, product_bits
from disrupt.hashing import fingerprint_image, hash_image
from disrupt.hashing.images import first_usable
from disrupt.hashing.pdq.linear import hash_dihedral, hash_luma
from disrupt.hashing.regions.crops import hash_crops_dihedral

SIDE_PX = 400


def planted(flips: int, rng: np.random.Generator) -> NDArray[np.bool]:
    """Return the signs of a column times a row, some of the bits flipped."""
    bits = np.outer(rng.uniform(-1, 1, 16), rng.uniform(-1, 1, 16)).ravel() > 0
    bits[rng.permutation(256)[:flips]] ^= True
    return bits.reshape(16, 16)


@pytest.mark.parametrize("flips", [0, 1, 16, 40])
def test_a_product_is_found_behind_flipped_bits(flips: int) -> None:
    rng = np.random.default_rng(flips)
    every = np.array([planted(flips, rng) for _ in range(200)])
    assert product_bits(every).max() == flips
    assert are_shapes(every).all()


def test_random_hashes_are_no_shapes_and_far_from_them() -> None:
    bits = np.random.default_rng(1).random((2000, 16, 16)) < 0.5
    assert product_bits(bits).min() >= 64
    assert line_bits(bits).min() >= 80
    assert not are_shapes(bits).any()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_photographs_are_no_shapes(name: str) -> None:
    luma = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY)
    parts = [(0, 0, 0, 0), (40, 0, 40, 0), (0, 120, 60, 60), (250, 250, 250, 250)]
    assert not hash_crops_dihedral(luma, parts).shapes.any()
    assert not hash_dihedral(luma).shapes.any()


def noisy(luma: NDArray[np.float64], seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, 2, luma.shape)
    return (luma + noise).clip(0, 255).astype(np.uint8)


def curtains(seed: int) -> NDArray[np.uint8]:
    """Draw lights and shadows along both axes that nothing else crosses."""
    rng = np.random.default_rng(seed)
    column, row = (np.repeat(rng.uniform(-1, 1, 20), SIDE_PX // 20) for _ in range(2))
    return noisy(128 + 110 * np.outer(column, row), seed)


def edge(seed: int) -> NDArray[np.uint8]:
    """Draw a bright half and a dark one, at any angle."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX] / SIDE_PX - 0.5
    angle = rng.uniform(0.2, 1.3)
    across = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.3, 0.3)
    return noisy(128 + 100 * np.tanh(across / 0.02), seed)


@pytest.mark.parametrize("make", [curtains, edge])
@pytest.mark.parametrize("seed", range(4))
def test_a_shape_is_neither_registered_nor_looked_up(
    make: type[NDArray[np.uint8]], seed: int
) -> None:
    luma = make(seed)
    hashed = hash_luma(luma)
    assert hashed.qualities >= 50
    assert hashed.undecided_bits <= 63
    file = cv2.imencode(".png", luma)[1].tobytes()
    for outcome in (fingerprint_image(file), hash_image(file, effort=Effort.FAST)):
        assert isinstance(outcome, LowQuality)
        assert "regular" in outcome.advice
    for versions in (hash_dihedral(luma), hash_crops_dihedral(luma, [(40, 0, 0, 0)])[0]):
        assert versions.shapes.shape == (8,)
        assert versions.shapes.all()


def blotched(seed: int) -> NDArray[np.uint8]:
    """Draw an edge behind blotches, with a degenerate hash in some of its versions only."""
    blotches = np.random.default_rng(seed).normal(0, 4, (24, 24))
    size = SIDE_PX, SIDE_PX
    over = cv2.resize(blotches, size, interpolation=cv2.INTER_CUBIC)
    return (0.8 * edge(seed) + 25 + over).clip(0, 255).astype(np.uint8)


def turned(luma: NDArray[np.uint8], dihedral: Dihedral) -> NDArray[np.uint8]:
    mirrored, quarters = divmod(dihedral, 4)
    return np.ascontiguousarray(np.rot90(luma[:, ::-1] if mirrored else luma, -quarters))


@pytest.mark.parametrize("seed", [16, 27, 28, 33])
def test_each_version_is_judged_as_the_turned_picture_is(seed: int) -> None:
    luma = blotched(seed)
    verdicts = [bool(hash_luma(turned(luma, dihedral)).shapes) for dihedral in Dihedral]
    assert 0 < sum(verdicts) < 8
    assert hash_dihedral(luma).shapes.tolist() == verdicts
    assert not first_usable(hash_dihedral(luma), 50).shapes


def test_a_picture_is_looked_up_by_the_versions_that_are_no_shapes() -> None:
    luma = blotched(16)
    shapes = hash_dihedral(luma).shapes
    assert shapes[Dihedral.IDENTITY]
    query = hash_image(cv2.imencode(".png", luma)[1].tobytes())
    assert not isinstance(query, LowQuality)
    whole = [transform.dihedral for _, transform in query.hashes if transform.crop == (0, 0, 0, 0)]
    assert set(whole) == set(np.flatnonzero(~shapes).tolist())
