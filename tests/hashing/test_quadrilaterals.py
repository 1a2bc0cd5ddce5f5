"""Tilted and turned pictures are found on plain pages, straightened, and looked up in bounds."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from disrupt.core.lookups import LOOKUP_CROPS, Effort
from disrupt.core.transforms import Dihedral
from disrupt.hashing import ImageQuery, hash_image, lookup
from disrupt.hashing.lookup import MAX_NEGATIVES, MAX_PARTS
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.regions.quadrilaterals import find_quadrilaterals, straightened
from rig.media.pictures import encode, nearest, query_of, stored_hashes

PHOTOS = {
    name: np.asarray(Image.fromarray(getattr(data, name)()).convert("L"))
    for name in ("astronaut", "coffee", "chelsea")
}
CORNERS = np.array([[0.18, 0.14], [0.86, 0.2], [0.8, 0.88], [0.12, 0.8]])
"""Where a picture is shown on the page, as shares of the page."""


def tilted(photo: NDArray[np.uint8], level: int, corners: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Show a photograph on a plain page."""
    height, width = photo.shape
    wide, high = round(1.4 * width), round(1.4 * height)
    upright = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    places = (corners * (wide, high)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(upright, places)
    page = np.full((high, wide), level, np.uint8)
    shown = cv2.warpPerspective(photo, matrix, (wide, high))
    cover = cv2.warpPerspective(np.full_like(photo, 255), matrix, (wide, high)) > 127
    page[cover] = np.asarray(shown)[cover]
    return page


@pytest.mark.parametrize("level", [40, 120, 255])
@pytest.mark.parametrize("name", PHOTOS)
def test_corners_of_a_tilted_picture_are_found_to_a_hundredth(name: str, level: int) -> None:
    page = tilted(PHOTOS[name], level, CORNERS)
    errors = [
        np.abs(np.reshape(corners, (4, 2)) / 1000 - CORNERS).max()
        for corners in find_quadrilaterals(page, 2)
    ]
    assert min(errors) <= 0.01


@pytest.mark.parametrize("name", PHOTOS)
def test_a_straightened_picture_is_the_picture(name: str) -> None:
    page = tilted(PHOTOS[name], 128, CORNERS)
    straight = straightened(page, tuple(np.rint(CORNERS.ravel() * 1000).astype(int).tolist()))
    first, second = (
        hash_luma(cv2.resize(luma, (512, 512), interpolation=cv2.INTER_AREA))  # type: ignore[arg-type]
        for luma in (PHOTOS[name], straight)
    )
    assert np.bitwise_count(first.hashes ^ second.hashes).sum() <= 16


@pytest.mark.parametrize("name", PHOTOS)
def test_a_copy_that_is_tilted_on_a_page_matches_and_its_transform_says_where(name: str) -> None:
    query = query_of(encode(tilted(PHOTOS[name], 200, CORNERS), "JPEG"))
    bits, version = nearest(query, stored_hashes(encode(PHOTOS[name], "JPEG")))
    assert bits <= 31
    assert np.abs(np.reshape(version.corners, (4, 2)) / 1000 - CORNERS).max() <= 0.02


def test_neither_useless_nor_many_crops_leave_straightened_pictures_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = encode(tilted(PHOTOS["coffee"], 200, CORNERS))
    query = query_of(page, effort=Effort.THOROUGH)
    upright = [version for _, version in query.hashes if not (version.dihedral or version.negative)]
    assert upright[-1].corners
    monkeypatch.setattr(lookup, "MAX_PARTS", len(Dihedral) * len(upright))
    assert hash_image(page, effort=Effort.THOROUGH) == query
    monkeypatch.setattr(lookup, "MAX_PARTS", len(Dihedral) * len(upright) // 2)
    bounded = query_of(page, effort=Effort.THOROUGH)
    assert any(version.corners for _, version in bounded.hashes)


def test_upright_pictures_and_plain_pages_are_no_candidates() -> None:
    photo = PHOTOS["coffee"]
    assert find_quadrilaterals(np.pad(photo, 80, constant_values=255), 2) == []
    assert find_quadrilaterals(np.full((600, 800), 120, np.uint8), 2) == []


def hostile() -> dict[str, NDArray[np.uint8]]:
    rng = np.random.default_rng(3)
    lines = np.full((2000, 2000), 255, np.uint8)
    for start, stop in rng.integers(0, 2000, (3000, 2, 2)):
        cv2.line(lines, start.tolist(), stop.tolist(), int(rng.integers(256)), 1)
    nested = np.full((1500, 1500), 255, np.uint8)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 700
    for at in range(40):
        turn = np.array([[np.cos(at), -np.sin(at)], [np.sin(at), np.cos(at)]])
        corners = (square * 0.93**at @ turn + 750).astype(np.int32)
        cv2.fillPoly(nested, [corners], int(rng.integers(256)))
    cells = rng.integers(0, 256, (10, 10, 100, 100), np.uint8)
    return {
        "thousands of lines": lines,
        "quadrilaterals within quadrilaterals": nested,
        "a grid of 100 cells": cells.swapaxes(1, 2).reshape(1000, 1000),
        "a frame of one colour": np.pad(np.full((700, 900), 90, np.uint8), 60),
        "one line of pixels": rng.integers(0, 256, (1, 20_000), np.uint8),
        "chessboard": np.kron(np.indices((40, 40)).sum(axis=0) % 2, np.ones((25, 25))).astype(
            np.uint8
        )
        * 255,
    }


@pytest.mark.parametrize("name", hostile())
def test_pages_that_look_like_many_pictures_cost_bounded_hashes(name: str) -> None:
    page = hostile()[name]
    for effort in (Effort.STANDARD, Effort.THOROUGH):
        wanted = LOOKUP_CROPS[effort]
        assert len(find_quadrilaterals(page, wanted.tilted)) <= wanted.tilted
        query = hash_image(encode(page), effort=effort)
        if isinstance(query, ImageQuery):
            assert len(query.hashes) <= MAX_PARTS + MAX_NEGATIVES + 16
