"""Anchored regions are where the content marks them, however a picture was cut or turned."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from disrupt.core.hashes import (
    MAX_DISTANCE_BITS,
    MIN_LOOKUP_QUALITY,
    MIN_QUALITY,
    distances_bits,
    stack,
)
from disrupt.core.lookups import Effort
from disrupt.hashing import ImageQuery, hash_image
from disrupt.hashing.anchors import detection
from disrupt.hashing.anchors.detection import MIN_SIDE_PX, Anchors, find_anchors
from disrupt.hashing.anchors.hashes import CANDIDATES, hash_anchors
from disrupt.hashing.anchors.pages import PAGE_PX, pages
from rig.media.pictures import encode

Luma = NDArray[Any]

PHOTOS = {
    name: cv2.cvtColor(getattr(data, name)(), cv2.COLOR_RGB2GRAY) for name in ("coffee", "chelsea")
}


def aspect_of(luma: Luma) -> float:
    height, width = luma.shape
    return float(width / height)


def registered(luma: Luma) -> NDArray[np.uint8]:
    """Return the plain hashes of a picture's anchored regions, (n, 32)."""
    return hash_anchors(luma, aspect_of(luma), CANDIDATES, MIN_QUALITY)[1].hashes[:, 0]


def agreeing(stored: NDArray[np.uint8], copy: Luma, *, mirrored: bool = False) -> int:
    """Count the regions of a copy, plain or mirrored, that are near a stored one."""
    _, hashed = hash_anchors(copy, aspect_of(copy), CANDIDATES, MIN_LOOKUP_QUALITY)
    bits = distances_bits(hashed.hashes[:, int(mirrored), None], stored).min(axis=1, initial=256)
    return int((bits <= MAX_DISTANCE_BITS).sum())


def unequal(luma: Luma) -> Luma:
    height, width = luma.shape
    return luma[height // 20 : height - height // 4, width // 5 : width - width // 9]


EDITS: dict[str, Callable[[Luma], Luma]] = {
    "cut by unequal sides": unequal,
    "cut and turned": lambda luma: np.ascontiguousarray(np.rot90(unequal(luma))),
    "cut and smaller": lambda luma: cv2.resize(
        unequal(luma), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA
    ),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", PHOTOS)
def test_a_copy_shares_regions_with_the_picture_wherever_it_was_cut(name: str, edit: str) -> None:
    photo = PHOTOS[name]
    assert agreeing(registered(photo), EDITS[edit](photo)) >= 5


@pytest.mark.parametrize("name", PHOTOS)
def test_a_mirrored_copy_shares_mirrored_regions(name: str) -> None:
    photo = PHOTOS[name]
    mirrored = np.ascontiguousarray(unequal(photo)[:, ::-1])
    assert agreeing(registered(photo), mirrored, mirrored=True) >= 5
    assert agreeing(registered(photo), mirrored) == 0


@pytest.mark.parametrize("name", PHOTOS)
def test_a_cut_negative_is_found_by_its_regions_at_thorough(name: str) -> None:
    luma = PHOTOS[name]
    query = hash_image(encode(255 - unequal(luma)), effort=Effort.THOROUGH)
    assert isinstance(query, ImageQuery)
    asked = [code for code, version in query.hashes if version.anchored and version.negative]
    near = distances_bits(stack(asked)[:, None], registered(luma)).min(axis=1) <= MAX_DISTANCE_BITS
    assert near.sum() >= 5


def test_another_picture_shares_none() -> None:
    stored = registered(PHOTOS["coffee"])
    for mirrored in (False, True):
        assert agreeing(stored, PHOTOS["chelsea"], mirrored=mirrored) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 700), st.integers(5, 700), st.integers(0, 2**32 - 1))
