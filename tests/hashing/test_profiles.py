"""A colour profile that shows another picture than the stored one hides neither."""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Effort
from disrupt.errors import InvalidMediaError
from disrupt.hashing import ImageQuery, hash_image
from disrupt.hashing.decoding.pictures import decode
from rig.media.files.parts import DISPLAY_P3, curve, fixed, in_lab, of_primaries, profile
from rig.media.pictures import canonical, chunk, encode
from tests.hashing import test_formats

PHOTO = test_formats.PHOTO.resize((300, 200))
GREY = PHOTO.convert("L")
LEVELS = np.arange(256)


def linear(levels: NDArray[Any]) -> NDArray[np.float64]:
    shown = levels / 255
    light: NDArray[np.float64] = np.where(
        shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4
    )
    return light


def showing(levels: NDArray[Any], kind: bytes = b"mntrRGB XYZ ") -> bytes:
    """Return a profile that shows each stored level as another one of sRGB."""
    shown = curve(linear(levels))
    is_grey = kind[4:8] == b"GRAY"
    return profile(kind, {b"kTRC": shown}) if is_grey else of_primaries(shown=shown, kind=kind)


def with_a_table(shown: bytes, *, named: bytes) -> bytes:
    """Return a profile that has a table of colours, which shows the negative, too."""
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * 255
    colours = Image.fromarray((255 - corners)[None].astype(np.uint8))
    straight = bytes(range(256))
    table = np.asarray(in_lab(colours)) ^ np.array([0, 128, 128], np.uint8)
    head = b"mft1\0\0\0\0" + bytes([3, 3, 2, 0]) + fixed(*np.eye(3).ravel())
    body = head + 3 * straight + table.tobytes() + 3 * straight
    tags = {}
    for at in range(132, 132 + 12 * int.from_bytes(shown[128:132]), 12):
        place, size = struct.unpack(">II", shown[at + 4 : at + 12])
        tags[shown[at : at + 4]] = shown[place : place + size]
    return profile(b"mntrRGB Lab ", {**tags, named: body})


PNG = encode(PHOTO)
NEGATIVE = showing(255 - LEVELS)
BANDS = np.where(LEVELS % 51, 255 - LEVELS, LEVELS)


def stored(levels: NDArray[Any], image: Image.Image = PHOTO) -> Image.Image:
    return Image.fromarray(levels[np.asarray(image)].astype(np.uint8))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]


def nearest(data: bytes, pdq_hash: PdqHash) -> int:
    query = hash_image(data, effort=Effort.FAST)
    assert isinstance(query, ImageQuery)
    return min(code.distance_bits(pdq_hash) for code, _ in query.hashes)


def gamma(value: float) -> bytes:
    """Return a PNG of PHOTO as this gamma shows it."""
    levels = np.round(255 * linear(LEVELS) ** value)
    png = encode(stored(levels))
    return with_chunks(png, chunk(b"gAMA", struct.pack(">I", round(value * 100_000))))


def table(name: bytes, image: Image.Image) -> bytes:
    return encode(image, icc_profile=with_a_table(showing(LEVELS), named=name))


