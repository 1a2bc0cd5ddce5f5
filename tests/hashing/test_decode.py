"""Every mode and orientation gives the same picture; other files are refused with a reason."""

import gc
import io
import struct
import subprocess
import sys
import weakref
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from pillow_heif import register_heif_opener
from skimage.data import data_dir
from tifffile import imwrite

from disrupt.core.transforms import Dihedral
from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding import exif, jpeg, png
from disrupt.hashing.decoding.formats import FORMATS
from disrupt.hashing.decoding.pictures import (
    ImageLimits,
    decode,
    decode_frames,
)
from disrupt.hashing.decoding.pixels import oriented
from rig.media.files import png as png_files
from rig.media.pictures import chunk, encode, grey_tiff

register_heif_opener()  # Pillow needs it to write them; the code under test uses the class itself

COLOURS = Image.open(f"{data_dir}/astronaut.png").resize((97, 61))
GREY = COLOURS.convert("L")


def colours(data: bytes) -> np.ndarray:
    picture = decode(data)
    return oriented(picture.rgb(0, picture.height_px), picture.orientation)


def reason(data: bytes, limits: ImageLimits = ImageLimits()) -> str:  # noqa: B008
    with pytest.raises(InvalidMediaError) as caught:
        decode(data, limits)
    (violation,) = caught.value.violations
    assert violation.field == "image"
    return violation.description


def planes_of_grey_and_alpha(**options: Any) -> bytes:
    file = io.BytesIO()
    planes = np.moveaxis(np.asarray(with_alpha(GREY.convert("RGB")).convert("LA")), -1, 0)
    options |= {"photometric": "minisblack", "planarconfig": "separate"}
    imwrite(file, planes, extrasamples=["unassalpha"], **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        lambda: encode(GREY.convert("F"), "TIFF"),
        lambda: encode(GREY.convert("I"), "TIFF"),
        planes_of_grey_and_alpha,
        lambda: planes_of_grey_and_alpha(compression="zlib"),
    ],
    ids=["floats", "integers", "planes", "compressed planes"],
)
def test_a_tiff_whose_levels_cannot_be_told_is_refused(make: Callable[[], bytes]) -> None:
    assert "TIFF" in reason(make())


def test_a_sound_file_is_not_copied() -> None:
    for module, data in ((png, WHOLE["PNG"]), (jpeg, WHOLE["JPEG"])):
        assert module.repaired(data) is data
    assert jpeg.repaired(WHOLE["JPEG"][:2]) == WHOLE["JPEG"][:2]


def test_a_png_of_very_many_chunks_is_refused() -> None:
    data = WHOLE["PNG"]
    assert "damaged" in reason(data[:33] + 100_000 * chunk(b"tEXt", b"a\0") + data[33:])


def test_a_profile_of_srgb_changes_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encode(COLOURS, "JPEG", icc_profile=profile)
    assert decode(data, scaled=True).image.mode == "L"
    assert (colours(data) == colours(WHOLE["JPEG"])).all()


