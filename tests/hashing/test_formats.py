"""One photograph has one hash in every format and mode, within the format's losses."""

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile
from pillow_heif import register_heif_opener
from skimage.data import data_dir
from tifffile import imwrite

from disrupt.core.hashes import PdqHash
from disrupt.core.media import LowQuality, Profile
from disrupt.errors import InvalidMediaError
from disrupt.hashing import hash_image, images, queries
from disrupt.hashing.decoding.pictures import decode
from rig.media.files.jpeg import ARITHMETIC
from rig.media.files.parts import PROPHOTO, grey_profile, in_lab, table_profile
from rig.media.pictures import canonical, encode, grey_tiff, registered

register_heif_opener()  # Pillow needs it to write them; the code under test uses the class itself

PHOTO = Image.open(f"{data_dir}/coffee.png").convert("RGB")
GREY = PHOTO.convert("L")
GREY_16 = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
PALETTE = PHOTO.quantize(256)
OPAQUE = PHOTO.convert("RGBA")


def faded() -> Image.Image:
    """Return PHOTO half transparent: a page shows it paler, with the same hash but for rounding."""
    image = PHOTO.copy()
    image.putalpha(128)
    return image


def turned(orientation: int) -> tuple[Image.Image, bytes]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return (PHOTO.transpose(undo[orientation]) if orientation > 1 else PHOTO), exif.tobytes()


def files() -> Iterator[tuple[str, int, Image.Image, str, dict[str, Any]]]:
    """Yield name, tolerance in bits, picture, format and options of each file."""
    yield "HEIC", 10, PHOTO, "HEIF", {}
    yield "HEIC L", 10, GREY, "HEIF", {}
    yield "HEIC faded", 10, faded(), "HEIF", {}
    image, exif = turned(6)
    yield "HEIC turned", 10, image, "HEIF", {"exif": exif}
    yield "TIFF turned", 4, image, "TIFF", {"exif": exif}
    for mode, image in {
        "RGB": PHOTO,
        "L": GREY,
        "I;16": GREY_16,
        "RGBA": OPAQUE,
        "LA": OPAQUE.convert("LA"),
        "CMYK": PHOTO.convert("CMYK"),
        "YCbCr": PHOTO.convert("YCbCr"),
        "faded": faded(),
    }.items():
        yield f"TIFF {mode}", 4, image, "TIFF", {}
    yield "TIFF P", 10, PALETTE, "TIFF", {}
    yield "TIFF PA", 10, PALETTE.convert("PA"), "TIFF", {}
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield f"TIFF {compression}", 4, PHOTO, "TIFF", {"compression": compression}
    yield "TIFF jpeg", 10, PHOTO, "TIFF", {"compression": "jpeg"}
    yield "TIFF LAB", 4, in_lab(PHOTO), "TIFF", {}
    yield "BigTIFF", 4, PHOTO, "TIFF", {"big_tiff": True}
    yield "TIFF of two pages", 4, PHOTO, "TIFF", {"save_all": True, "append_images": [GREY_16]}


def planes_tiff(image: Image.Image, **options: Any) -> bytes:
    """Return a TIFF of 16 bits whose colours are stored one after the other."""
    file = io.BytesIO()
    planes = np.moveaxis(np.asarray(image) * SIXTEEN, -1, 0)
    photometric = "separated" if image.mode == "CMYK" else "rgb"
    imwrite(file, planes, photometric=photometric, planarconfig="separate", **options)
    return file.getvalue()


def of_12_bits(levels: NDArray[np.uint16]) -> bytes:
    """Pack the upper 12 bits of each level, two levels in three bytes."""
    left, right = levels[:, ::2] >> 4, levels[:, 1::2] >> 4
    packed = np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], axis=-1)
    return packed.astype(np.uint8).tobytes()


SIXTEEN = np.uint16(257)
WHITE_0 = np.invert(np.asarray(GREY)).tobytes()
WHITE_0_16 = np.invert(np.asarray(GREY_16)).tobytes()

STORED: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 37, "byteorder": ">"},
    "tiles": {"tile": (64, 128)},
    "deflate": {"compression": "zlib"},
}

COLOURS_1, APART = struct.pack("<HHII", 277, 4, 1, 1), struct.pack("<HHII", 284, 4, 1, 2)
"""Entries of a TIFF: of one colour, and colours stored one after the other."""


