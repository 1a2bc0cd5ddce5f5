"""Tilted and turned pictures are found on plain pages, straightened, and looked up in bounds."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from benchmarks.harness.costly_pages import COSTLY_PAGES
from disrupt.core.lookups import LOOKUP_CROPS, Effort
from disrupt.core.media import LowQuality
from disrupt.hashing import ImageQuery, fingerprint_image, hash_image
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.queries import MAX_NEGATIVES, MAX_PARTS
from disrupt.hashing.regions.quadrilaterals import find_quadrilaterals, straightened

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


def encoded(pixels: NDArray[np.uint8], form: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


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


@pytest.mark.slow
@pytest.mark.parametrize("name", PHOTOS)
def test_a_copy_that_is_tilted_on_a_page_matches_and_its_transform_says_where(name: str) -> None:
    registered = fingerprint_image(encoded(PHOTOS[name]))
    query = hash_image(encoded(tilted(PHOTOS[name], 200, CORNERS)))
    assert not isinstance(registered, LowQuality)
    assert isinstance(query, ImageQuery)
    nearest, version = min(
        (asked.distance_bits(stored.hash), version)
        for asked, version in query.hashes
        for stored in registered.fingerprints
    )
    assert nearest <= 31
    assert np.abs(np.reshape(version.corners, (4, 2)) / 1000 - CORNERS).max() <= 0.02


def test_upright_pictures_and_plain_pages_are_no_candidates() -> None:
    photo = PHOTOS["coffee"]
    assert find_quadrilaterals(np.pad(photo, 80, constant_values=255), 2) == []
    assert find_quadrilaterals(np.full((600, 800), 120, np.uint8), 2) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", COSTLY_PAGES)
def test_pages_that_look_like_many_pictures_cost_bounded_hashes(name: str) -> None:
    page = COSTLY_PAGES[name]()
    for effort in (Effort.STANDARD, Effort.THOROUGH):
        wanted = LOOKUP_CROPS[effort]
        assert len(find_quadrilaterals(page, wanted.tilted)) <= wanted.tilted
        query = hash_image(encoded(page, "PNG"), effort=effort)
        if isinstance(query, ImageQuery):
            assert len(query.hashes) <= MAX_PARTS + MAX_NEGATIVES + 16
