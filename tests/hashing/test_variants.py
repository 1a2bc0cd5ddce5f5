"""Variants stored at registration agree with pixels really cropped and turned."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from disrupt.core.hashes import MIN_QUALITY
from disrupt.core.media import Fingerprint
from disrupt.core.transforms import PLANS, REGISTERED_MOST, crops_of
from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.regions.rotation import turned
from disrupt.hashing.variants import NEAR_BITS
from rig.media.pictures import encode, fingerprints_of

PHOTOS = {
    name: Image.fromarray(getattr(data, name)()).resize((1200, 900), Image.Resampling.BICUBIC)
    for name in ("astronaut", "coffee", "chelsea")
}


def stored(picture: Image.Image, **options: Any) -> dict[int, Fingerprint]:
    """Return what is registered of a picture in plan 1, by ordinal."""
    outcome = fingerprints_of(encode(picture, compress_level=1, **options))
    return {
        fingerprint.ordinal: fingerprint for fingerprint in outcome.fingerprints if fingerprint.plan
    }


@pytest.mark.parametrize("name", PHOTOS)
def test_a_crop_is_the_hash_of_the_picture_cropped_or_turned(name: str) -> None:
    photo = PHOTOS[name]
    variants = stored(photo)
    assert len(variants) > REGISTERED_MOST / 2
    width, height = photo.size
    for ordinal in [ordinal for ordinal in variants if not PLANS[1][ordinal].anchored][::4]:
        transform = PLANS[1][ordinal]
        degrees = -transform.rotation_millidegrees / 1000
        left, top, right, bottom = transform.crop
        x, y = width / 1000, height / 1000
        box = (left * x, top * y, (1000 - right) * x, (1000 - bottom) * y)
        shown = photo.rotate(degrees, Image.Resampling.BICUBIC)
        part = shown.resize((512, 512), Image.Resampling.BOX, box)
        truth = hash_luma(np.asarray(part.convert("L"))).hashes
        distance = np.bitwise_count(truth ^ np.frombuffer(variants[ordinal].hash.value, np.uint8))
        # Pixels beyond the edge of the picture are unknown.
        assert distance.sum() <= (24 if degrees else 10), transform


def test_a_tall_picture_has_the_crops_of_the_wide_one_with_its_axes_exchanged() -> None:
    (first, _), *_ = crops_of(2)
    half = len(crops_of(2))
    wide = PHOTOS["coffee"]
    tall = wide.transpose(Image.Transpose.TRANSPOSE)
    ordinals = {ordinal for ordinal in stored(wide) if ordinal >= first}
    across = {ordinal - half for ordinal in stored(tall) if ordinal >= first}
    assert max(ordinals) < first + half
    assert min(across) >= first
    assert len(ordinals & across) > 0.8 * len(ordinals)


def test_a_picture_that_is_turned_by_its_orientation_has_the_variants_of_the_upright_one() -> None:
    upright = PHOTOS["astronaut"]
    exif = Image.Exif()
    exif[0x0112] = 6  # show it turned clockwise by 90 degrees
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    assert stored(lying, exif=exif) == stored(upright)


def test_no_stored_hash_is_near_another_or_of_low_quality() -> None:
    photo = np.asarray(PHOTOS["coffee"]).copy()
    full = stored(Image.fromarray(photo))
    photo[:, 400:] = 200  # two thirds of it, at the right, have no features
    kept = stored(Image.fromarray(photo))
    of_the_plain = {
        ordinal
        for ordinal, version in enumerate(PLANS[1])
        if version.crop_left_permille >= 340 and not version.rotation_millidegrees
    }
    assert full.keys() & of_the_plain
    assert kept
    assert not kept.keys() & of_the_plain
    assert min(fingerprint.quality for fingerprint in kept.values()) >= MIN_QUALITY
    for left, right in combinations(kept.values(), 2):
        assert left.hash.distance_bits(right.hash) > NEAR_BITS


def test_turning_goes_clockwise_and_keeps_the_shape_that_the_luma_has_lost() -> None:
    photo = PHOTOS["chelsea"].convert("L")
    truth = photo.rotate(-10, Image.Resampling.BICUBIC).resize((512, 512), Image.Resampling.BOX)
    square = np.asarray(photo.resize((512, 512), Image.Resampling.BOX))
    middle = np.s_[100:412, 100:412]
    error = turned(square, 10, 4 / 3)[middle] - np.asarray(truth, np.float32)[middle]
    assert np.abs(error).mean() < 3


def test_no_part_is_stored_of_a_shape_on_a_plain_page() -> None:
    page = np.full((900, 1200), 255, np.uint8)
    page[300:330, 200:900] = page[300:700, 870:900] = 0
    page[600:640, 400:600] = 90
    assert isinstance(fingerprint_image(encode(page)), ImageFingerprints)
    assert not stored(Image.fromarray(page))
