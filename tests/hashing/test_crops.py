"""Crops hashed from one luma agree with pixels really cropped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from skimage.data import data_dir

from disrupt.core.transforms import Crop, Dihedral
from disrupt.hashing.pdq.linear import hash_dihedral, hash_luma
from disrupt.hashing.pdq.luma import area_average
from disrupt.hashing.regions.crops import (
    MAX_PLAIN_SHARE,
    hash_crops,
    hash_crops_dihedral,
    plain_shares,
    sample_crops,
)

PHOTOS = [
    Image.open(f"{data_dir}/{name}").convert("L")
    for name in ("astronaut.png", "chelsea.png", "coffee.png")
]

cuts = st.integers(0, 300)
crops = st.tuples(cuts, cuts, cuts, cuts)


def averaged(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return area_average(lambda top, bottom: luma[top:bottom], luma.shape[1], luma.shape[0])


def cropped(luma: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """Cut at the nearest pixels, of a picture so large that these are near enough."""
    left, top, right, bottom = crop
    height, width = luma.shape
    rows = slice(height * top // 1000, height - height * bottom // 1000)
    return averaged(luma[rows, width * left // 1000 : width - width * right // 1000])


@given(
    st.sampled_from(PHOTOS), st.lists(crops, min_size=1, max_size=5), st.sampled_from([256, 512])
)
@settings(max_examples=15)
def test_a_crop_of_a_reduced_picture_hashes_as_the_cropped_picture(
    photo: Image.Image, some: list[Crop], side_px: int
) -> None:
    large = photo.resize((2000, 2000), Image.Resampling.BICUBIC)
    small = np.asarray(large.resize((side_px, side_px), Image.Resampling.BOX))
    plain, turned = hash_crops(small, some), hash_crops_dihedral(small, some)
    for at, crop in enumerate(some):
        truth = hash_dihedral(cropped(np.asarray(large), crop))
        distances = np.bitwise_count(truth.hashes ^ turned.hashes[at]).sum(axis=-1)
        assert (distances <= 12).all()
        assert np.bitwise_count(plain.hashes[at] ^ turned.hashes[at, 0]).sum() <= 1
        assert abs(int(plain.qualities[at]) - int(truth.qualities[0])) <= 5


@pytest.mark.parametrize("photo", PHOTOS)
def test_nothing_cut_off_is_the_canonical_hash(photo: Image.Image) -> None:
    luma = averaged(np.asarray(photo))
    canonical, hashed = hash_luma(luma), hash_crops(luma, [(0, 0, 0, 0)])
    assert (hashed.hashes[0] == canonical.hashes).all()
    assert hashed.qualities[0] == canonical.qualities
    turned = hash_crops_dihedral(luma, [(0, 0, 0, 0)])
    assert turned.hashes.shape == (1, len(Dihedral), 32)
    assert (np.bitwise_count(turned.hashes[0] ^ hash_dihedral(luma).hashes).sum(axis=-1) <= 1).all()


@given(st.lists(crops, min_size=1, max_size=5))
@settings(max_examples=15)
def test_pictures_hashed_together_are_hashed_as_each_alone(some: list[Crop]) -> None:
    pictures = [np.asarray(photo.resize((128, 128), Image.Resampling.BOX)) for photo in PHOTOS]
    together = hash_crops_dihedral(np.stack(pictures), some)
    for at, picture in enumerate(pictures):
        alone = hash_crops_dihedral(picture, some)
        assert np.bitwise_count(together.hashes[at] ^ alone.hashes).sum(axis=-1).max() <= 1
        assert (together.qualities[at] == alone.qualities).all()


@pytest.mark.parametrize("blur_px", [0, 10, 20, 40])
@pytest.mark.parametrize("photo", PHOTOS)
def test_the_quality_of_what_leaves_most_is_told_from_all(photo: Image.Image, blur_px: int) -> None:
    blurred = photo.resize((512, 512)).filter(ImageFilter.GaussianBlur(blur_px))
    luma = averaged(np.asarray(blurred))
    some = [(60, 0, 0, 0), (40, 40, 40, 40), (0, 60, 0, 60), (60, 60, 60, 60)]
    qualities = hash_crops_dihedral(luma, some).qualities[:, 0]
    truth = hash_crops(luma, some).qualities
    plain = plain_shares(sample_crops(luma, some)) > MAX_PLAIN_SHARE - 0.05
    assert (np.abs(qualities.astype(int) - truth)[~plain] <= 3).all(), (qualities, truth, plain)


def test_the_quality_of_a_crop_is_that_of_the_side_which_it_leaves() -> None:
    luma = np.random.default_rng(1).normal(128, 3, (128, 128))
    luma[:, :6] = np.random.default_rng(2).integers(64, 192, (128, 6))
    sides: list[Crop] = [(60, 0, 0, 0), (0, 60, 0, 0), (0, 0, 60, 0), (0, 0, 0, 60)]
    turned = [np.ascontiguousarray(np.rot90(luma, -quarters)) for quarters in range(4)]
    qualities = np.array(
        [hash_crops_dihedral(pixels, sides).qualities[:, 0] for pixels in turned], np.int16
    )
    for quarters, row in enumerate(qualities):
        assert (row[quarters] < np.delete(row, quarters) - 5).all(), qualities


@pytest.mark.parametrize("crop", [(0, 0, 0, 0), (40, 0, 40, 0), (0, 120, 0, 0)])
def test_a_shape_on_a_plain_page_has_no_quality(crop: Crop) -> None:
    luma = np.full((128, 128), 128.0)
    luma[40:80, 40:80] = np.random.default_rng(1).integers(0, 256, (40, 40))
    assert hash_crops(luma, [crop]).qualities[0] > 50
    assert (hash_crops_dihedral(luma, [crop]).qualities == 0).all()


@pytest.mark.parametrize(
    ("crop", "looked_up_rows", "left_out_rows"),
    [((0, 0, 0, 0), 90, 104), ((40, 0, 40, 0), 90, 104), ((0, 120, 0, 0), 36, 76)],
)
def test_a_dark_photograph_is_looked_up_whole_and_a_plain_corner_is_not(
    crop: Crop, looked_up_rows: int, left_out_rows: int
) -> None:
    luma = np.random.default_rng(1).integers(0, 256, (128, 128)).astype(np.float64)
    for rows, is_looked_up in ((looked_up_rows, True), (left_out_rows, False)):
        page = luma.copy()
        page[-rows:] = 0
        assert hash_crops(page, [crop]).qualities[0] > 50
        assert (hash_crops_dihedral(page, [crop]).qualities > 50).all() == is_looked_up
