"""PDQ by matrices agrees with the reference implementation (pdqhash), picture by picture."""

import numpy as np
import pdqhash
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.data import data_dir

from disrupt.core.transforms import Dihedral
from disrupt.hashing.decoding.pixels import oriented
from disrupt.hashing.pdq.linear import Hashed, hash_dihedral, hash_luma, hash_rgb

PHOTOS = [
    Image.open(f"{data_dir}/{name}").convert("RGB")
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "brick.png")
]


@st.composite
def regions(draw: st.DrawFn, least_px: int, most_px: int) -> Image.Image:
    """Draw a region of a photograph, stretched to any size: natural content, rarely repeated."""
    photo = draw(st.sampled_from(PHOTOS))
    width, height = (draw(st.integers(120, side)) for side in photo.size)
    left, top = (
        draw(st.integers(0, photo.width - width)),
        draw(st.integers(0, photo.height - height)),
    )
    size = draw(st.integers(least_px, most_px)), draw(st.integers(least_px, most_px))
    return photo.resize(size, box=(left, top, left + width, top + height))


def reference(pixels: NDArray[np.uint8]) -> tuple[bytes, int]:
    bits, quality = pdqhash.compute(in_colour(pixels))
    return np.packbits(bits.astype(np.uint8)).tobytes(), quality


def in_colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else np.dstack([pixels] * 3))


def undecided(pixels: NDArray[np.uint8]) -> bytes:
    """Return the bits whose coefficient is within the reference's rounding errors of the median."""
    coefficients, _ = pdqhash.compute_float(in_colour(pixels))
    return np.packbits(np.abs(coefficients - np.sort(coefficients)[127]) < 0.01).tobytes()


def assert_as_the_reference(
    hashed: Hashed, pixels: NDArray[np.uint8], at: int | tuple[()] = ()
) -> None:
    """Check the bits that PDQ decides, and that quality differs by 1 at most.

    Quality counts whole hundredths. Where two samples are a whole number of them apart, and the sum
    is at the edge of a multiple of 90, the rounding error in the reference's running sums shows.
    """
    bits, quality = reference(pixels)
    assert abs(int(hashed.qualities[at]) - quality) <= 1
    differing = int.from_bytes(hashed.hashes[at].tobytes()) ^ int.from_bytes(bits)
    assert differing & ~int.from_bytes(undecided(pixels)) == 0


def test_crops_of_photographs_hash_bit_for_bit_as_the_reference() -> None:
    random = np.random.default_rng(4)
    for _ in range(300):
        luma = np.asarray(PHOTOS[random.integers(len(PHOTOS))].convert("L"))
        top, left = (random.integers(side // 2) for side in luma.shape)
        crop = luma[top : top + random.integers(80, 256), left : left + random.integers(80, 256)]
        hashed = hash_luma(crop)
        assert (hashed.hashes.tobytes(), int(hashed.qualities)) == reference(crop)


@given(regions(5, 700))
@settings(max_examples=100)
def test_luma_at_any_size_hashes_as_the_reference(region: Image.Image) -> None:
    luma = np.asarray(region.convert("L"))
    assert_as_the_reference(hash_luma(luma), luma)


@given(regions(5, 1500), st.sampled_from(Dihedral))
@settings(max_examples=50)
def test_colours_at_full_size_hash_as_the_reference_of_the_turned_pixels(
    region: Image.Image, turn: Dihedral
) -> None:
    rgb = np.asarray(region)
    hashed = hash_rgb(lambda top, bottom: rgb[top:bottom], region.width, region.height, turn)
    assert_as_the_reference(hashed, oriented(rgb, turn))


@given(regions(16, 512))
@settings(max_examples=50)
def test_each_dihedral_hash_is_the_reference_of_the_really_turned_pixels(
    region: Image.Image,
) -> None:
    luma = np.asarray(region.convert("L"))
    hashed = hash_dihedral(luma)
    for turn in Dihedral:
        assert_as_the_reference(hashed, oriented(luma, turn), turn)


def test_a_batch_gives_what_its_pictures_give() -> None:
    frames = np.stack([np.asarray(photo.convert("L").resize((300, 200))) for photo in PHOTOS])
    for hashing in (hash_luma, hash_dihedral):
        batch = hashing(frames)
        for at, frame in enumerate(frames):
            assert (batch.hashes[at] == hashing(frame).hashes).all()
            assert (batch.qualities[at] == hashing(frame).qualities).all()


@pytest.mark.parametrize("shape", [(1, 1), (4, 90), (90, 4), (4, 4)])
def test_a_side_under_5_pixels_has_no_hash(shape: tuple[int, int]) -> None:
    luma = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert reference(luma) == (bytes(32), 0)
    for hashed in (hash_luma(luma), hash_dihedral(luma)):
        assert not hashed.hashes.any()
        assert not hashed.qualities.any()


@pytest.mark.parametrize("size", [5, 63, 64, 65, 128, 129, 255, 256])
def test_quality_is_exact_where_every_step_is_a_whole_hundredth(size: int) -> None:
    """Check levels 51 apart, 20 hundredths each; up to 256 px all weights are powers of 2."""
    levels = np.random.default_rng(size).integers(0, 6, (8, 8)) * 51
    places = np.arange(size) * 8 // size
    luma = levels[np.ix_(places, places)].astype(np.uint8)
    assert int(hash_luma(luma).qualities) == reference(luma)[1]