def grey_black() -> bytes:
    """Return a PNG whose profile shows level 0 as a grey, as no ordinary one does."""
    dark = PHOTO.point(lambda level: level * 110 // 255)
    shown = np.where((LEVELS > 0) & (LEVELS <= 111), (LEVELS + 54) % 111, 125)
    image = Image.fromarray((1 + (np.asarray(dark) + 56) % 111).astype(np.uint8))
    return encode(image, icc_profile=showing(shown))


SHOWN: dict[str, Callable[[], bytes]] = {
    "bands": lambda: encode(stored(BANDS), icc_profile=showing(BANDS)),
    "grey bands": lambda: encode(stored(BANDS, GREY), icc_profile=showing(BANDS, b"mntrGRAYXYZ ")),
    "a table": partial(table, b"A2B1", ImageOps.invert(PHOTO)),
    "a table that browsers pass over": partial(table, b"A2B2", PHOTO),
    "another one": partial(table, b"D2B0", PHOTO),
    "dark gamma": partial(gamma, 0.05),
    "a grey for black": grey_black,
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_a_profile_shows_is_hashed(name: str) -> None:
    data, expected = SHOWN[name](), canonical(encode(PHOTO))
    assert canonical(data).distance_bits(expected) <= 20
    assert nearest(data, expected) <= 20


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_stored_is_looked_up_beside_what_a_profile_shows(kind: str) -> None:
    data = encode(PHOTO, kind, quality=95, icc_profile=NEGATIVE)
    assert nearest(data, canonical(encode(PHOTO))) <= 20
    assert nearest(data, canonical(encode(ImageOps.invert(PHOTO)))) <= 20
    query = hash_image(data, effort=Effort.FAST)
    assert isinstance(query, ImageQuery)
    assert query.frames_skipped == 0


@pytest.mark.parametrize("kind", ["profile", "numbers"])
def test_colours_that_cannot_be_told_are_not_registered_and_count_as_not_looked_at(
    kind: str,
) -> None:
    """Of a profile that LittleCMS refuses, and PQ, which browsers map to a screen."""
    unread = with_a_table(showing(LEVELS), named=b"A2B0").replace(b"mft1", b"mft3")
    pq = chunk(b"cICP", bytes([9, 16, 0, 1]))
    data = encode(PHOTO, icc_profile=unread) if kind == "profile" else with_chunks(PNG, pq)
    query = hash_image(data, effort=Effort.FAST)
    assert isinstance(query, ImageQuery)
    assert query.frames_skipped == 1
    assert nearest(data, canonical(PNG)) == 0
    with pytest.raises(InvalidMediaError, match="sRGB"):
        decode(data)


@pytest.mark.parametrize("image", [PHOTO, GREY], ids=["RGB", "L"])
def test_a_profile_that_browsers_pass_over_is_ignored(
    image: Image.Image,
) -> None:
    for unread in (
        NEGATIVE[:8] + b"\5" + NEGATIVE[9:],
        struct.pack(">I", len(NEGATIVE) + 4) + NEGATIVE[4:],
        NEGATIVE[:100],
        NEGATIVE[:8],
        NEGATIVE[:36] + b"junk" + NEGATIVE[40:],
        showing(255 - LEVELS, b"mntrGRAYXYZ ") if image is PHOTO else b"",
    ):
        plain = encode(image)
        assert canonical(encode(image, icc_profile=unread)) == canonical(plain)


def profile_chunk(levels: NDArray[Any]) -> tuple[bytes, bytes]:
    return b"iCCP", b"icc\0\0" + zlib.compress(showing(levels))


def test_a_text_of_the_name_of_a_profile_is_none() -> None:
    data = with_chunks(
        encode(stored(BANDS)), chunk(*profile_chunk(BANDS)), chunk(b"tEXt", b"icc_profile\0")
    )
    expected = canonical(encode(PHOTO))
    assert canonical(data).distance_bits(expected) <= 20
    assert nearest(data, expected) <= 20


def test_colours_that_are_named_go_before_a_profile_and_both_are_looked_up() -> None:
    """Exchange bands of 60 levels: no level moves far."""
    bands = np.where((LEVELS // 60 % 2) == 0, LEVELS + 60, LEVELS - 60).clip(0, 255)
    named = b"cICP", bytes([1, 13, 0, 1])
    data = with_chunks(encode(PHOTO), chunk(*named), chunk(*profile_chunk(bands)))
    assert canonical(data) == canonical(encode(PHOTO))
    assert nearest(data, canonical(encode(PHOTO))) == 0
    assert nearest(data, canonical(encode(stored(bands)))) <= 20


def test_an_ordinary_profile_is_looked_up_once() -> None:
    data = encode(PHOTO, "JPEG", icc_profile=DISPLAY_P3)
    assert not decode(data, scaled=True).others
