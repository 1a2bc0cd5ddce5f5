"""Pictures of a single shape, whose hashes match nothing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from disrupt.core.hashes import distances_bits, stack
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.distinctiveness.limits import limits_bits
from disrupt.distinctiveness.shape_distance import are_degenerate
from disrupt.hashing import ImageFingerprints, ImageQuery, fingerprint_image, hash_image
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.selection import distinctive, usable
from rig.media.pictures import query_of

SIDE_PX = 400

NEAR_SHAPES = (
    *((73, 4), (64, 2), (67, 5), (36, 2), (172, 5), (44, 3), (113, 2)),
    *((177, 3), (89, 6), (106, 2), (181, 8), (25, 4)),
)
"""Seeds and lumps of scenes 45 to 57 bits from a shape."""


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


def scene(seed: int, lumps: float) -> NDArray[np.uint8]:
    """Draw an edge, and over it lumps and noise: the stronger, the farther from all shapes."""
    rng = np.random.default_rng(seed)
    height, width = 1200, 1600
    y, x = np.mgrid[0:height, 0:width]
    y, x = y / height - 0.5, x / width - 0.5
    angle = rng.uniform(0.2, 1.3)
    across = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.3, 0.3)
    coarse = rng.normal(0, lumps, (12, 16)).astype(np.float32)
    texture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    luma = (128 + 80 * np.tanh(across / 0.02) + texture).clip(0, 255).astype(np.uint8)
    noise = np.random.default_rng(seed).normal(0, 40, luma.shape)
    return np.asarray((luma + noise).clip(0, 255), np.uint8)


def finds(query: ImageQuery, registered: ImageFingerprints) -> bool:
    looked_up = stack(pdq_hash for pdq_hash, _ in query.hashes)
    stored = stack(fingerprint.hash for fingerprint in registered.fingerprints)
    nearest = distances_bits(looked_up[:, None], stored).min(axis=1)
    return bool((nearest <= limits_bits(looked_up)).any())


def test_a_registered_picture_finds_itself() -> None:
    found = []
    for seed, lumps in NEAR_SHAPES:
        encoded = cv2.imencode(".jpg", scene(seed, lumps), [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
        registered = fingerprint_image(encoded.tobytes())
        if isinstance(registered, LowQuality):
            assert registered.is_too_regular
            continue
        query = query_of(encoded.tobytes(), effort=Effort.FAST)
        found.append(finds(query, registered))
    assert all(found)
    assert 0 < len(found) < len(NEAR_SHAPES)


def test_parts_of_a_picture_of_one_shape_are_looked_up_unless_they_are_of_one_too() -> None:
    page = cv2.resize(scene(20, 2), (800, 600), interpolation=cv2.INTER_AREA)
    file = cv2.imencode(".png", page)[1].tobytes()
    assert isinstance(hash_image(file, effort=Effort.FAST), LowQuality)
    query = query_of(file)
    upright = [pdq_hash for pdq_hash, version in query.hashes if version.dihedral == 0]
    assert not are_degenerate(stack(upright)).any()
