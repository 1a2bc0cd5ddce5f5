"""Pictures on pages, on screens and in collages are located exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from skimage.data import data_dir

from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import LOOKUP_CROPS, Effort
from disrupt.core.media import LowQuality
from disrupt.core.transforms import Dihedral, Transform
from disrupt.hashing import hash_image
from disrupt.hashing.anchors.hashes import CANDIDATES
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.decoding.pixels import oriented
from disrupt.hashing.lookup import MAX_NEGATIVES, MAX_PARTS
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.pdq.luma import area_average
from disrupt.hashing.regions.detection import Region, find_regions, reduction
from rig.media.edits import EDITS, GROUPS, Scene, upload
from rig.media.layouts import BLACK, WHITE, Pixels, text_bar
from rig.media.pictures import encode, nearest, query_of

PHOTOS = [
    np.asarray(ImageOps.contain(Image.open(f"{data_dir}/{name}").convert("RGB"), (900, 900)))
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
]
MARK = (255, 0, 255)
MOST = LOOKUP_CROPS[Effort.STANDARD].regions


def scene(pixels: Pixels, seed: int) -> Scene:
    backgrounds = [photo for photo in PHOTOS if photo is not pixels]
    rng = np.random.default_rng(seed)
    return Scene(pixels, rng, lambda: backgrounds[rng.integers(len(backgrounds))])


def truth(edit: Callable[[Scene], tuple[Pixels, float]], example: Scene) -> Region:
    """Return where an edit puts the picture, found by a colour that nothing else has."""
    marked = np.empty_like(example.pixels)
    marked[:] = MARK
    page = edit(replace(example, pixels=marked))[0]
    there = (page == MARK).all(axis=-1)
    rows, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
    height, width = there.shape
    return Region(
        columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height
    )


def error(region: Region, true: Region) -> float:
    """Return the largest error of a side, as a share of the picture's width or height."""
    wide, high = true.right - true.left, true.bottom - true.top
    sizes = (wide, high, wide, high)
    return max(
        abs(edge - true_edge) / size
        for edge, true_edge, size in zip(region[:4], true[:4], sizes, strict=True)
    )


@pytest.mark.parametrize("name", [*GROUPS["border"], *GROUPS["screen"]])
def test_the_picture_is_among_the_regions_to_a_percent(name: str) -> None:
    edit = EDITS[name][1]
    exact = []
    photos = PHOTOS[:2] if name == "story" else PHOTOS  # wide blurs are slow
    for seed, pixels in enumerate(photos):
        data, _ = upload(edit, scene(pixels, seed))
        luma = decode(data, scaled=True).page()
        true = truth(edit, scene(pixels, seed))
        regions = find_regions(luma, MOST)
        assert len(regions) <= MOST
        exact.append(min((error(region, true) for region in regions), default=1.0) <= 0.01)
    assert sum(exact) >= len(photos) - 1, exact


@pytest.mark.parametrize("level", [0, 16, 150])
def test_a_side_along_which_a_sky_steps_by_two_levels_only_is_found(level: int) -> None:
    for photo in PHOTOS[1:]:
        dim = np.asarray(Image.fromarray(photo).convert("L")) // 4 + level
        height, width = dim.shape
        dim[: height // 3] = level + 2
        page = np.full((height + 200, width + 160), level, np.uint8)
        page[100:-100, 80:-80] = dim
        wide, high = 80 / page.shape[1], 100 / page.shape[0]
        true = Region(wide, high, 1 - wide, 1 - high)
        assert min(error(region, true) for region in find_regions(page, MOST)) <= 0.01


def test_a_page_without_a_picture_has_no_region_and_one_of_text_no_certain_one() -> None:
    for paper, ink in ((BLACK, WHITE), (WHITE, BLACK)):
        plain = np.full((900, 600), paper[0], np.uint8)
        assert find_regions(plain, MOST) == []
        text = text_bar(900, 600, np.random.default_rng(1), ink, paper, lines=12)
        regions = find_regions(text[..., 0], MOST)
        assert not any(region.certain for region in regions)


@pytest.mark.parametrize("gutter", [0, 8])
@pytest.mark.parametrize(("rows", "columns"), [(2, 3), (3, 3), (4, 4), (1, 4)])
def test_cells_of_an_even_grid_are_found_all_of_them(rows: int, columns: int, gutter: int) -> None:
    high, wide = 300, 400
    page = np.full(
        (rows * (high + gutter) + gutter, columns * (wide + gutter) + gutter), 255, np.uint8
    )
    true = []
    for at in range(rows * columns):
        photo = Image.fromarray(PHOTOS[at % len(PHOTOS)]).convert("L").resize((wide, high))
        row, column = divmod(at, columns)
        top, left = gutter + row * (high + gutter), gutter + column * (wide + gutter)
        page[top : top + high, left : left + wide] = np.asarray(photo)
        height, width = page.shape
        true.append(
            Region(left / width, top / height, (left + wide) / width, (top + high) / height)
        )
    regions = find_regions(page, MOST)
    for cell in true:
        assert min(error(region, cell) for region in regions) <= 0.015


@pytest.mark.parametrize("effort", [Effort.STANDARD, Effort.THOROUGH])
def test_a_negative_is_looked_up_by_the_complement_of_what_it_is_negative_of(
    effort: Effort,
) -> None:
    for photo in PHOTOS:
        query = query_of(encode(255 - photo), effort=effort)
        expected = query_of(encode(photo), effort=Effort.FAST)
        bits, version = nearest(query, [wanted for wanted, _ in expected.hashes])
        assert bits <= 12
        assert version.negative
        assert not version.dihedral


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (900, 3), (70, 80), (64, 64), (2000, 40)])
def test_any_size_of_picture_is_looked_at(shape: tuple[int, int]) -> None:
    luma = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    for region in find_regions(luma, MOST):
        assert 0 <= region.left < region.right <= 1
        assert 0 <= region.top < region.bottom <= 1


