from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.fft import idctn
from skimage import data

from disrupt.distinctiveness.concentration import concentration, most_bits
from disrupt.hashing.pdq.linear import hash_luma

SIDE_PX = 256


def test_it_is_the_kurtosis_of_the_inverse_transform() -> None:
    bits = np.random.default_rng(1).random((20, 16, 16)) < 0.5
    bits[0] = True
    coefficients = np.zeros((20, 32, 32))
    coefficients[:, 1:17, 1:17] = np.where(bits, 1, -1)
    drawn = idctn(coefficients, axes=(1, 2), norm="ortho")
    expected = (drawn**4).mean((1, 2)) / (drawn**2).mean((1, 2)) ** 2
    assert concentration(bits) == pytest.approx(expected, rel=1e-4)
    assert concentration(bits.mT) == pytest.approx(expected, rel=1e-4)


def test_random_hashes_keep_the_distance() -> None:
    most = most_bits(np.random.default_rng(2).integers(0, 256, (5000, 32), np.uint8))
    assert (most == 31).mean() > 0.995


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_photographs_keep_the_distance(name: str) -> None:
    luma = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY)
    assert most_bits(hash_luma(luma).hashes[None]).tolist() == [31]


def test_the_limits_are_those_published() -> None:
    rng = np.random.default_rng(4)
    bits = np.zeros((4000, 16, 16), np.bool)
    for at, row in enumerate(bits.reshape(-1, 256)):
        row[rng.permutation(256)[: at % 128]] = True
    hashes = np.packbits(bits.reshape(-1, 256)[:, ::-1], axis=1)
    concentrations, most = concentration(bits), most_bits(hashes)
    limits = [(0, 4.8, 31), (4.8, 6, 28), (6, 9, 24), (9, 16, 18), (16, 417, 12)]
    for least, below, limit in limits:
        between = (concentrations >= least) & (concentrations < below)
        assert between.sum() > 50
        assert (most[between] == limit).all()


def page() -> NDArray[np.uint8]:
    noise = np.random.default_rng(3).normal(60, 1, (SIDE_PX, SIDE_PX))
    return noise.astype(np.uint8)


def arc() -> NDArray[np.uint8]:
    return np.asarray(cv2.circle(page(), (300, 280), 190, 200, -1), np.uint8)


def corner() -> NDArray[np.uint8]:
    return np.asarray(cv2.rectangle(page(), (90, 70), (400, 400), 200, -1), np.uint8)


@pytest.mark.parametrize(("draw", "most"), [(arc, 24), (corner, 12)])
def test_one_outline_has_to_be_nearer(draw: Callable[[], NDArray[np.uint8]], most: int) -> None:
    hashed = hash_luma(draw())
    assert hashed.qualities >= 20
    assert most_bits(hashed.hashes[None])[0] <= most


def test_nothing_asked_is_nothing_answered() -> None:
    assert most_bits(np.empty((0, 32), np.uint8)).shape == (0,)
