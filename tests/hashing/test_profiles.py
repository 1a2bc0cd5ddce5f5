"""A colour profile that shows another picture than the stored one hides neither."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from benchmarks.harness.colour_profiles import LEVELS, fixed, linear, profile
from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.hashing import ImageQuery, hash_image
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.images import canonical_hash
from tests.hashing import formats
from tests.hashing.formats import DISPLAY_P3

PHOTO = formats.PHOTO.resize((300, 200))
GREY = PHOTO.convert("L")


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def showing(levels: NDArray[Any], kind: bytes = b"mntrRGB XYZ ") -> bytes:
    """Return a profile that shows each stored level as another one of sRGB."""
    values = np.round(linear(levels) * 65535).astype(">u2")
    curve = b"curv\0\0\0\0" + struct.pack(">I", 256) + values.tobytes()
    if kind[4:8] == b"GRAY":
        return profile(kind, {b"kTRC": curve})
    colorants = {
        b"r": (0.4361, 0.2225, 0.0139),
        b"g": (0.3851, 0.7169, 0.0971),
        b"b": (0.1431, 0.0606, 0.7141),
    }
    tags = {name + b"TRC": curve for name in colorants}
    for name, xyz in colorants.items():
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(np.array(xyz))
    return profile(kind, tags)


def with_a_table(shown: bytes, *, named: bytes) -> bytes:
    """Return a profile that has a table of colours, which shows the negative, too."""
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * 255
    colours = Image.fromarray((255 - corners)[None].astype(np.uint8))
    in_lab = ImageCms.applyTransform(
        colours,
        ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        ),
    )
    assert in_lab is not None
    straight = bytes(range(256))
    table = np.asarray(in_lab) ^ np.array([0, 128, 128], np.uint8)
    head = b"mft1\0\0\0\0" + bytes([3, 3, 2, 0]) + fixed(np.eye(3).ravel())
    body = head + 3 * straight + table.tobytes() + 3 * straight
    tags = {}
    for at in range(132, 132 + 12 * int.from_bytes(shown[128:132]), 12):
        place, size = struct.unpack(">II", shown[at + 4 : at + 12])
        tags[shown[at : at + 4]] = shown[place : place + size]
    return profile(b"mntrRGB Lab ", {**tags, named: body})


NEGATIVE = showing(255 - LEVELS)
BANDS = np.where(LEVELS % 51, 255 - LEVELS, LEVELS)


def stored(levels: NDArray[Any], image: Image.Image = PHOTO) -> Image.Image:
    return Image.fromarray(levels[np.asarray(image)].astype(np.uint8))


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    return png[:33] + b"".join(chunks) + png[33:]


def registered(data: bytes) -> PdqHash:
    outcome = canonical_hash(decode(data))
    assert not isinstance(outcome, LowQuality)
    return outcome[0]


def nearest(data: bytes, pdq_hash: PdqHash) -> int:
    query = hash_image(data, effort=Effort.FAST)
    assert isinstance(query, ImageQuery)
    return min(code.distance_bits(pdq_hash) for code, _ in query.hashes)


def gamma(value: float) -> bytes:
    """Return a PNG of PHOTO as this gamma shows it."""
    levels = np.round(255 * linear(LEVELS) ** value)
    png = encode(stored(levels))
    return with_chunks(png, chunk(b"gAMA", struct.pack(">I", round(value * 100_000))))


def of_class(kind: str, name: bytes) -> bytes:
    shown = showing(255 - LEVELS, name + b"RGB XYZ ")
    return encode(ImageOps.invert(PHOTO), kind, quality=95, icc_profile=shown)


def grey(kind: str, mode: str = "L") -> bytes:
    image = ImageOps.invert(GREY).convert(mode)
    if mode == "I":
        image = Image.fromarray((np.asarray(image) * 257).astype(np.uint16))
    return encode(image, kind, quality=95, icc_profile=NEGATIVE)


def table(name: bytes, image: Image.Image) -> bytes:
    return encode(image, icc_profile=with_a_table(showing(LEVELS), named=name))


def with_tags(shown: bytes, count: int) -> bytes:
    """Return a profile with so many more tags, which come first."""
    tags = [(b"x%03d" % number, b"") for number in range(count)]
    places = range(132, 132 + 12 * int.from_bytes(shown[128:132]), 12)
    for at in places:
        place, size = struct.unpack(">II", shown[at + 4 : at + 12])
        tags.append((shown[at : at + 4], shown[place : place + size]))
    return profile(shown[12:24], dict(tags))


def with_long_curves(levels: NDArray[Any]) -> bytes:
    values = np.round(linear(np.repeat(levels, 160)) * 65535).astype(">u2")
    curve = b"curv\0\0\0\0" + struct.pack(">I", len(values)) + values.tobytes()
    tags = {name + b"TRC": curve for name in (b"r", b"g", b"b")}
    shown = showing(levels)
    for at in range(132, 132 + 12 * int.from_bytes(shown[128:132]), 12):
        place, size = struct.unpack(">II", shown[at + 4 : at + 12])
        tags.setdefault(shown[at : at + 4], shown[place : place + size])
    return profile(shown[12:24], tags)


def profile_after_the_size() -> bytes:
    """Return a JPEG whose profile stands between the size and the pixels."""
    data = encode(ImageOps.invert(PHOTO), "JPEG", quality=95, icc_profile=NEGATIVE)
    segment = 2 + int.from_bytes(data[22:24])
    parts, rest = data[20 : 20 + segment], data[:20] + data[20 + segment :]
    assert parts[4:15] == b"ICC_PROFILE"
    at = rest.index(b"\xff\xda")
    return rest[:at] + parts + rest[at:]


def profile_of_bmp() -> bytes:
    data = encode(ImageOps.invert(PHOTO), "BMP")
    pixels = data[54:]
    header = bytearray(data[14:54] + bytes(84))
    header[:4] = struct.pack("<I", 124)
    header[56:60] = b"DEBM"
    header[112:120] = struct.pack("<II", 124 + len(pixels), len(NEGATIVE))
    return data[:10] + struct.pack("<I", 14 + 124) + header + pixels + NEGATIVE


def grey_black() -> bytes:
    """Return a PNG whose profile shows level 0 as a grey, as no ordinary one does."""
    dark = PHOTO.point(lambda level: level * 110 // 255)
    shown = np.where((LEVELS > 0) & (LEVELS <= 111), (LEVELS + 54) % 111, 125)
    image = Image.fromarray((1 + (np.asarray(dark) + 56) % 111).astype(np.uint8))
    return encode(image, icc_profile=showing(shown))


SHOWN: dict[str, Callable[[], bytes]] = {
    "an abstract profile": partial(of_class, "JPEG", b"abst"),
    "a link": partial(of_class, "PNG", b"link"),
    "named colours": partial(of_class, "WEBP", b"nmcl"),
    "no class": partial(of_class, "AVIF", b"junk"),
    "grey JPEG": partial(grey, "JPEG"),
    "grey PNG": partial(grey, "PNG"),
    "grey TIFF": partial(grey, "TIFF"),
    "grey and alpha": partial(grey, "PNG", "LA"),
    "grey of 16 bits": partial(grey, "PNG", "I"),
    "bands": lambda: encode(stored(BANDS), icc_profile=showing(BANDS)),
    "grey bands": lambda: encode(stored(BANDS, GREY), icc_profile=showing(BANDS, b"mntrGRAYXYZ ")),
    "a table": partial(table, b"A2B0", ImageOps.invert(PHOTO)),
    "the other table": partial(table, b"A2B1", ImageOps.invert(PHOTO)),
    "a table that browsers pass over": partial(table, b"A2B2", PHOTO),
    "dark gamma": partial(gamma, 0.05),
    "many tags": lambda: encode(ImageOps.invert(PHOTO), icc_profile=with_tags(NEGATIVE, 110)),
    "long curves": lambda: encode(
        ImageOps.invert(PHOTO), icc_profile=with_long_curves(255 - LEVELS)
    ),
    "after the size of a JPEG": profile_after_the_size,
    "BMP": profile_of_bmp,
    "a grey for black": grey_black,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWN)
def test_what_a_profile_shows_is_hashed(name: str) -> None:
    data, expected = SHOWN[name](), registered(encode(PHOTO))
    assert registered(data).distance_bits(expected) <= 20
    assert nearest(data, expected) <= 20


def test_curves_of_very_many_values_show_what_short_ones_do() -> None:
    levels = Image.fromarray(LEVELS.astype(np.uint8).reshape(16, 16)).convert("RGB")
    short, long = (
        np.asarray(decode(encode(levels, icc_profile=shown)).image, np.int16)
        for shown in (NEGATIVE, with_long_curves(255 - LEVELS))
    )
    assert np.abs(long - short).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_what_is_stored_is_looked_up_beside_what_a_profile_shows(kind: str) -> None:
    data = encode(PHOTO, kind, quality=95, icc_profile=NEGATIVE)
    assert nearest(data, registered(encode(PHOTO))) <= 20
    assert nearest(data, registered(encode(ImageOps.invert(PHOTO)))) <= 20
    query = hash_image(data, effort=Effort.FAST)
    assert isinstance(query, ImageQuery)
    assert query.frames_skipped == 0


def test_a_profile_that_only_browsers_read_counts_as_a_frame_not_examined() -> None:
    """Of a table with curves of more values than are read here."""
    shown = with_a_table(showing(LEVELS), named=b"A2B0").replace(b"mft1", b"mft3")
    data = encode(PHOTO, icc_profile=shown)
    query = hash_image(data, effort=Effort.FAST)
    assert isinstance(query, ImageQuery)
    assert query.frames_skipped == 1
    assert nearest(data, registered(encode(PHOTO))) == 0
    assert registered(data) == registered(encode(PHOTO))


@pytest.mark.parametrize("image", [PHOTO, GREY], ids=["RGB", "L"])
def test_a_profile_of_a_later_version_or_cut_short_is_ignored(image: Image.Image) -> None:
    for unread in (
        NEGATIVE[:8] + b"\5" + NEGATIVE[9:],
        struct.pack(">I", len(NEGATIVE) + 4) + NEGATIVE[4:],
        NEGATIVE[:100],
        NEGATIVE[:8],
    ):
        plain = encode(image)
        assert registered(encode(image, icc_profile=unread)) == registered(plain)


def test_chromaticities_are_applied_with_gamma() -> None:
    """Red and blue exchange their places, and so do those of their primaries."""
    red, green, blue = PHOTO.split()
    png = encode(Image.merge("RGB", (blue, green, red)))
    xy = (31270, 32900, 15000, 6000, 30000, 60000, 64000, 33000)
    chunks = chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"cHRM", struct.pack(">8I", *xy))
    shown = decode(with_chunks(png, *chunks)).image
    assert np.abs(np.asarray(shown, np.int16) - np.asarray(PHOTO, np.int16)).mean() < 4


def colours_of_png(*chunks: tuple[bytes, bytes]) -> bytes:
    return with_chunks(encode(stored(BANDS)), *(chunk(*each) for each in chunks))


def profile_chunk(levels: NDArray[Any]) -> tuple[bytes, bytes]:
    return b"iCCP", b"icc\0\0" + zlib.compress(showing(levels))


@pytest.mark.parametrize(
    "later",
    [(b"tEXt", b"icc_profile\0"), profile_chunk(LEVELS), (b"sRGB", b"\0")],
    ids=["a text of that name", "another profile", "sRGB"],
)
def test_of_several_profiles_the_first_is_shown(later: tuple[bytes, bytes]) -> None:
    data = colours_of_png(profile_chunk(BANDS), later)
    expected = registered(encode(PHOTO))
    assert registered(data).distance_bits(expected) <= 20
    assert nearest(data, expected) <= 20


def test_of_several_gammas_the_first_is_shown() -> None:
    data = gamma(0.05)
    plain = chunk(b"gAMA", struct.pack(">I", 45455))
    at = data.index(b"IDAT") - 4
    assert registered(data[:at] + plain + data[at:]) == registered(data)


def test_colours_that_are_named_go_before_a_profile_and_both_are_looked_up() -> None:
    """Exchange bands of 60 levels: no level moves far."""
    bands = np.where((LEVELS // 60 % 2) == 0, LEVELS + 60, LEVELS - 60).clip(0, 255)
    named = b"cICP", bytes([1, 13, 0, 1])
    data = with_chunks(encode(PHOTO), chunk(*named), chunk(*profile_chunk(bands)))
    assert registered(data) == registered(encode(PHOTO))
    assert nearest(data, registered(encode(PHOTO))) == 0
    assert nearest(data, registered(encode(stored(bands)))) <= 20


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"gAMA", struct.pack(">I", 45455))],
        [(b"gAMA", struct.pack(">I", 0))],
        [(b"gAMA", struct.pack(">I", 100_000)), (b"sRGB", b"\0")],
        [(b"cHRM", struct.pack(">8I", *[31270, 32900, 15000, 6000, 30000, 60000, 64000, 33000]))],
    ],
)
def test_chunks_that_mean_srgb_or_nothing_change_nothing(
    chunks: list[tuple[bytes, bytes]],
) -> None:
    png = encode(PHOTO)
    data = with_chunks(png, *(chunk(*each) for each in chunks))
    assert registered(data) == registered(png)


@pytest.mark.parametrize("xy", [[0] * 8, [2**31] * 8, [31270, 32900] * 4])
def test_chromaticities_that_are_none_are_taken_for_those_of_srgb(xy: list[int]) -> None:
    chunks = chunk(b"gAMA", struct.pack(">I", 100_000)), chunk(b"cHRM", struct.pack(">8I", *xy))
    png = encode(stored(np.round(255 * linear(LEVELS))))
    assert registered(with_chunks(png, *chunks)).distance_bits(registered(encode(PHOTO))) <= 4


def test_an_ordinary_profile_is_looked_up_once() -> None:
    data = encode(PHOTO, "JPEG", icc_profile=DISPLAY_P3)
    assert not decode(data, scaled=True).others
