"""Transforms, and the variant plans that never change."""

import hashlib
from itertools import product

import numpy as np

from disrupt.core.transforms import (
    PLANS,
    Crop,
    Dihedral,
    Transform,
    count_anchored,
    crops_of,
    transform_of,
    turned_crop,
)
from disrupt.hashing.decoding.pixels import oriented


def test_published_plans_are_unchanged() -> None:
    assert set(PLANS) == {0, 1}
    assert PLANS[0] == (
        Transform(),
        Transform(scale_side_px=512),
        Transform(plain_edges_cut=True),
        Transform(scale_side_px=512, plain_edges_cut=True),
    )
    crops = [(*version.crop, version.rotation_millidegrees) for version in PLANS[1][48:]]
    assert PLANS[1][:48] == (Transform(anchored=True),) * 48
    assert hashlib.sha256(repr(crops).encode()).hexdigest()[:16] == "c18bfc27048b9cec"


def test_crops_are_listed_for_wide_pictures_and_then_with_exchanged_axes_for_tall_ones() -> None:
    wide, tall = crops_of(1), crops_of(0.99)
    assert [*wide, *tall] == list(enumerate(PLANS[1]))[48:]
    for (_, wide_transform), (_, tall_transform) in zip(wide, tall, strict=True):
        left, top, right, bottom = wide_transform.crop
        assert tall_transform.crop == (top, left, bottom, right)
        assert tall_transform.rotation_millidegrees == -wide_transform.rotation_millidegrees


def test_an_anchored_region_is_a_part_and_its_rectangle_is_larger_than_it() -> None:
    assert Transform(anchored=True).area_permille == 1
    upright = Transform(Dihedral.IDENTITY, 250, 250, 250, 250, anchored=True)
    assert upright.area_permille == 250
    assert upright._replace(rotation_millidegrees=45_000).area_permille == 125
    assert Transform(Dihedral.IDENTITY, 0, 1, 0, 0, anchored=True).area_permille < 750


def test_different_anchored_regions_are_counted() -> None:
    assert count_anchored([(1, 0), (1, 47), (1, 0), (1, 48), (0, 0)]) == 2


def test_numbers_of_dihedral_elements_are_unchanged() -> None:
    assert [element.name for element in sorted(Dihedral)] == [
        "IDENTITY",
        "ROTATE_90",
        "ROTATE_180",
        "ROTATE_270",
        "MIRROR",
        "MIRROR_ROTATE_90",
        "MIRROR_ROTATE_180",
        "MIRROR_ROTATE_270",
    ]
    assert sorted(Dihedral) == list(range(8))


def test_every_place_of_a_plan_is_found_and_no_other() -> None:
    for plan, transforms in PLANS.items():
        listed = [transform_of(plan, ordinal) for ordinal in range(len(transforms) + 2)]
        assert listed == [*transforms, None, None]
    assert transform_of(max(PLANS) + 1, 0) is None


def test_one_turn_after_another_is_what_their_pixels_say() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for first, second in product(Dihedral, repeat=2):
        both = oriented(oriented(pixels, first), second)
        assert (oriented(pixels, first.then(second)) == both).all()
        assert first.then(first.inverse) == Dihedral.IDENTITY


def test_a_crop_of_the_turned_picture_is_the_turned_crop() -> None:
    pixels = np.arange(80, dtype=np.uint8).reshape(8, 10)
    crop = (100, 125, 300, 500)

    def cropped(pixels: np.ndarray, crop: Crop) -> np.ndarray:
        height, width = pixels.shape
        left, top, right, bottom = crop
        return pixels[
            height * top // 1000 : height - height * bottom // 1000,
            width * left // 1000 : width - width * right // 1000,
        ]

    for turn in Dihedral:
        expected = oriented(cropped(pixels, crop), turn)
        assert (cropped(oriented(pixels, turn), turned_crop(crop, turn)) == expected).all()
