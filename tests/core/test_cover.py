"""Regions that cover most of a picture tell of nearly all of it; in several frames they do not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.cover import cells, covered_permille, is_of_a_picture
from disrupt.core.transforms import ENLARGED, IDENTITY, Dihedral, Transform, turned_crop

SIDES = st.tuples(*[st.integers(0, 499)] * 4)


def region(crop: tuple[int, int, int, int], turn: Dihedral = Dihedral.IDENTITY) -> Transform:
    return Transform(turn, *turned_crop(crop, turn), anchored=True)


@given(SIDES)
def test_a_region_has_the_cells_whose_centre_it_covers_mirrored_or_not(
    crop: tuple[int, int, int, int],
) -> None:
    left, top, right, bottom = crop
    within = {
        8 * row + column
        for row in range(8)
        for column in range(8)
        if left <= 62.5 + 125 * column <= 1000 - right and top <= 62.5 + 125 * row <= 1000 - bottom
    }
    assert cells(region(crop)) == sum(1 << at for at in within)
    assert cells(region(crop, Dihedral.MIRROR_ROTATE_180)) == cells(region(crop))
    assert cells(Transform(Dihedral.IDENTITY, *crop)) == 0


def test_38_of_64_cells_are_nearly_all() -> None:
    assert covered_permille(0) == 0
    assert covered_permille((1 << 37) - 1) == 578
    assert covered_permille((1 << 38) - 1) == 1000


def test_a_picture_has_a_whole_and_frames_have_several() -> None:
    part = region((0, 0, 499, 499))
    assert is_of_a_picture([IDENTITY, ENLARGED, part])
    assert is_of_a_picture([ENLARGED, part, IDENTITY])
    assert not is_of_a_picture([IDENTITY, part, IDENTITY, part])
    assert not is_of_a_picture([part, part])
