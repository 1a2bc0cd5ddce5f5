"""A photograph, and what files of several formats are made of: EXIF blocks and colour profiles."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from skimage.data import data_dir

PHOTO = Image.open(f"{data_dir}/coffee.png").convert("RGB").resize((225, 149))
"""Odd sides, which chroma and interlacing have to round."""

WIDTH, HEIGHT = PHOTO.size
LARGE = Image.open(f"{data_dir}/coffee.png").convert("RGB")  # 600 x 400: more than is hashed

GREY = PHOTO.convert("L")
PALETTE = PHOTO.quantize(256)
OTHER = Image.open(f"{data_dir}/chelsea.png").convert("RGB").resize(PHOTO.size)
"""Another photograph, for what must not be shown."""


def faded(*, corners: bool = False) -> Image.Image:
    """Return PHOTO with alpha: fading from left to right, or opaque but for its corners."""
    x, y = np.meshgrid(*(np.linspace(-1, 1, side) for side in PHOTO.size))
    shown: NDArray[np.float64] = 40 * (1.6 - x**6 - y**6) if corners else 0.55 + 0.55 * x
    image = PHOTO.copy()
    image.putalpha(Image.fromarray((255 * shown.clip(0, 1)).round().astype(np.uint8)))
    return image


FADED, CORNERS = faded(), faded(corners=True)
HALF_CLEAR = PHOTO.copy()
"""A page shows it paler, with the same hash but for rounding."""
HALF_CLEAR.putalpha(128)
LYING = PHOTO.transpose(Image.Transpose.ROTATE_90)
"""PHOTO as it is stored with orientation 6."""


BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG = 1, 2, 3, 4, 5, 6, 7, 8, 9
TYPES = {
    BYTE: ("BYTE", "B"),
    SHORT: ("SHORT", "H"),
    LONG: ("LONG", "I"),
    SBYTE: ("SBYTE", "b"),
    UNDEFINED: ("UNDEFINED", "B"),
    SSHORT: ("SSHORT", "h"),
    SLONG: ("SLONG", "i"),
}
"""Types of EXIF fields, with a name and the format of a value."""

ORIENTATION = 0x0112


def tiff(entries: list[bytes], order: str = "<", *, at: int = 8, following: bytes = b"") -> bytes:
    """Return an EXIF block without a prefix, of one directory at ``at``."""
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, at)
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries)
    return head.ljust(at, b"\0") + directory + (following or bytes(4))


def entry(value: int, kind: int = SHORT, count: int = 1, order: str = "<") -> bytes:
    """Return a directory entry that holds an orientation."""
    packed = struct.pack(order + TYPES[kind][1], value)
    return struct.pack(order + "HHI", ORIENTATION, kind, count) + packed.ljust(4, b"\0")


def exif(value: int, kind: int = SHORT, count: int = 1, order: str = "<") -> bytes:
    return tiff([entry(value, kind, count, order)], order)


def cut(data: bytes, *shares: float, of: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield a file cut at some shares of it; ``of`` says which."""
    for share in shares or (0.3, 0.6, 0.95):
        yield f"{of}cut at {share:.0%}", data[: int(share * len(data))]


def with_zeros(data: bytes, count: int = 100) -> bytes:
    """Write zeros into the middle of a file."""
    middle = len(data) // 2
    return data[:middle] + bytes(count) + data[middle + count :]


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
"""A description of an orientation that browsers do not read."""


def fixed(*values: float) -> bytes:
    """Write numbers with 16 bits after the point."""
    return np.round(np.array(values) * 0x10000).astype(">i4").tobytes()


