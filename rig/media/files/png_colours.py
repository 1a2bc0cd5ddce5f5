"""PNG files whose chunks say what their colours are."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from rig.media.files.parts import (
    DARK,
    DISPLAY_P3,
    GREY,
    LEVELS,
    PHOTO,
    grey_profile,
    in_levels_of_gamma,
    linear,
    profiles,
    showing,
    table_profile,
    with_a_table,
)
from rig.media.files.png import (
    COLOURS,
    COLOURS_ALPHA,
    FADED_GREY,
    FADED_RGB,
    GREY_ALPHA,
    GREYS,
    LUMA,
    PLTE,
    RGB,
    deep,
    indexed,
    plain,
    png,
)
from rig.media.pictures import chunk, encode

SRGB_XY = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3_XY = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
PROPHOTO_XY = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
SRGB = chunk(b"sRGB", b"\0")

CODES = {
    "sRGB": (1, 13),
    "Display P3": (12, 13),
    "BT.709": (1, 1),
    "BT.2020": (9, 14),
    "gamma 2.2": (1, 4),
    "gamma 2.8": (1, 5),
    "linear": (1, 8),
    "PQ": (9, 16),
    "HLG": (9, 18),
    "PQ of sRGB": (1, 16),
    "unspecified": (2, 2),
    "reserved": (3, 3),
    "log": (1, 9),
    "SMPTE 428": (1, 17),
    "P3, limited range": (12, 13, 0, 0),
    "P3, matrix 1": (12, 13, 1),
}
"""Primaries, transfer and, where not 0 and 1, matrix and range (ITU-T H.273)."""


def gama(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def chrm(*values: float) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values)))


def iccp(profile: bytes, name: bytes = b"icc") -> bytes:
    return chunk(b"iCCP", name + b"\0\0" + zlib.compress(profile))


def cicp(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes([primaries, transfer, matrix, full]))


def redrawn() -> Iterator[tuple[str, bytes]]:
    """Yield files whose samples are another picture, of which a profile or a gamma makes PHOTO."""

    def stored(levels: NDArray[Any], image: Image.Image = PHOTO) -> Image.Image:
        return Image.fromarray(levels[np.asarray(image)].astype(np.uint8))

    bands = np.where(LEVELS % 51, 255 - LEVELS, LEVELS)
    in_bands, of_grey = stored(bands), showing(bands, b"mntrGRAYXYZ ")
    yield "bands", encode(in_bands, icc_profile=showing(bands))
    yield "bands of grey", encode(stored(bands, GREY), icc_profile=of_grey)
    text = chunk(b"tEXt", b"icc_profile\0")
    samples = np.asarray(in_bands, np.uint16)
    yield "bands, a text of the name of a profile", png(samples, before=iccp(showing(bands)) + text)
    # Browsers use the first table, and no later one.
    for name, image in {b"A2B1": ImageOps.invert(PHOTO), b"A2B2": PHOTO, b"D2B0": PHOTO}.items():
        table = with_a_table(showing(LEVELS), named=name)
        yield f"table {name.decode()}", encode(image, icc_profile=table)
    dark = np.asarray(stored(np.round(255 * linear(LEVELS) ** 0.05)), np.uint16)
    yield "gAMA 0.05, of a bright picture", png(dark, before=gama(0.05))
    pale = in_levels_of_gamma(3)
    yield (
        "grey of gamma 3, one level transparent",
        encode(pale, icc_profile=grey_profile(3), transparency=255),
    )
    # No ordinary profile shows level 0 as a grey.
    darker = np.asarray(PHOTO.point(lambda level: level * 110 // 255))
    shown = np.where((LEVELS > 0) & (LEVELS <= 111), (LEVELS + 54) % 111, 125)
    moved = Image.fromarray((1 + (darker + 56) % 111).astype(np.uint8))
    yield "grey for black", encode(moved, icc_profile=showing(shown))


def files() -> Iterator[tuple[str, bytes]]:
    dark, profile, damaged = gama(0.7), iccp(DARK), iccp(DARK[:100])
    for value in (0, 0.1, 0.3, 0.4, 0.44, 0.45455, 0.47, 0.5, 0.55, 0.7, 1, 2, 5):
        yield f"gAMA {value}", plain(gama(value))
    for name, xy in {"sRGB": SRGB_XY, "P3": P3_XY, "ProPhoto": PROPHOTO_XY}.items():
        yield f"cHRM {name}", plain(chrm(*xy))
        yield f"gAMA 0.45455, cHRM {name}", plain(gama(0.45455) + chrm(*xy))
        yield f"gAMA 0.7, cHRM {name}", plain(dark + chrm(*xy))
    for name, chunks in {
        "gAMA 0.7, cHRM of zeros": dark + chrm(*[0] * 8),
        "gAMA 0.7, cHRM of one point": dark + chrm(*[0.3] * 8),
        "gAMA 0.7, cHRM cut": dark + chunk(b"cHRM", bytes(20)),
        "sRGB": SRGB,
        "sRGB, gAMA 0.7": SRGB + dark,
        "gAMA 0.7, sRGB": dark + SRGB,
        "sRGB of an unknown intent, gAMA 0.7": chunk(b"sRGB", b"\x09") + dark,
        "sRGB too long, gAMA 0.7": chunk(b"sRGB", b"\0\0") + dark,
        "sRGB, profile": SRGB + profile,
        "profile, sRGB": profile + SRGB,
        "gAMA 0.7, profile": dark + profile,
        "gAMA 0.7, damaged profile": dark + damaged,
        "sRGB, gAMA 0.7, damaged profile": SRGB + dark + damaged,
        "two profiles": profile + iccp(DISPLAY_P3),
        "two gAMA": gama(0.45455) + dark,
        "profile of no name": iccp(DARK, b""),
        "profile of a long name": iccp(DARK, b"n" * 90),
        "profile compressed badly": chunk(b"iCCP", b"icc\0\0" + zlib.compress(DARK)[:-20]),
        **{f"profile, {name}": iccp(content) for name, content in profiles().items()},
        **{f"cICP {name}": cicp(*codes) for name, codes in CODES.items()},
        "cICP too short": chunk(b"cICP", b"\1\x08"),
        "cICP sRGB, profile": cicp(1, 13) + profile,
        "profile, cICP sRGB": profile + cicp(1, 13),
        "cICP unspecified, profile": cicp(2, 2) + profile,
        "cICP sRGB, gAMA 0.7": cicp(1, 13) + dark,
    }.items():
        yield name, plain(chunks)
    yield from redrawn()
    yield "gAMA 0.7 after the pixels", plain(after=dark)
    yield "profile after the pixels", plain(after=profile)
    yield "cICP linear after the pixels", plain(after=cicp(1, 8))
    for name, chunks in {"gAMA 0.7": dark, "profile": profile, "cICP linear": cicp(1, 8)}.items():
        yield f"{name}, 16 bits", png(deep(RGB, 16), COLOURS, 16, chunks)
        yield f"{name}, grey", png(LUMA, GREYS, 8, chunks)
        yield f"{name}, alpha", png(FADED_RGB, COLOURS_ALPHA, 8, chunks)
        yield f"{name}, palette", indexed(chunks + PLTE)
        yield f"{name} after the palette", indexed(PLTE + chunks)
    for name, content in {"grey": grey_profile(1.2), "CMYK": table_profile()}.items():
        yield f"grey, profile of {name}", png(LUMA, GREYS, 8, iccp(content))
        yield f"grey of 16 bits, profile of {name}", png(deep(LUMA, 16), GREYS, 16, iccp(content))
        yield f"grey and alpha, profile of {name}", png(FADED_GREY, GREY_ALPHA, 8, iccp(content))