def with_alpha(image: Image.Image) -> Image.Image:
    """Make the left half opaque and let the right half fade."""
    ramp = np.full((image.height, image.width), 255, np.uint8)
    ramp[:, image.width // 2 :] = np.linspace(255, 0, image.width - image.width // 2)
    image = image.copy()
    image.putalpha(Image.fromarray(ramp))
    return image


def run(script: str, data: bytes) -> str:
    """Run a program for which warnings are errors on a file; return its output."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        input=data,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_luma_is_the_documented_integer_formula() -> None:
    picture = decode(encode(COLOURS, "PNG"))
    red, green, blue = np.moveaxis(np.asarray(COLOURS).astype(np.int64), 2, 0)
    assert (
        picture.luma(5, 40) == ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16)[5:40]
    ).all()
    grey = decode(encode(GREY, "PNG"))
    assert (grey.luma(0, 61) == np.asarray(GREY)).all()
    assert (grey.rgb(0, 61) == np.asarray(GREY)[:, :, None]).all()


@pytest.mark.parametrize("dihedral", Dihedral)
def test_oriented_mirrors_then_turns_clockwise(dihedral: Dihedral) -> None:
    pixels = np.arange(6).reshape(2, 3).astype(np.uint8)
    expected = Image.fromarray(pixels)
    if dihedral >= Dihedral.MIRROR:
        expected = expected.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for _ in range(dihedral % 4):
        expected = expected.transpose(Image.Transpose.ROTATE_270)  # Pillow turns counter-clockwise
    assert (oriented(pixels, dihedral) == np.asarray(expected)).all()


def test_no_warning_of_pillow_leaks_even_where_warnings_are_errors() -> None:
    script = """
import struct, sys
from disrupt.hashing.decoding.pictures import decode
plain = sys.stdin.buffer.read()
entry = struct.pack("<HHII", 0x0112, 2, 5000, 5000)
for exif in (b"II*\\0\\x08\\0\\0\\0\\x01\\0" + entry, b"II*\\0\\x08\\0\\0\\0\\xff\\0" + entry):
    decode(plain[:2] + b"\\xff\\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\\0\\0" + exif +
    plain[2:])
"""
    run(script, encode(GREY, "JPEG"))


def test_an_empty_file_and_one_of_too_many_bytes_are_refused() -> None:
    data = encode(GREY, "PNG")
    assert "empty" in reason(b"")
    assert str(len(data) - 1) in reason(data, ImageLimits(max_bytes=len(data) - 1))
    assert decode(data, ImageLimits(max_bytes=len(data))).width_px == GREY.width


@given(st.binary(min_size=1, max_size=100))
@settings(max_examples=100)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    assert ", ".join(FORMATS) in reason(data) or "damaged" in reason(data)


UNSUPPORTED = {
    "JPEG 2000": encode(GREY, "JPEG2000"),
    "icon": encode(GREY, "ICO"),
    "MP4": b"\0\0\0\x18ftypisom\0\0\0\0",
    "PDF": b"%PDF-1.7",
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_an_unsupported_format_is_named(kind: str) -> None:
    assert kind in reason(UNSUPPORTED[kind])


WHOLE = {
    "JPEG": encode(COLOURS, "JPEG"),
    "progressive JPEG": encode(COLOURS, "JPEG", progressive=True),
    "PNG": encode(COLOURS, "PNG"),
    "WebP": encode(COLOURS, "WEBP"),
    "AVIF": encode(COLOURS, "AVIF"),
    "HEIC": encode(COLOURS, "HEIF"),
    "GIF": encode(COLOURS.quantize(64), "GIF"),
    "TIFF": encode(COLOURS, "TIFF"),
    "BMP": encode(COLOURS, "BMP"),
    "lossless WebP": encode(COLOURS, "WEBP", lossless=True),
}


@pytest.mark.filterwarnings("ignore:::PIL")
@given(
    st.sampled_from(sorted(WHOLE)),
    st.lists(st.tuples(st.integers(0), st.integers(1, 255)), min_size=1, max_size=9),
)
@settings(max_examples=200)
def test_a_damaged_file_is_decoded_or_refused_and_nothing_else(
    name: str, flips: list[tuple[int, int]]
) -> None:
    data = bytearray(WHOLE[name])
    for at, flip in flips:
        data[at % min(len(data), 700)] ^= flip
    try:
        colours(bytes(data))
    except InvalidMediaError as refused:
        assert refused.violations[0].field == "image"  # noqa: PT017


def huge_png(width: int, height: int) -> bytes:
    head = png_files.SIGNATURE + png_files.header((width, height), png_files.COLOURS, 8)
    return head + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND")


def huge_jpeg(width: int, height: int) -> bytes:
    small = WHOLE["JPEG"]
    at = small.index(b"\xff\xc0") + 5
    return small[:at] + struct.pack(">HH", height, width) + small[at + 4 :]


def huge_webp(width: int, height: int) -> bytes:
    canvas = b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    content = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + WHOLE["WebP"][12:]
    return b"RIFF" + struct.pack("<I", len(content)) + content


def huge_tiff(width: int, height: int) -> bytes:
    """Return a TIFF with this size in the first two entries of its directory."""
    tiff = WHOLE["TIFF"]
    at = struct.unpack_from("<I", tiff, 4)[0] + 2
    long = 4
    sides = struct.pack("<HHII", 256, long, 1, width) + struct.pack("<HHII", 257, long, 1, height)
    return tiff[:at] + sides + tiff[at + 24 :]


SHORT, LONG, SLONG8 = 3, 4, 17
TILE_WIDTH, TILE_HEIGHT = 322, 323


def tiled_tiff(*tile: tuple[int, int, int]) -> bytes:
    """Return a grey TIFF of 64 x 64 pixels with a tile of 256 x 256 that these entries describe."""
    content = zlib.compress(bytes(256 * 256))
    entries = [(256, LONG, 64), (257, LONG, 64), (258, SHORT, 8), (259, SHORT, 8), (262, SHORT, 1)]
    entries += [(277, SHORT, 1), *tile, (324, LONG, 16), (325, LONG, len(content))]
    directory = struct.pack("<H", len(entries))
    for entry in entries:
        directory += struct.pack("<HHII", entry[0], entry[1], 1, entry[2])
    head = struct.pack("<4sIQ", b"II*\0", 16 + len(content), 256)
    return head + content + directory + bytes(4)


def test_a_tile_over_the_limit_is_refused_however_often_and_long_its_size_is_written() -> None:
    limits = ImageLimits(max_pixels=255 * 256)
    sides = ((TILE_WIDTH, SHORT, 256), (TILE_HEIGHT, SHORT, 256))
    smaller = ((TILE_WIDTH, SHORT, 64), (TILE_HEIGHT, SHORT, 64))
    # The 8 bytes of the long ones are in the head.
    long = ((TILE_WIDTH, SLONG8, 8), (TILE_HEIGHT, SLONG8, 8))
    assert decode(tiled_tiff(*sides)).width_px == 64
    assert decode(tiled_tiff(*smaller), limits).width_px == 64
    assert "256 x 256" in reason(tiled_tiff(*sides), limits)
    for tile in ((*sides, *smaller), (*smaller, *sides), long, (*long, *smaller)):
        assert reason(tiled_tiff(*tile), limits)


def huge_box(kind: str, width: int, height: int) -> bytes:
    """Return an AVIF or HEIC file with this size in its box "ispe"."""
    whole = WHOLE[kind]
    at = whole.index(b"ispe") + 8
    return whole[:at] + struct.pack(">II", width, height) + whole[at + 8 :]


HUGE = {
    "AVIF": huge_box("AVIF", 16_000, 16_000),
    "HEIC": huge_box("HEIC", 16_000, 16_000),
    "GIF": WHOLE["GIF"][:6] + struct.pack("<HH", 65_535, 65_535) + WHOLE["GIF"][10:],
    "TIFF": huge_tiff(2_000_000_000, 2_000_000_000),
    "TIFF of one tile": tiled_tiff((TILE_WIDTH, LONG, 32_768), (TILE_HEIGHT, LONG, 32_768)),
    "BMP": WHOLE["BMP"][:18] + struct.pack("<ii", 60_000, 60_000) + WHOLE["BMP"][26:],
    "JPEG": huge_jpeg(65_500, 65_500),
    "PNG": huge_png(2_000_000_000, 2_000_000_000),
    "WebP": huge_webp(16_000, 16_000),
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_decompression_bomb_is_refused_before_memory_is_taken(kind: str) -> None:
    script = """
import resource, sys
from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding.pictures import decode
with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2**26, taken + 2**26))
try:
    decode(sys.stdin.buffer.read())