FILES = {
    name: (tolerance_bits, encode(image, kind, **options))
    for name, tolerance_bits, image, kind, options in files()
} | {
    "TIFF L, 0 is white": (4, grey_tiff(WHITE_0, PHOTO.size, photometric=0)),
    "TIFF I;16, 0 is white": (
        4,
        grey_tiff(WHITE_0_16, PHOTO.size, bits=16, photometric=0),
    ),
    "TIFF of 12 bits": (4, grey_tiff(of_12_bits(np.asarray(GREY_16)), PHOTO.size, bits=12)),
    **{
        f"TIFF {image.mode} of 16 bits, apart, {name}": (4, planes_tiff(image, **STORED[name]))
        for image, name in zip((PHOTO, OPAQUE, PHOTO.convert("CMYK")), STORED, strict=True)
    },
    "TIFF of 16 bits, apart, turned": (
        4,
        planes_tiff(turned(6)[0], extratags=[(274, "H", 1, 6, True)]),
    ),
    "TIFF of 16 bits and alpha, apart": (4, planes_tiff(OPAQUE, extrasamples=["assocalpha"])),
    "TIFF of 16 bits and another level, apart": (
        4,
        planes_tiff(OPAQUE, extrasamples=["unspecified"]),
    ),
    # The number of colours is 1 where a file does not name it.
    "TIFF L, 0 is white, apart": (
        4,
        grey_tiff(WHITE_0, PHOTO.size, photometric=0).replace(COLOURS_1, APART),
    ),
}


@pytest.fixture(autouse=True)
def wholes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash no parts and no edits: they are made of the whole, whatever its format."""
    monkeypatch.setattr(images, "variants", lambda *_: ())
    monkeypatch.setattr(queries, "_parts", lambda *_, **__: ())


def looked_up(data: bytes) -> PdqHash:
    outcome = hash_image(data)
    assert not isinstance(outcome, LowQuality)
    (hash_, _), *_ = outcome.hashes
    return hash_


ORIGINAL = canonical(encode(PHOTO, "PNG"))


def assert_shows_the_photo(data: bytes, tolerance_bits: int) -> None:
    assert canonical(data).distance_bits(ORIGINAL) <= tolerance_bits
    assert looked_up(data).distance_bits(ORIGINAL) <= tolerance_bits


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_file_hashes_as_the_plain_picture(name: str) -> None:
    tolerance_bits, data = FILES[name]
    assert registered(data)[Profile.PDQ_512] == canonical(data)
    assert_shows_the_photo(data, tolerance_bits)


@pytest.mark.parametrize("name", ["arithmetic", "arithmetic-progressive"])
def test_an_arithmetic_jpeg_may_be_longer_than_what_pillow_reads_at_once(name: str) -> None:
    data = (ARITHMETIC / f"{name}.jpeg").read_bytes()
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
    assert canonical(data).distance_bits(looked_up(data)) <= 8


@pytest.mark.parametrize("orientation", [1, 5, 6])
def test_a_large_turned_photo_is_looked_up_upright(orientation: int) -> None:
    image, exif = turned(orientation)
    large = image.resize((image.width * 3, image.height * 3), Image.Resampling.LANCZOS)
    data = encode(large, "JPEG", quality=90, exif=exif)
    assert decode(data, scaled=True).width_px == large.width // 2
    upright = encode(PHOTO.resize((PHOTO.width * 3, PHOTO.height * 3)), "PNG", compress_level=1)
    assert looked_up(data).distance_bits(canonical(upright)) <= 8


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_pictures_of_four_inks_hash_as_their_profile_says(kind: str) -> None:
    """Hash them with the profile, which shows them as PHOTO."""
    inks = 255 * (1 - (np.asarray(PHOTO) / 255) ** (1 / 1.4))
    coloured = Image.fromarray(inks.round().astype(np.uint8)).split()
    image = Image.merge("CMYK", (*coloured, Image.new("L", PHOTO.size)))
    data = encode(image, kind, icc_profile=table_profile(), quality=95)
    tolerance_bits = 4 if kind == "TIFF" else 10
    assert_shows_the_photo(data, tolerance_bits)


@pytest.mark.parametrize("kind", ["HEIF", "TIFF"])
def test_wide_gamut_pictures_hash_as_they_look(kind: str) -> None:
    wide = ImageCms.applyTransform(
        PHOTO,
        ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"),
            ImageCms.ImageCmsProfile(io.BytesIO(PROPHOTO)),
            "RGB",
            "RGB",
        ),
    )
    assert wide is not None
    tolerance_bits = 4 if kind == "TIFF" else 10
    images = {
        "TIFF": [wide, wide.convert("YCbCr"), wide.quantize(256).convert("PA")],
    }.get(kind, [wide, wide.convert("RGBA")])
    for image in images:
        data = encode(image, kind, icc_profile=PROPHOTO, quality=95)
        assert_shows_the_photo(data, tolerance_bits)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", "HEIF"), ("LA", "TIFF"), ("I;16", "TIFF"), ("one level transparent", "PNG")],
)
def test_grey_pictures_with_a_profile_hash_as_they_look(mode: str, kind: str) -> None:
    """Hash them with the profile: without it they would be up to 34 bits away."""
    gamma, levels = 3.0, np.asarray(GREY) / 255
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
    assert_shows_the_photo(data, tolerance_bits)


def test_a_profile_of_srgb_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(PHOTO, "JPEG", icc_profile=profile)
    assert decode(data, scaled=True).image.mode == "L"
    assert canonical(data) == canonical(encode(PHOTO, "JPEG"))
