"""One photograph has one hash in every format and mode, within the format's losses."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile
from tifffile import imwrite

from benchmarks.harness.colour_profiles import PROPHOTO
from disrupt.errors import InvalidMediaError
from disrupt.hashing import images, queries
from disrupt.hashing.decoding.pictures import decode
from tests.hashing.formats import (
    ADOBE,
    DISPLAY_P3,
    FILES,
    GREY,
    OPAQUE,
    PALETTE,
    PHOTO,
    canonical,
    data_of,
    distance_bits,
    encode,
    four_colours,
    grey_profile,
    ink_profile,
    looked_up,
    registered,
    turned,
)

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def wholes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash no parts and no edits: they are made of the whole, whatever its format."""
    monkeypatch.setattr(images, "variants", lambda *_: ())
    monkeypatch.setattr(queries, "_parts", lambda *_, **__: ())


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_hashes_as_the_plain_picture(name: str) -> None:
    tolerance_bits, _ = FILES[name]
    data = data_of(name)
    assert registered(data) == canonical(data)
    assert distance_bits(canonical(data)) <= tolerance_bits
    assert distance_bits(looked_up(data)) <= tolerance_bits


def test_lossless_files_within_4_bits_and_lossy_within_10_are_more_than_40_kinds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    distances = {name: distance_bits(canonical(data_of(name))) for name in FILES}
    with capsys.disabled():
        print(f"\n{len(FILES)} kinds of files, bits from the plain picture:")  # noqa: T201
        print(*(f"  {name:34}{bits:3}" for name, bits in distances.items()), sep="\n")  # noqa: T201
    assert len(FILES) >= 40
    assert b"\xff\xc9" in data_of("JPEG arithmetic")  # markers of arithmetic frames
    assert b"\xff\xca" in data_of("JPEG arithmetic, progressive")
    assert ADOBE + b"\2" in data_of("JPEG YCCK")
    assert b"Adobe" in four_colours()
    assert b"Adobe" not in data_of("JPEG CMYK without Adobe's mark")


@pytest.mark.parametrize("name", ["JPEG arithmetic", "JPEG arithmetic, progressive"])
def test_an_arithmetic_jpeg_may_be_longer_than_what_pillow_reads_at_once(name: str) -> None:
    data = data_of(name)
    comment = b"\xff\xfe" + struct.pack(">H", 55_000) + bytes(54_998)
    assert len(data) + len(comment) > ImageFile.MAXBLOCK
    assert canonical(data[:2] + comment + data[2:]) == canonical(data)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_numbers_without_a_range_are_refused(mode: str) -> None:
    with pytest.raises(InvalidMediaError, match="TIFF"):
        decode(encode(GREY.convert(mode), "TIFF"))


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_planes_of_grey_and_alpha_are_refused(options: dict[str, Any]) -> None:
    file = io.BytesIO()
    planes = np.moveaxis(np.asarray(OPAQUE.convert("LA")), -1, 0)
    options |= {"photometric": "minisblack", "planarconfig": "separate"}
    imwrite(file, planes, extrasamples=["unassalpha"], **options)
    with pytest.raises(InvalidMediaError, match="TIFF"):
        decode(file.getvalue())


