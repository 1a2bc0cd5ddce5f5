"""The distance at which hashes of pictures match, by what these show. Matching applies it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from disrupt.core.media import MediaKind
from disrupt.core.policy import Scope
from disrupt.distinctiveness.concentration import (
    CONCENTRATED_BITS,
    LEAST_BITS,
    draw_outlines,
    most_bits,
)
from disrupt.distinctiveness.nearness import are_circles, near_enough
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.index.columns import ENTRY, ITEM, NearestHits, gather

SIDE_PX = 512


def circle(seed: int) -> NDArray[np.uint8]:
    """Draw a noisy circle, filled or as an outline, a good part of which is in the picture."""
    rng = np.random.default_rng(seed)
    luma = np.full((SIDE_PX, SIDE_PX), rng.integers(0, 100), np.uint8)
    centre, radius = rng.uniform(0, SIDE_PX, 2), rng.uniform(0.25, 0.7) * SIDE_PX
    width = -1 if seed % 2 else int(rng.integers(15, 30))
    cv2.circle(luma, centre.astype(int).tolist(), int(radius), int(rng.integers(150, 256)), width)
    return np.clip(luma + rng.normal(0, 2, luma.shape), 0, 255).astype(np.uint8)


def test_circles_are_told() -> None:
    hashes = np.stack([hash_luma(circle(seed)).hashes for seed in range(40)])
    assert are_circles(hashes).sum() >= 32
    assert (most_bits(hashes) > CONCENTRATED_BITS).sum() >= 3, "concentration alone tells"
    assert (are_circles(~hashes) == are_circles(hashes)).all(), "negatives"


@pytest.mark.parametrize(
    ("stretch", "radii", "width"),
    [
        (0.8, (0.3, 0.5), -1),
        (1, (0.3, 0.5), -1),
        (1.2, (0.3, 0.5), -1),
        (1, (0.17, 0.25), -1),
        (1, (0.3, 0.5), 22),
    ],
)
def test_discs_and_rings_on_plain_pages_are_told(
    stretch: float, radii: tuple[float, float], width: int
) -> None:
    rng = np.random.default_rng(5)
    drawn = []
    for _ in range(20):
        luma = np.full((SIDE_PX, SIDE_PX), 20, np.uint8)
        centre, radius = rng.uniform(0.4, 0.6, 2) * SIDE_PX, rng.uniform(*radii) * SIDE_PX
        axes = [int(radius * stretch**0.5), int(radius / stretch**0.5)]
        cv2.ellipse(luma, centre.astype(int).tolist(), axes, 0, 0, 360, 230, width, cv2.LINE_AA)
        drawn.append(hash_luma(luma).hashes)
    hashes = np.stack(drawn)
    assert are_circles(hashes).sum() >= 17
    assert (most_bits(hashes) > CONCENTRATED_BITS).sum() >= 2, "concentration alone tells"


@pytest.mark.parametrize("width", [-1, 22])
def test_arcs_of_circles_larger_than_the_picture_are_told(width: int) -> None:
    rng = np.random.default_rng(6)
    arcs = []
    for _ in range(20):
        luma = np.full((SIDE_PX, SIDE_PX), 20, np.uint8)
        radius = rng.uniform(0.9, 1.8) * SIDE_PX
        across, down = rng.uniform(0.2, 0.8) * SIDE_PX, rng.uniform(0.4, 0.7) * SIDE_PX + radius
        cv2.circle(luma, (int(across), int(down)), int(radius), 230, width, cv2.LINE_AA)
        arcs.append(hash_luma(luma).hashes)
    assert are_circles(np.stack(arcs)).sum() >= 17


def test_photographs_and_their_quarters_are_no_circles() -> None:
    hashes = []
    for name in ("astronaut", "chelsea"):  # a quarter of coffee is a circle: the rim of the cup
        luma = cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY)
        down, across = luma.shape[0] // 2, luma.shape[1] // 2
        quarters = [luma[top:, left:][:down, :across] for top in (0, down) for left in (0, across)]
        hashes += [hash_luma(np.ascontiguousarray(pixels)).hashes for pixels in (luma, *quarters)]
    assert not are_circles(np.stack(hashes)).any()


def test_random_hashes_are_no_circles() -> None:
    hashes = np.random.default_rng(2).integers(0, 256, (2000, 32), np.uint8)
    assert not are_circles(hashes).any()
    assert draw_outlines(hashes).mean() < 0.04, "few are compared"


def test_nothing_asked_is_nothing_answered() -> None:
    assert are_circles(np.empty((0, 32), np.uint8)).shape == (0,)


@given(st.integers(0, 2**32 - 1), st.sampled_from([None, *MediaKind]))
def test_what_is_kept_is_near_enough_for_its_hash(seed: int, spared: MediaKind | None) -> None:
    rng = np.random.default_rng(seed)
    plain, little, disc = (hash_luma(pixels).hashes for pixels in (noise(rng), corner(), circle(1)))
    queries = np.stack([plain, little, disc])
    most = [31, most_bits(queries)[1], LEAST_BITS]
    assert CONCENTRATED_BITS >= most[1] > LEAST_BITS
    query = np.sort(rng.integers(0, 3, 12, np.uint32))
    entries, items = np.zeros(12, ENTRY), np.zeros(12, ITEM)
    items["number"], items["kind"] = np.arange(12), rng.integers(1, 3, 12)
    distance = rng.integers(0, 32, 12, np.uint16)
    near = NearestHits(gather(query, distance, entries, items), np.arange(3, dtype=np.uint32))
    kept = near_enough(near, queries, Scope({0: 31}), spared)
    expected = [
        at
        for at in range(12)
        if distance[at] <= most[query[at]] or (spared and items["kind"][at] == spared)
    ]
    assert kept.hits.number.tolist() == expected
    # Hits beyond the truncation are farther than those dropped as too far.
    dropped = {query[at] for at in range(12) if at not in expected}
    assert kept.truncated.tolist() == [at for at in range(3) if at not in dropped]


def noise(rng: np.random.Generator) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(rng.integers(0, 256, (16, 16), np.uint8), (SIDE_PX, SIDE_PX)))


def corner() -> NDArray[np.uint8]:
    luma = np.full((SIDE_PX, SIDE_PX), 230, np.uint8)
    cv2.line(luma, (100, 400), (300, 80), 20, 16)
    cv2.line(luma, (300, 80), (450, 480), 20, 16)
    return luma
