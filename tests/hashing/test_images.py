"""From files to fingerprints: profiles, turned copies, low quality, known answers."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pdqhash
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from disrupt.core.hashes import MIN_LOOKUP_QUALITY, PdqHash
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality, Profile
from disrupt.core.transforms import ENLARGED, IDENTITY, Dihedral, Transform
from disrupt.errors import DisruptError
from disrupt.hashing import (
    ImageFingerprints,
    check_known_answers,
    fingerprint_image,
    hash_image,
    known_answers,
)
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.decoding.pixels import oriented
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.pdq.luma import canonical_luma
from disrupt.hashing.selection import single, usable
from rig.media.files.parts import exif
from rig.media.pictures import (
    PHOTOS,
    canonical,
    encode,
    fingerprints_of,
    nearest,
    photo,
    query_of,
    registered,
    upright,
    upright_query,
)


def oracle(rgb: NDArray[np.uint8]) -> PdqHash:
    bits, _ = pdqhash.compute(np.ascontiguousarray(rgb))
    return PdqHash(int("".join(map(str, bits)), 2).to_bytes(32))


@pytest.mark.parametrize("name", PHOTOS)
def test_both_profiles_are_bit_equal_to_pdqhash_on_the_same_pixels(name: str) -> None:
    data = encode(PHOTOS[name], "JPEG", quality=90)
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    by_profile = registered(data)
    canonical = canonical_luma(decode(data))
    assert by_profile[Profile.PDQ_512] == oracle(np.dstack([canonical] * 3))
    assert by_profile.get(Profile.PDQ_FULL, by_profile[Profile.PDQ_512]) == oracle(pixels)


@pytest.mark.parametrize("name", PHOTOS)
def test_a_lookup_finds_the_registered_hash_of_the_same_file(name: str) -> None:
    data = encode(PHOTOS[name], "WEBP", quality=80)
    query = query_of(data)
    (hash_, transform), *_ = query.hashes
    assert hash_.distance_bits(registered(data)[Profile.PDQ_512]) <= 2
    assert transform == IDENTITY


@cache
def contained(name: str, side_px: int) -> bytes:
    """Return a photograph at a size, as a file."""
    image = ImageOps.contain(Image.fromarray(PHOTOS[name]), (side_px, side_px))
    return encode(np.asarray(image), "JPEG")


@cache
def stored(name: str, side_px: int) -> ImageFingerprints:
    return fingerprints_of(contained(name, side_px))


@pytest.mark.parametrize("registered_px", [1000, 400])
@pytest.mark.parametrize("copy_px", [700, 500, 400, 320, 240])
def test_copies_of_every_size_are_within_10_bits(registered_px: int, copy_px: int) -> None:
    """Compare 320 px copies too, which are 12 to 24 bits away without the enlarged hash."""
    for name in ("astronaut", "cat", "coffee", "rocket"):
        original = stored(name, registered_px)
        query = upright_query(contained(name, copy_px))
        assert any(transform == ENLARGED for _, transform in query.hashes) == (copy_px <= 512)
        versions = {(each.plan, each.ordinal) for each in original.fingerprints}
        assert ((0, 1) in versions) == (registered_px <= 512)
        assert nearest(query, (each.hash for each in original.fingerprints))[0] <= 10


@pytest.mark.parametrize(
    ("size", "scale", "options"),
    [
        ((1024, 1025), 2, {}),
        ((1023, 2600), 1, {}),
        ((2050, 2048), 4, {"keep_rgb": True, "subsampling": 0}),
    ],
)
def test_a_lookup_decodes_at_a_smaller_scale_within_8_bits(
    size: tuple[int, int], scale: int, options: dict[str, Any]
) -> None:
    grain = np.random.default_rng(1).normal(0, 6, (size[1], size[0], 3))
    coffee = Image.fromarray(PHOTOS["coffee"])
    pixels = np.asarray(coffee.resize(size, Image.Resampling.LANCZOS)) + grain
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    data = encode(image, "JPEG", quality=90, **options)
    scaled = decode(data, scaled=True)
    assert (scaled.width_px, scaled.height_px) == tuple(-(-side // scale) for side in size)
    query = upright_query(data)
    assert canonical(data).distance_bits(query.hashes[0][0]) <= 8


@pytest.mark.parametrize("stored_turn", [1, 5, 6])
def test_a_large_turned_photo_is_looked_up_upright(stored_turn: int) -> None:
    coffee = Image.fromarray(PHOTOS["coffee"]).resize((1800, 1200))
    undo = {5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90}.get(stored_turn)
    large = coffee if undo is None else coffee.transpose(undo)
    data = encode(large, "JPEG", quality=90, exif=b"Exif\0\0" + exif(stored_turn))
    assert decode(data, scaled=True).width_px == large.width // 2
    query = upright_query(data)
    assert query.hashes[0][0].distance_bits(canonical(encode(coffee, compress_level=1))) <= 8


@cache
def hashes(data: bytes, effort: Effort) -> dict[Transform, PdqHash]:
    query = query_of(data, effort=effort)
    return {transform: hash_ for hash_, transform in query.hashes}


@pytest.mark.parametrize(("side_px", "stored_turn"), [(600, 1), (400, 7)])
@pytest.mark.parametrize("turn", Dihedral)
def test_a_turned_copy_has_the_turned_hash_of_the_picture(
    turn: Dihedral, stored_turn: int, side_px: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = stored_turn
    picture = ImageOps.contain(Image.fromarray(PHOTOS["coffee"]), (side_px, side_px))
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(file)))
    copy = encode(np.ascontiguousarray(oriented(shown, turn)))
    plain, versions = (
        hashes(copy, Effort.FAST),
        hashes(file.getvalue(), Effort.STANDARD),
    )
    assert len(plain) == 1 + (side_px <= 512)
    assert list(versions)[: 8 * len(plain)] == [
        plain_transform._replace(dihedral=turn) for plain_transform in plain for turn in Dihedral
    ]
    for transform, hash_ in plain.items():
        assert versions[transform._replace(dihedral=turn)].distance_bits(hash_) <= 2


def test_the_full_profile_is_dropped_only_where_nothing_was_reduced_and_it_says_the_same() -> None:
    small = photo("camera.png")
    large = np.tile(small, (2, 1, 1))
    assert set(registered(encode(small))) == {Profile.PDQ_512}
    assert set(registered(encode(large))) == {Profile.PDQ_512, Profile.PDQ_FULL}


@pytest.mark.parametrize("shape", [(300, 400), (600, 700), (3, 3), (4, 2000), (1, 1)])
def test_a_featureless_picture_is_low_quality_for_registration_and_lookup(
    shape: tuple[int, int],
) -> None:
    data = encode(np.full((*shape, 3), 90, np.uint8))
    outcome = fingerprint_image(data)
    assert isinstance(outcome, LowQuality)
    assert hash_image(data) == replace(outcome, minimum_quality=MIN_LOOKUP_QUALITY)
    assert outcome.quality == 0
    assert outcome.advice


@pytest.mark.parametrize("quality", [0, 39, 40, 49, 50, 100])
def test_quality_50_is_registered_and_40_looked_up(quality: int) -> None:
    luma = np.asarray(Image.fromarray(next(iter(PHOTOS.values()))).convert("L"))
    hashed = replace(hash_luma(luma), qualities=np.array(quality, np.uint8))
    assert bool(usable(hashed)) == (quality >= 50)
    assert bool(usable(hashed, MIN_LOOKUP_QUALITY)) == (quality >= 40)
    assert isinstance(single(hashed), LowQuality) == (quality < 50)
    assert isinstance(single(hashed, MIN_LOOKUP_QUALITY), LowQuality) == (quality < 40)


def test_a_picture_of_low_contrast_is_looked_up_but_not_registered() -> None:
    """Hash patches of growing contrast."""
    patches = np.random.default_rng(1).integers(0, 2, (9, 9))
    pattern = np.kron(patches, np.ones((30, 30), np.int64))
    seen = {}
    for contrast in (1, 10, *range(19, 26), 40, 80, 119):
        luma = (60 + pattern * contrast).astype(np.uint8)
        quality, data = int(hash_luma(luma).qualities), encode(luma)
        refused = [isinstance(hashed(data), LowQuality) for hashed in (fingerprint_image, upright)]
        seen[quality] = refused
    assert seen == {quality: [quality <= 49, quality <= 39] for quality in seen}
    assert [True, False] in seen.values()


def stripes(luma: NDArray[np.int64]) -> bytes:
    noise = np.random.default_rng(1).normal(0, 2, luma.shape)
    return encode((20 + luma % 2 * 200 + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("period_px", [8, 30, 77])
def test_a_whole_whose_bits_noise_decides_is_neither_registered_nor_looked_up(
    period_px: int,
) -> None:
    row, column = np.indices((400, 600)) // period_px
    for data in (stripes(row), stripes(column)):
        outcome = fingerprint_image(data)
        assert isinstance(outcome, LowQuality)
        assert upright(data) == replace(outcome, minimum_quality=MIN_LOOKUP_QUALITY)
        assert outcome.quality >= 50
        assert "regular" in outcome.advice


def test_hashing_from_several_threads_gives_the_same_answers() -> None:
    files = [encode(PHOTOS[name], "JPEG") for name in ("cat", "rocket")]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fingerprint_image, files * 3)) == 3 * [
            fingerprint_image(file) for file in files
        ]


def test_this_build_gives_the_known_answers() -> None:
    check_known_answers()


def test_a_wrong_answer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for profile, answer in known_answers._ANSWERS.items():
        off = PdqHash(bytes([answer.value[0] ^ 1]) + answer.value[1:])
        with monkeypatch.context() as patch:
            patch.setitem(known_answers._ANSWERS, profile, off)
            with pytest.raises(DisruptError, match=profile.name):
                check_known_answers()