@pytest.mark.parametrize(
    ("size", "options"),
    [((1024, 1025), {}), ((1023, 2600), {}), ((2050, 2048), {"keep_rgb": True, "subsampling": 0})],
)
def test_a_lookup_decodes_at_a_smaller_scale_within_8_bits(
    size: tuple[int, int], options: dict[str, Any]
) -> None:
    grain = np.random.default_rng(1).normal(0, 6, (size[1], size[0], 3))
    pixels = np.asarray(PHOTO.resize(size, Image.Resampling.LANCZOS)) + grain
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    data = encode(image, "JPEG", quality=90, **options)
    scaled = decode(data, scaled=True)
    scale = {1023: 1, 1024: 2, 2048: 4}[min(size)]
    assert (scaled.width_px, scaled.height_px) == tuple(-(-side // scale) for side in size)
    assert (canonical(data) ^ looked_up(data)).bit_count() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_turned_photo_is_looked_up_upright(orientation: int) -> None:
    image, exif = turned(orientation)
    large = image.resize((image.width * 3, image.height * 3), Image.Resampling.LANCZOS)
    data = encode(large, "JPEG", quality=90, exif=exif)
    assert decode(data, scaled=True).width_px == large.width // 2
    upright = encode(PHOTO.resize((PHOTO.width * 3, PHOTO.height * 3)), "PNG", compress_level=1)
    assert (looked_up(data) ^ canonical(upright)).bit_count() <= 8


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_pictures_of_four_inks_hash_as_their_profile_says(kind: str) -> None:
    """Hash them with the profile: without it they would be 16 bits away."""
    inks = 255 * (1 - np.sqrt(np.asarray(PHOTO) / 255))
    coloured = Image.fromarray(inks.round().astype(np.uint8)).split()
    image = Image.merge("CMYK", (*coloured, Image.new("L", PHOTO.size)))
    data = encode(image, kind, icc_profile=ink_profile(), quality=95)
    tolerance_bits = 4 if kind == "TIFF" else 10
    assert distance_bits(canonical(data)) <= tolerance_bits
    assert distance_bits(looked_up(data)) <= tolerance_bits


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "TIFF"])
@pytest.mark.parametrize("profile", [DISPLAY_P3, PROPHOTO], ids=["Display P3", "ProPhoto"])
def test_wide_gamut_pictures_hash_as_they_look(kind: str, profile: bytes) -> None:
    wide = ImageCms.applyTransform(
        PHOTO,
        ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"),
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            "RGB",
            "RGB",
        ),
    )
    assert wide is not None
    tolerance_bits = 4 if kind in {"PNG", "TIFF"} else 10
    images = {
        "JPEG": [wide],
        "TIFF": [wide, wide.convert("YCbCr"), wide.quantize(256).convert("PA")],
    }.get(kind, [wide, wide.convert("RGBA")])
    for image in images:
        data = encode(image, kind, icc_profile=profile, quality=95)
        assert distance_bits(canonical(data)) <= tolerance_bits
        assert distance_bits(looked_up(data)) <= tolerance_bits


@pytest.mark.parametrize("gamma", [1.0, 1.8, 3.0])
@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *(("L", kind) for kind in ("PNG", "JPEG", "TIFF", "HEIF")),
        *((mode, kind) for mode in ("LA", "I;16") for kind in ("PNG", "TIFF")),
        ("one level transparent", "PNG"),
    ],
)
def test_grey_pictures_with_a_profile_hash_as_they_look(mode: str, kind: str, gamma: float) -> None:
    """Hash them with the profile: without it they would be up to 34 bits away."""
    levels = np.asarray(GREY) / 255
    light = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    stored = light ** (1 / gamma)
    image = Image.fromarray((stored * 255).round().astype(np.uint8))
    options: dict[str, Any] = {}
    if mode == "I;16":
        image = Image.fromarray((stored * 65535).round().astype(np.uint16))
    elif mode == "LA":
        image = image.convert("LA")
    elif mode == "one level transparent":
        options = {"transparency": 255}  # level 255 is white
    data = encode(image, kind, icc_profile=grey_profile(gamma), **options)
    tolerance_bits = 10 if kind in {"JPEG", "HEIF"} else 4
    assert distance_bits(canonical(data)) <= tolerance_bits
    assert distance_bits(looked_up(data)) <= tolerance_bits


@pytest.mark.parametrize("profile", [b"x", DISPLAY_P3[:200], bytes(3000)])
@pytest.mark.parametrize(
    "image", [PHOTO, GREY, PALETTE, OPAQUE.convert("LA")], ids=lambda image: image.mode
)
def test_a_profile_that_cannot_be_used_is_ignored(profile: bytes, image: Image.Image) -> None:
    assert canonical(encode(image, "PNG", icc_profile=profile)) == canonical(encode(image, "PNG"))


def test_a_profile_of_srgb_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(PHOTO, "JPEG", icc_profile=profile)
    assert decode(data, scaled=True).image.mode == "L"
    assert canonical(data) == canonical(encode(PHOTO, "JPEG"))
