from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.hashing import fingerprint_image, hash_image
from disrupt.hashing.crops import hash_crops_dihedral
from disrupt.hashing.pdq import hash_dihedral, hash_luma
from disrupt.hashing.products import MIN_PRODUCT_BITS, product_bits


def planted(flips: int, rng: np.random.Generator) -> NDArray[np.bool]:
    column, row = rng.random((16, 1)) < 0.5, rng.random((1, 16)) < 0.5
    bits = (column ^ row).ravel()
    bits[rng.permutation(256)[:flips]] ^= True
    return bits.reshape(16, 16)


@pytest.mark.parametrize("flips", [0, 1, 16, 31])
def test_a_product_is_found_behind_as_many_flipped_bits_as_a_match_allows(flips: int) -> None:
    rng = np.random.default_rng(flips)
    every = np.array([planted(flips, rng) for _ in range(200)])
    assert set(product_bits(every).tolist()) == {flips}
    assert product_bits(every[0]) == flips


def test_random_hashes_are_far_from_every_product() -> None:
    bits = np.random.default_rng(1).random((2000, 16, 16)) < 0.5
    assert product_bits(bits).min() >= 2 * MIN_PRODUCT_BITS


def curtains(seed: int) -> NDArray[np.uint8]:
    """Lights and shadows along both axes that nothing else crosses, and a camera's noise."""
    rng = np.random.default_rng(seed)
    column, row = (np.repeat(rng.uniform(-1, 1, 20), 20) for _ in range(2))
    luma = 128 + 110 * np.outer(column, row) + rng.normal(0, 2, (400, 400))
    return luma.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_of_a_row_and_a_column_is_neither_registered_nor_looked_up(seed: int) -> None:
    luma = curtains(seed)
    hashed = hash_luma(luma)
    assert hashed.qualities == 100
    assert hashed.undecided_bits < 30
    data = cv2.imencode(".png", luma)[1].tobytes()
    for outcome in (fingerprint_image(data), hash_image(data, effort=Effort.FAST)):
        assert isinstance(outcome, LowQuality)
        assert "regular" in outcome.advice
    for versions in (hash_dihedral(luma), hash_crops_dihedral(luma, [(40, 0, 0, 0)])[0]):
        assert versions.product_bits.shape == (8,)
        assert versions.product_bits.max() < MIN_PRODUCT_BITS