except InvalidMediaError as error:
    print(error.message)
"""
    assert "at most 50 megapixels" in run(script, HUGE[kind])


def many_scans(count: int) -> bytes:
    """Return a progressive JPEG of 16 megapixels whose last scan comes so many times more."""
    whole = encode(Image.new("L", (4000, 4000), 128), "JPEG", progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * count + whole[-2:]


def test_a_picture_of_more_scans_than_its_size_may_have_is_refused() -> None:
    assert "scans" in reason(many_scans(100))
    assert decode(many_scans(50)).width_px == 4000
    in_tiff = [grey_tiff(many_scans(count), (4000, 4000), compression=7) for count in (110, 50)]
    assert "damaged" in reason(in_tiff[0])
    assert decode(in_tiff[1]).width_px == 4000


def test_what_only_looks_like_a_scan_does_not_count() -> None:
    """An embedded picture has scans of its own, and so may what a camera adds at the end."""
    scans = b"\xff\xda" * 1000
    data = many_scans(0)
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(scans)) + scans
    assert decode(data[:2] + comment + data[2:] + scans).width_px == 4000


def test_the_pixel_limit_is_inclusive() -> None:
    for data in (
        WHOLE["JPEG"],
        WHOLE["PNG"],
        WHOLE["WebP"],
        WHOLE["lossless WebP"],
        huge_webp(97, 61),
    ):
        pixels = COLOURS.width * COLOURS.height
        assert decode(data, ImageLimits(max_pixels=pixels)).width_px == COLOURS.width
        assert "97 x 61" in reason(data, ImageLimits(max_pixels=pixels - 1))


def test_a_later_frame_over_the_limit_is_refused() -> None:
    """Append a frame that reaches beyond a GIF's page; Pillow lets the page grow with it."""
    large = encode(GREY.resize((500, 400)), "GIF")
    data = encode(GREY, "GIF")[:-1] + large[large.index(b"\x2c\0\0\0\0") :]
    frames = decode_frames(data, ImageLimits(max_pixels=500 * 400 - 1))
    assert next(frames).frames_left == 1
    with pytest.raises(InvalidMediaError, match="500 x 400 pixels; at most"):
        next(frames)


def test_a_side_beyond_65535_is_refused() -> None:
    assert "65535" in reason(huge_png(65_536, 1))


def test_without_the_extra_heic_files_are_refused_by_name_and_all_else_works() -> None:
    script = """
import sys
sys.modules["pillow_heif"] = None
from disrupt.errors import UnimplementedError
from disrupt.hashing.decoding.formats import FORMATS
from disrupt.hashing.decoding.pictures import decode
assert "HEIC" not in FORMATS
try:
    decode(sys.stdin.buffer.read())
except UnimplementedError as error:
    print(error.message, error.metadata["cause"])
"""
    message = run(script, WHOLE["HEIC"])
    for words in ('HEIC files need the extra "heic"', "NO_HEIC_DECODER"):
        assert words in message


@given(st.binary(max_size=60).map(lambda data: b"II*\0" + data) | st.binary(max_size=60))
def test_any_exif_has_an_orientation(data: bytes) -> None:
    assert exif.orientation(data) in Dihedral


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_pixels_are_freed_as_soon_as_nobody_uses_them(kind: str) -> None:
    """Not only when garbage is collected, which a large picture may come before."""
    gc.disable()
    try:
        picture = decode(WHOLE[kind])
        image = weakref.ref(picture.image)
        del picture
        assert image() is None
    finally:
        gc.enable()
