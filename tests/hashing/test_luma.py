"""The area average to 512x512 is exact, for every size and orientation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from disrupt.core.transforms import Dihedral
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.decoding.pixels import Picture, oriented
from disrupt.hashing.pdq.luma import area_average, canonical_luma
from rig.media.pictures import encode


def units(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum of each 512th of the first axis: every pixel is written out 512 times."""
    return np.stack(
        [np.repeat(column, 512).reshape(512, -1).sum(axis=1) for column in values.T], axis=1
    )


def naive(luma: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Average per cell in int64, half rounded up."""
    if luma.shape[0] < luma.shape[1]:
        return naive(luma.T).T  # long axis first, which is quicker
    quotient, rest = np.divmod(units(units(luma.astype(np.int64)).T).T, luma.size)
    return quotient + (2 * rest >= luma.size)


def average(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = luma.shape
    return area_average(lambda top, bottom: luma[top:bottom], width, height)


@given(
    st.integers(1, 1100), st.integers(1, 1100), st.integers(0, 2**32 - 1), st.sampled_from([2, 256])
)
@settings(max_examples=40)
def test_area_average_equals_the_naive_integer_one(
    height: int, width: int, seed: int, levels: int
) -> None:
    luma = np.random.default_rng(seed).integers(0, levels, (height, width), np.uint8)
    assert (average(luma) == naive(luma)).all()


@pytest.mark.parametrize(("height", "width"), [(65_535, 3), (3, 65_535), (1, 513), (513, 1)])
def test_area_average_is_exact_at_the_longest_side(height: int, width: int) -> None:
    luma = np.random.default_rng(1).integers(250, 256, (height, width), np.uint8)
    assert (average(luma) == naive(luma)).all()
    assert (average(np.full_like(luma, 255)) == 255).all()


def test_halves_are_rounded_up() -> None:
    luma = np.tile(np.array([[3, 4], [3, 4]], np.uint8), (512, 512))
    assert (average(luma) == 4).all()


def picture(luma: NDArray[np.uint8], orientation: Dihedral = Dihedral.IDENTITY) -> Picture:
    return Picture(decode(encode(luma, compress_level=0)).image, orientation)


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from(Dihedral))
@settings(max_examples=50)
def test_canonical_luma_is_that_of_the_upright_picture(
    height: int, width: int, orientation: Dihedral
) -> None:
    stored = np.random.default_rng(height * width).integers(0, 256, (height, width), np.uint8)
    upright = oriented(stored, orientation)
    luma = canonical_luma(picture(stored, orientation))
    assert (luma == canonical_luma(picture(np.ascontiguousarray(upright)))).all()
    assert (luma == (upright if max(height, width) <= 512 else naive(upright))).all()