def test_regions_lie_on_the_page_and_are_the_same_every_time(
    height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    luma = cv2.GaussianBlur(rng.integers(0, 256, (height, width), np.uint8), (0, 0), 3)
    page = pages(luma, aspect_of(luma))
    x, y, side, angle = anchors = find_anchors(page)
    if not page:
        assert not len(x)
        return
    corners = corners_of(anchors)
    assert (corners > -1e-6).all()
    assert (corners < np.array(page[0].shape[::-1]) + 1e-6).all()
    assert (side >= MIN_SIDE_PX).all()
    assert max(page[0].shape) == PAGE_PX
    again = find_anchors(pages(luma, aspect_of(luma)))
    for column, same in zip((x, y, side, angle), again, strict=True):
        assert np.array_equal(column, same)


def half_octave(side_px: float) -> int:
    return math.floor(2 * math.log2(side_px / PAGE_PX))


SIDES_PX = st.sampled_from([60.0, 63.9, 64.0, 90.0, 90.6, 128.0, 200.0, 256.0, 300.0, 512.0])


@given(st.lists(st.tuples(SIDES_PX, st.integers(1, 4))))
def test_the_largest_response_of_each_size_comes_first_and_the_larger_size_of_equal_rank(
    regions: list[tuple[float, int]],
) -> None:
    by_size = defaultdict(list)
    for at in sorted(range(len(regions)), key=lambda at: -regions[at][1]):
        by_size[half_octave(regions[at][0])].append(at)
    largest_first = sorted(by_size, reverse=True)
    expected = [
        by_size[size][rank]
        for rank in range(len(regions))
        for size in largest_first
        if rank < len(by_size[size])
    ]
    sides, responses = np.array(regions, np.float64).reshape(-1, 2).T
    assert detection._order(sides, responses).tolist() == expected


@pytest.mark.parametrize("name", PHOTOS)
def test_the_first_regions_of_a_photograph_take_turns_by_size(name: str) -> None:
    luma = PHOTOS[name]
    taken: Counter[int] = Counter()
    places = []
    # Of the first family alone: both photographs have more than these of it.
    for size in map(half_octave, find_anchors(pages(luma, aspect_of(luma))).side[:50]):
        places.append((taken[size], -size))
        taken[size] += 1
    assert len(taken) >= 4
    assert places == sorted(places)


def corners_of(anchors: Anchors) -> NDArray[np.float64]:
    """Return the corners of squares, (4, n, 2)."""
    x, y, side, angle = anchors
    right = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * (side / 2)[:, None]
    down = np.stack([-right[:, 1], right[:, 0]], axis=-1)
    centre = np.stack([x, y], axis=-1)
    return np.stack(
        [centre + across * right + along * down for across in (-1, 1) for along in (-1, 1)]
    )


@pytest.mark.parametrize(
    "luma",
    [
        np.full((300, 400), 7, np.uint8),
        np.zeros((1, 65_535), np.uint8),
        np.tile(np.repeat(np.array([0, 255], np.uint8), 600)[None], (20, 1)),
        np.kron(np.indices((64, 64)).sum(axis=0) % 2, np.ones((16, 16))).astype(np.uint8) * 255,
    ],
    ids=["one colour", "one row", "thin", "chessboard"],
)
def test_pictures_without_marks_of_their_own_have_no_region(luma: Luma) -> None:
    assert not len(hash_anchors(luma, aspect_of(luma), CANDIDATES, MIN_LOOKUP_QUALITY)[0].x)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_cut_copy_beside_itself_or_its_mirror_image_is_found(name: str) -> None:
    stored = registered(PHOTOS[name])
    cut = unequal(PHOTOS[name])
    for beside in (cut, cut[:, ::-1]):
        page = np.ascontiguousarray(np.concatenate([cut, beside], axis=1))
        _, hashed = hash_anchors(
            page, aspect_of(page), CANDIDATES, MIN_LOOKUP_QUALITY, most_repeats=3
        )
        bits = distances_bits(hashed.hashes[:, 0, None], stored)
        assert bits.min() <= MAX_DISTANCE_BITS


def test_noise_has_no_more_regions_than_are_hashed() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (1024, 1024), np.uint8)
    anchors, hashed = hash_anchors(noise, 1, CANDIDATES, MIN_LOOKUP_QUALITY)
    assert len(anchors.x) == len(hashed.hashes) <= CANDIDATES


def test_a_letter_on_a_plain_page_has_no_region() -> None:
    page = np.full((600, 800), 250, np.uint8)
    cv2.putText(page, "R", (240, 450), cv2.FONT_HERSHEY_SIMPLEX, 12, 10, 30, cv2.LINE_AA)
    assert len(find_anchors(pages(page, aspect_of(page))).x)
    assert not len(registered(page))
