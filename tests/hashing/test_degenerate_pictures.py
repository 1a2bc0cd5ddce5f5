"""Pictures of a single shape, whose hashes match nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.distinctiveness.shape_distance import are_degenerate
from disrupt.hashing import fingerprint_image, hash_image
from disrupt.hashing.images import distinctive, usable
from disrupt.hashing.pdq.linear import hash_dihedral, hash_luma

SIDE_PX = 400


def edge(seed: int) -> NDArray[np.uint8]:
    """Draw a bright half and a dark one, at any angle."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX] / SIDE_PX - 0.5
    angle = rng.uniform(0.2, 1.3)
    across = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.3, 0.3)
    luma = 128 + 100 * np.tanh(across / 0.02) + rng.normal(0, 2, across.shape)
    return np.asarray(luma.clip(0, 255), np.uint8)


@pytest.mark.parametrize("seed", range(1, 5))
def test_it_is_neither_registered_nor_looked_up_as_a_whole(seed: int) -> None:
    luma = edge(seed)
    hashed = hash_luma(luma)
    assert usable(hashed)
    assert not distinctive(hashed)
    file = cv2.imencode(".png", luma)[1].tobytes()
    for outcome in (fingerprint_image(file), hash_image(file, effort=Effort.FAST)):
        assert isinstance(outcome, LowQuality)
        assert "regular" in outcome.advice


@pytest.mark.parametrize("seed", range(1, 5))
def test_all_its_versions_are_degenerate(seed: int) -> None:
    hashes = hash_dihedral(edge(seed)).hashes
    assert are_degenerate(hashes).tolist() == [True] * 8


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_photographs_are_distinctive(name: str) -> None:
    luma = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY)
    assert distinctive(hash_dihedral(luma)).all()