def shown(luma: NDArray[np.uint8], transform: Transform) -> NDArray[np.uint8]:
    """Return the pixels that a transform describes, averaged to 512x512."""
    pixels = oriented(luma, transform.dihedral)
    height, width = pixels.shape
    left, top, right, bottom = transform.crop
    part = pixels[
        round(height * top / 1000) : height - round(height * bottom / 1000),
        round(width * left / 1000) : width - round(width * right / 1000),
    ]
    if transform.anchored:
        part = squared(pixels, transform)
    averaged = area_average(lambda first, last: part[first:last], part.shape[1], part.shape[0])
    if transform.gamma_permille:
        averaged = np.rint(255 * (averaged / 255) ** (transform.gamma_permille / 1000))
        averaged = averaged.astype(np.uint8)
    return 255 - averaged if transform.negative else averaged


def squared(pixels: NDArray[np.uint8], transform: Transform) -> NDArray[np.uint8]:
    """Return the square of pixels that an anchored region is, set upright."""
    height, width = pixels.shape
    left, top, right, bottom = (each / 1000 for each in transform.crop)
    radians = math.radians(-transform.rotation_millidegrees / 1000)
    cosine, sine = math.cos(radians), math.sin(radians)
    side = width * (1 - left - right) / (abs(cosine) + abs(sine)) / 512
    x, y = width * (1 + left - right) / 2, height * (1 + top - bottom) / 2
    turn = np.array([[cosine, -sine], [sine, cosine]]) * side
    corner = np.array([x, y]) - 0.5 - turn @ (256, 256) + turn @ (0.5, 0.5)
    matrix = np.column_stack([turn, corner])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(pixels, matrix, (512, 512), flags=flags), np.uint8)


@pytest.mark.parametrize("effort", [Effort.STANDARD, Effort.THOROUGH])
def test_every_version_is_the_hash_of_the_pixels_that_its_transform_names(effort: Effort) -> None:
    page = np.full((1300, 1000), 255, np.uint8)
    page[260:1040, 130:870] = np.asarray(
        Image.fromarray(PHOTOS[0]).convert("L").resize((740, 780), Image.Resampling.BICUBIC)
    )
    query = query_of(encode(page), effort=effort)
    transforms = {transform: hash_ for hash_, transform in query.hashes}
    assert len(transforms) == len(query.hashes)
    screens = {
        candidate
        for candidate in transforms
        if candidate.crop in {(130, 200, 130, 200), (200, 130, 200, 130)}
    }
    assert {screen.dihedral for screen in screens} == set(Dihedral)
    distances: dict[bool, list[int]] = {False: [], True: []}
    for transform, hash_ in list(transforms.items())[::7]:
        hashed = hash_luma(shown(page, transform))
        of_kind = distances[transform.anchored]
        of_kind.append(hash_.distance_bits(PdqHash(hashed.hashes.tobytes())))
    assert np.quantile(distances[False], 0.9) <= 12
    assert len(distances[True]) >= 20
    assert max(distances[True]) <= 31
    assert max(distances[False]) <= 31, "a thousandth of the page is much of its smallest parts"


