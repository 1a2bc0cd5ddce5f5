"""TIFF files, which browsers do not show; every one shows PHOTO."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import imwrite

from rig.media.files.parts import (
    GREY,
    HALF_CLEAR,
    LYING,
    PALETTE,
    PHOTO,
    PROPHOTO,
    exif,
    grey_profile,
    in_lab,
    in_levels_of_gamma,
    in_light_inks,
    in_primaries,
    table_profile,
)
from rig.media.pictures import encode, grey_tiff

SIXTEEN = np.uint16(257)
GREY_16 = Image.fromarray(np.asarray(GREY).astype(np.uint16) * SIXTEEN)
OPAQUE = PHOTO.convert("RGBA")
COLOURS_1, APART = struct.pack("<HHII", 277, 4, 1, 1), struct.pack("<HHII", 284, 4, 1, 2)
"""Entries: of one colour, and colours stored one after the other."""


def planes(image: Image.Image, **options: Any) -> bytes:
    """Return a file of 16 bits whose colours are stored one after the other."""
    file = io.BytesIO()
    stored = np.moveaxis(np.asarray(image) * SIXTEEN, -1, 0)
    photometric = "separated" if image.mode == "CMYK" else "rgb"
    imwrite(file, stored, photometric=photometric, planarconfig="separate", **options)
    return file.getvalue()


def of_12_bits(levels: NDArray[np.uint16]) -> bytes:
    """Pack the upper 12 bits of each level, two levels in three bytes."""
    padded = np.pad(levels, ((0, 0), (0, levels.shape[1] % 2)))
    left, right = padded[:, ::2] >> 4, padded[:, 1::2] >> 4
    packed = np.stack([left >> 4, (left & 15) << 4 | right >> 8, right & 255], axis=-1)
    rows = packed.astype(np.uint8).reshape(len(levels), -1)
    return rows[:, : -(-levels.shape[1] * 12 // 8)].tobytes()


def files() -> Iterator[tuple[str, bytes]]:
    for mode, image in {
        "RGB": PHOTO,
        "L": GREY,
        "I;16": GREY_16,
        "RGBA": OPAQUE,
        "LA": OPAQUE.convert("LA"),
        "CMYK": PHOTO.convert("CMYK"),
        "YCbCr": PHOTO.convert("YCbCr"),
        "LAB": in_lab(PHOTO),
        "P": PALETTE,
        "PA": PALETTE.convert("PA"),
        "faded": HALF_CLEAR,
    }.items():
        yield mode, encode(image, "TIFF")
    yield "turned", encode(LYING, "TIFF", exif=exif(6))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield compression, encode(PHOTO, "TIFF", compression=compression)
    yield "jpeg", encode(PHOTO, "TIFF", compression="jpeg", quality=95)
    yield "of 64 bits", encode(PHOTO, "TIFF", big_tiff=True)
    yield "of two pages", encode(PHOTO, "TIFF", save_all=True, append_images=[GREY_16])
    yield from grey()
    for image, name, options in (
        (PHOTO, "strips", {"rowsperstrip": 37, "byteorder": ">"}),
        (OPAQUE, "tiles", {"tile": (64, 128)}),
        (PHOTO.convert("CMYK"), "deflate", {"compression": "zlib"}),
        (LYING, "turned", {"extratags": [(274, "H", 1, 6, True)]}),
        (OPAQUE, "alpha", {"extrasamples": ["assocalpha"]}),
        (OPAQUE, "another level", {"extrasamples": ["unspecified"]}),
    ):
        yield f"{image.mode} of 16 bits, apart, {name}", planes(image, **options)
    yield "CMYK with a profile", encode(in_light_inks(), "TIFF", icc_profile=table_profile())
    wide = in_primaries(PROPHOTO)
    for image in (wide, wide.convert("YCbCr"), wide.quantize(256).convert("PA")):
        yield f"{image.mode}, ProPhoto", encode(image, "TIFF", icc_profile=PROPHOTO)
    dark, deep = in_levels_of_gamma(3), in_levels_of_gamma(3, 16)
    for image in (dark.convert("LA"), deep):
        yield f"{image.mode} with a profile", encode(image, "TIFF", icc_profile=grey_profile(3))


def grey() -> Iterator[tuple[str, bytes]]:
    inverted = np.invert(np.asarray(GREY)).tobytes()
    white_0 = grey_tiff(inverted, PHOTO.size, photometric=0)
    yield "0 is white", white_0
    # The number of colours is 1 where a file does not name it.
    yield "0 is white, apart", white_0.replace(COLOURS_1, APART)
    inverted_16 = np.invert(np.asarray(GREY_16)).tobytes()
    yield "0 is white, 16 bits", grey_tiff(inverted_16, PHOTO.size, bits=16, photometric=0)
    yield "12 bits", grey_tiff(of_12_bits(np.asarray(GREY_16)), PHOTO.size, bits=12)
