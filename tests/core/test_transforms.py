"""Transforms, and the variant plans that never change."""

import hashlib
from itertools import product

import numpy as np
import pytest

from disrupt.core.transforms import (
    PLANS,
    Crop,
    Dihedral,
    Transform,
    transform_of,
    turned_crop,
    variants_of,
)
from disrupt.hashing.decoding.pixels import oriented


def test_published_plans_are_unchanged() -> None:
    assert set(PLANS) == {0, 1, 2}
    assert PLANS[0] == (
        Transform(),
        Transform(scale_side_px=512),
        Transform(plain_edges_cut=True),
        Transform(scale_side_px=512, plain_edges_cut=True),
    )
    digests = [
        hashlib.sha256(
            repr([(*step.crop, step.rotation_millidegrees) for step in PLANS[plan]]).encode()
        ).hexdigest()[:16]
        for plan in (1, 2)
    ]
    assert digests == ["c8bac3106443ef83", "dc6a4060a2caf560"]


@pytest.mark.parametrize("plan", [1, 2])
def test_variants_are_listed_for_wide_pictures_and_then_with_exchanged_axes_for_tall_ones(
    plan: int,
) -> None:
    wide, tall = variants_of(plan, 1), variants_of(plan, 0.99)
    assert [*wide, *tall] == list(enumerate(PLANS[plan]))
    for (_, wide_transform), (_, tall_transform) in zip(wide, tall, strict=True):
        left, top, right, bottom = wide_transform.crop
        assert tall_transform.crop == (top, left, bottom, right)
        assert tall_transform.rotation_millidegrees == -wide_transform.rotation_millidegrees


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
