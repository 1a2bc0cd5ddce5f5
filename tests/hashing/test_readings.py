"""Where pages and browsers show different pictures of a file, each is looked up."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pillow_heif import register_heif_opener

from disrupt.core.lookups import Effort
from disrupt.core.media import MediaKind
from disrupt.errors import InvalidMediaError
from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.registration import fingerprint_frames
from rig.media.files import avif, parts, png, png_colours
from rig.media.pictures import PHOTOS, chunk, encode, nearest, query_of, registered, upright_query

GREY = np.asarray(Image.fromarray(PHOTOS["cat"]).convert("L").resize((300, 300)))
DECOY = np.asarray(Image.fromarray(PHOTOS["coffee"]).convert("L").resize((300, 300)))
COLOURS = np.asarray(Image.fromarray(PHOTOS["cat"]).resize((300, 300)))


def nearest_bits(
    data: bytes, shown: NDArray[np.uint8], effort: Effort = Effort.FAST, skipped: int = 0
) -> int:
    query = query_of(data, effort=effort)
    assert query.frames_skipped == skipped
    return nearest(query, registered(encode(shown)).values())[0]


def with_alpha(colour: NDArray[Any], alpha: NDArray[Any]) -> bytes:
    return encode(np.dstack([colour, colour, colour, alpha]).astype(np.uint8))


def test_two_pictures_on_white_and_on_black_are_both_looked_up() -> None:
    on_white, on_black = DECOY / 2 + 128, GREY / 2
    alpha = 255 - (on_white - on_black)
    data = with_alpha((on_black * 255 / alpha).round(), alpha.round())
    assert nearest_bits(data, on_white.astype(np.uint8)) <= 8
    assert nearest_bits(data, on_black.astype(np.uint8)) <= 8


def test_rounded_corners_and_an_ordinary_profile_are_no_reason_for_two_readings() -> None:
    alpha = np.full_like(GREY, 255)
    alpha[:20, :20] = 0
    in_p3 = encode(COLOURS, "JPEG", icc_profile=parts.DISPLAY_P3)
    for data in (with_alpha(GREY, alpha), in_p3):
        assert not decode(data, scaled=True).others


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_stored_is_looked_up_beside_what_a_profile_shows(kind: str) -> None:
    negative = parts.showing(255 - parts.LEVELS)
    data = encode(COLOURS, kind, quality=95, icc_profile=negative)
    assert nearest_bits(data, COLOURS) <= 20
    assert nearest_bits(data, 255 - COLOURS) <= 20


def test_what_a_profile_shows_is_looked_up_beside_colours_that_are_named() -> None:
    """Exchange bands of 60 levels: no level moves far."""
    levels = parts.LEVELS
    bands = np.where((levels // 60 % 2) == 0, levels + 60, levels - 60).clip(0, 255)
    chunks = png_colours.cicp(1, 13) + png_colours.iccp(parts.showing(bands))
    data = png.png(COLOURS.astype(np.uint16), before=chunks)
    assert nearest_bits(data, COLOURS) == 0
    assert nearest_bits(data, bands[COLOURS].astype(np.uint8)) <= 20


@pytest.mark.parametrize(
    "chunks",
    [
        # A table that LittleCMS refuses, and PQ, which browsers map to a screen.
        png_colours.iccp(parts.table_profile(b"mntrRGB Lab ").replace(b"mft1", b"mft3")),
        png_colours.cicp(9, 16),
    ],
    ids=["profile", "numbers"],
)
def test_colours_that_cannot_be_told_are_not_registered_and_count_as_not_looked_at(
    chunks: bytes,
) -> None:
    data = png.png(COLOURS.astype(np.uint16), before=chunks)
    assert nearest_bits(data, COLOURS, skipped=1) == 0
    with pytest.raises(InvalidMediaError, match="sRGB"):
        decode(data)


def test_of_16_bits_all_are_those_of_the_transparent_colour() -> None:
    """Black dots of the picture differ from it in their lower bytes, but for some."""
    dots = np.asarray(Image.fromarray(GREY).resize((600, 600)).convert("1"))
    levels = np.where(dots, 0xFFFF, 0x0001)
    levels[:100] = np.where(dots[:100], 0, 1)  # white is transparent here
    samples = np.dstack([levels] * 3).astype(np.uint16)
    data = png.png(samples, png.COLOURS, 16, chunk(b"tRNS", bytes(6)))
    shown = (dots * 255).astype(np.uint8)
    assert (decode(data).page() == shown).all()


def in_clean_aperture(page: NDArray[np.uint8], left: int, top: int, side: int) -> bytes:
    """Return an AVIF file whose ``clap`` names a square of a page."""
    coded = avif.coded(encode(page, "AVIF", quality=90, subsampling="4:4:4"))
    height, width = page.shape[:2]
    return avif.avif(coded, avif.SRGB, avif.clap(side, side, left, top, (width, height)))


def test_the_clean_aperture_of_an_avif_is_looked_up_beside_the_whole() -> None:
    left, top = 330, 410
    rng = np.random.default_rng(1)
    page = np.kron(rng.integers(0, 256, (40, 40, 3)), np.ones((25, 25, 1))).astype(np.uint8)
    page[top : top + 300, left : left + 300] = COLOURS
    data = in_clean_aperture(page, left, top, 300)
    assert nearest_bits(data, COLOURS) <= 12
    assert nearest_bits(data, page) <= 12


def test_a_clean_aperture_outside_the_picture_is_passed_over() -> None:
    data = in_clean_aperture(COLOURS, 200, 0, 200)
    assert not decode(data, scaled=True).others
    assert nearest_bits(data, COLOURS) <= 12


def test_a_jpeg_that_is_higher_than_its_data_is_looked_up_without_the_rest() -> None:
    """Browsers show even rows in place of what is missing."""
    data = bytearray(encode(COLOURS, "JPEG", quality=95))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 2] = struct.pack(">H", 20_000)
    assert nearest_bits(bytes(data), COLOURS, Effort.STANDARD) <= 24


def test_chroma_that_darkens_an_even_luma_is_looked_up() -> None:
    """Colours beyond white are cut off when they are shown."""
    chroma = 128 + (255 - GREY.astype(int)) // 2
    planes = np.dstack([np.full_like(GREY, 255), chroma, chroma]).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(planes, "YCbCr").save(file, "JPEG", quality=100, subsampling=0)
    shown = np.asarray(Image.open(file).convert("RGB"))
    assert nearest_bits(file.getvalue(), shown, Effort.STANDARD) <= 8


@pytest.mark.parametrize("kind", ["TIFF", "HEIF"])
def test_further_pages_count_as_what_is_not_registered_and_not_looked_up(kind: str) -> None:
    register_heif_opener()
    other = Image.fromarray(DECOY).convert("RGB")
    for pages, left in (([], 0), ([other], 1)):
        data = encode(COLOURS, kind, save_all=True, append_images=pages)
        for fingerprint in (fingerprint_image, fingerprint_frames):
            outcome = fingerprint(data)
            assert isinstance(outcome, ImageFingerprints)
            assert (outcome.frames_left, outcome.kind) == (left, MediaKind.IMAGE)
        query = upright_query(data)
        assert query.frames_skipped == left