def test_crops_are_looked_up_of_what_is_likely_the_picture_and_of_all_with_more_effort() -> None:
    plain = encode(PHOTOS[1])
    framed = encode(np.pad(PHOTOS[1], ((90, 90), (60, 60), (0, 0)), constant_values=255))
    counts = {}
    for name, data in (("plain", plain), ("framed", framed)):
        for effort in Effort:
            query = query_of(data, effort=effort)
            counts[name, effort] = len(query.hashes)
    standard, thorough = (LOOKUP_CROPS[level] for level in (Effort.STANDARD, Effort.THOROUGH))
    assert counts["plain", Effort.FAST] == counts["framed", Effort.FAST] == 1
    of_remaining = standard.regions * len(standard.remaining)
    for name, crops in (
        ("plain", len(standard.whole)),
        ("framed", len(standard.whole_if_inner_region) + len(standard.likely)),
    ):
        anchored = 2 * CANDIDATES + 8 * len(standard.gammas_permille)
        assert counts[name, Effort.STANDARD] >= 0.8 * 8 * crops
        assert counts[name, Effort.STANDARD] <= 8 * (crops + of_remaining) + anchored
    assert counts["plain", Effort.THOROUGH] >= 0.8 * 8 * len(thorough.whole)
    assert counts["framed", Effort.THOROUGH] >= 1.5 * 8 * len(thorough.whole)
    assert counts["framed", Effort.THOROUGH] <= MAX_PARTS + MAX_NEGATIVES + 8


def test_where_one_region_weighs_much_those_that_weigh_little_are_left_out() -> None:
    for photo in PHOTOS:
        framed = np.pad(photo, ((90, 90), (60, 60), (0, 0)), constant_values=255)
        assert len(find_regions(np.asarray(Image.fromarray(framed).convert("L")), MOST)) <= 3


@pytest.mark.parametrize("sides", [1, 2, 4])
def test_crops_of_the_whole_are_looked_up_where_a_region_leaves_out_one_side_only(
    sides: int,
) -> None:
    page = np.pad(PHOTOS[0], [(0, 60), (0, 0), (0, 0)], constant_values=255)
    around = [(150 * (sides > 1), 0), (100 * (sides > 2), 100 * (sides > 3)), (0, 0)]
    page = np.pad(page, around, constant_values=255)
    region = find_regions(np.asarray(Image.fromarray(page).convert("L")), MOST)[0]
    assert (region.certain, region.sides_within) == (True, sides)
    query = query_of(encode(page))
    crops = {transform.crop for _, transform in query.hashes if not transform.dihedral}
    assert (crops >= set(LOOKUP_CROPS[Effort.STANDARD].whole_if_likely_region)) == (sides == 1)


def test_a_picture_on_a_page_too_plain_to_be_told_is_found() -> None:
    page = np.full((1600, 1600), 230, np.uint8)
    small = np.asarray(Image.fromarray(PHOTOS[2]).convert("L").resize((420, 320))) // 3 + 100
    page[700:1020, 600:1020] = small
    assert isinstance(hash_image(encode(page), effort=Effort.FAST), LowQuality)
    query = query_of(encode(page))
    assert query.quality >= 50
    expected = query_of(encode(small), effort=Effort.FAST)
    assert nearest(query, [wanted for wanted, _ in expected.hashes])[0] <= 20


@pytest.mark.parametrize("size_px", [(1030, 1500), (1920, 881), (2100, 1600)])
def test_a_reduced_picture_has_the_same_regions(size_px: tuple[int, int]) -> None:
    page = Image.new("L", size_px, 230)
    page.paste(Image.fromarray(PHOTOS[0]).resize((600, 700)), (107, 151))
    factor = reduction(*size_px)
    assert factor > 1
    regions = find_regions(np.asarray(page), MOST)
    assert regions == find_regions(np.asarray(page.reduce(factor)), MOST)
    assert regions[0].certain


@pytest.mark.parametrize("top", range(79, 92))
def test_a_region_may_be_thinner_than_any_block(top: int) -> None:
    luma = np.full((95, 225), 230, np.uint8)
    luma[top:] = np.random.default_rng(1).integers(0, 120, luma[top:].shape)
    assert len(find_regions(luma, 8)) <= 8