def gamma(value: float) -> bytes:
    """Return a curve of a power."""
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def parametric(kind: int, *values: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + fixed(*values)


def curve(levels: NDArray[np.float64]) -> bytes:
    """Return a curve of values from 0 to 1."""
    values = np.round(levels * 0xFFFF).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + values.tobytes()


SRGB_CURVE = parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

SRGB_XYZ = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
P3_XYZ = ((0.5151, 0.2412, -0.0011), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE_XYZ = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
PROPHOTO_XYZ = ((0.7977, 0.288, 0), (0.1352, 0.7119, 0), (0.0313, 0.0001, 0.8249))


def profile(kind: bytes, tags: dict[bytes, bytes], version: int = 2) -> bytes:
    """Return a profile (ICC.1) of a kind: class, colours and connection space."""
    table, body, start = b"", b"", 132 + 12 * len(tags)
    places: dict[bytes, int] = {}
    for name, value in tags.items():
        if value not in places:
            places[value] = start + len(body)
            body += value.ljust(-(-len(value) // 4) * 4, b"\0")
        table += name + struct.pack(">II", places[value], len(value))
    head = bytes([version, 0x40, 0, 0]) + kind + bytes(12) + b"acsp" + bytes(28)
    head += fixed(0.9642, 1, 0.8249) + bytes(48)
    size = struct.pack(">II", start + len(body), 0)
    return size + head + struct.pack(">I", len(tags)) + table + body


def of_primaries(
    xyz: tuple[tuple[float, ...], ...] = SRGB_XYZ,
    shown: bytes = gamma(1.2),
    *,
    kind: bytes = b"mntrRGB XYZ ",
    version: int = 2,
    **tags: bytes,
) -> bytes:
    """Return a profile of primaries and a curve; by default of one that darkens a picture."""
    every = {name + b"TRC": shown for name in (b"r", b"g", b"b")}
    for name, values in zip((b"r", b"g", b"b"), xyz, strict=True):
        every[name + b"XYZ"] = b"XYZ \0\0\0\0" + fixed(*values)
    return profile(kind, every | {name.encode(): tag for name, tag in tags.items()}, version)


def grey_profile(value: float) -> bytes:
    return profile(b"mntrGRAYXYZ ", {b"kTRC": gamma(value)})


def in_lab(image: Image.Image) -> Image.Image:
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = ImageCms.applyTransform(image, to_lab)
    assert lab is not None
    return lab


def table_profile(kind: bytes = b"prtrCMYKLab ", *, deep: bool = False) -> bytes:
    """Return a profile with a table, of 8 or 16 bits: CMYK or RGB, a third darker than plain."""
    inks = {b"CMYK": 4, b" RGB": 3, b"RGB ": 3}[kind[4:8]]
    steps = 5
    places = np.indices((steps,) * inks).reshape(inks, -1).T / (steps - 1)
    colours = (1 - places[:, :3]) * (1 - places[:, 3:]) if inks == 4 else places
    stored = Image.fromarray((255 * colours**1.4).round().astype(np.uint8)[None])
    # An offset, where Pillow has signs.
    table = np.asarray(in_lab(stored)) ^ np.array([0, 128, 128], np.uint8)
    shape = bytes([inks, 3, steps, 0]) + fixed(*np.eye(3).ravel())
    if deep:
        straight = struct.pack(">HH", 0, 0xFFFF)
        levels = (table.astype(np.uint16) << 8).astype(">u2").tobytes()
        body = b"mft2\0\0\0\0" + shape + struct.pack(">HH", 2, 2)
        body += inks * straight + levels + 3 * straight
    else:
        straight = bytes(range(256))
        body = b"mft1\0\0\0\0" + shape + inks * straight + table.tobytes() + 3 * straight
    return profile(kind, {b"A2B0": body})


LEVELS = np.arange(256)


def linear(levels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the light of levels of sRGB, from 0 to 1."""
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


def in_primaries(stored: bytes) -> Image.Image:
    """Return PHOTO in the colours of a profile."""
    to_stored = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(stored)),
        "RGB",
        "RGB",
    )
    image = ImageCms.applyTransform(PHOTO, to_stored)
    assert image is not None
    return image


def in_light_inks() -> Image.Image:
    """Return PHOTO in inks that table_profile() darkens to it."""
    inks = 255 * (1 - (np.asarray(PHOTO) / 255) ** (1 / 1.4))
    coloured = Image.fromarray(inks.round().astype(np.uint8)).split()
    return Image.merge("CMYK", (*coloured, Image.new("L", PHOTO.size)))


def in_levels_of_gamma(value: float, bits: int = 8) -> Image.Image:
    """Return GREY in levels that a profile of this gamma shows as it; without, 34 bits away."""
    stored = linear(np.asarray(GREY)) ** (1 / value) * (2**bits - 1)
    return Image.fromarray(stored.round().astype(np.uint8 if bits == 8 else np.uint16))


DISPLAY_P3 = of_primaries(P3_XYZ, SRGB_CURVE, version=4)
ADOBE_RGB = of_primaries(ADOBE_XYZ, gamma(2.19921875))
PROPHOTO = of_primaries(PROPHOTO_XYZ, gamma(1.8))
DARK = of_primaries()
"""A profile with which PHOTO has another hash, and which is no reason for two readings."""


USUAL = (
    "sRGB",
    "Display P3",
    "Adobe RGB",
    "ProPhoto",
    "gamma 1.2",
    "negative",
    "version 5",
    "empty",
)


def profiles(*names: str) -> dict[str, bytes]:
    """Return profiles of RGB, all or some: those in use, and damaged and rare ones."""
    levels = np.linspace(0, 1, 256)
    bad_at = DARK.index(b"rTRC") + 4
    every = {
        "sRGB": of_primaries(SRGB_XYZ, SRGB_CURVE, version=4),
        "Display P3": DISPLAY_P3,
        "Adobe RGB": ADOBE_RGB,
        "ProPhoto": PROPHOTO,
        "gamma 1.2": DARK,
        "gamma 1": of_primaries(shown=gamma(1)),
        "gamma 3": of_primaries(shown=gamma(3)),
        "curve of 256": of_primaries(shown=curve(levels**1.3)),
        "curve of 40 000": of_primaries(shown=curve(np.linspace(0, 1, 40_000) ** 1.3)),
        "curve of none": of_primaries(shown=b"curv" + bytes(8)),
        "negative": of_primaries(shown=curve(1 - levels)),
        "para 0": of_primaries(shown=parametric(0, 1.3), version=4),
        "para 1": of_primaries(shown=parametric(1, 1.3, 0.9, 0.1), version=4),
        "para 2": of_primaries(shown=parametric(2, 1.3, 0.9, 0.05, 0.05), version=4),
        "para 4": of_primaries(shown=parametric(4, 1.3, 0.9, 0.1, 0.5, 0.04, 0, 0), version=4),
        "primaries exchanged": of_primaries(SRGB_XYZ[::-1], SRGB_CURVE),
        "table of 8 bits": table_profile(b"mntrRGB Lab "),
        "table of 16 bits": table_profile(b"mntrRGB Lab ", deep=True),
        "version 4": of_primaries(version=4),
        "version 5": of_primaries(version=5),
        "version 0": of_primaries(version=0),
        "class scanner": of_primaries(kind=b"scnrRGB XYZ "),
        "class link": of_primaries(kind=b"linkRGB XYZ "),
        "class abstract": of_primaries(kind=b"abstRGB XYZ "),
        "class unknown": of_primaries(kind=b"????RGB XYZ "),
        "Lab connection": of_primaries(kind=b"mntrRGB Lab "),
        "for grey": grey_profile(1.2),
        "for CMYK": table_profile(),
        "no curve of red": DARK.replace(b"rTRC", b"xTRC"),
        "no signature": DARK.replace(b"acsp", b"abcd"),
        "a tag outside": DARK[:bad_at] + b"\x7f" + DARK[bad_at + 1 :],
        "cut in its tags": DARK[:-40],
        "cut in its head": DARK[:100],
        "longer than it says": DARK + bytes(100),
        "says more than it is": struct.pack(">I", len(DARK) + 64) + DARK[4:],
        "empty": b"",
        "zeros": bytes(3000),
    }
    return {name: every[name] for name in names} or every
