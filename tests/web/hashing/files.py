"""Picture files as people have them, each of a kind that a browser decodes by itself or not."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.harness.colour_profiles import DISPLAY_P3, PROPHOTO
from tests.hashing.formats import GREY_16, PHOTO, ink_profile, turned

SMALL = PHOTO.resize((330, 220))
WIDE = PHOTO.resize((17_000, 120))
TALL = PHOTO.resize((120, 17_000))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the bytes of a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def files() -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of the files; the name begins with what is special about it."""
    yield from _plain()
    yield from _turned()
    yield from _alpha()
    yield from _coloured()
    yield from _animated()
    yield "side_wide.jpg", encode(WIDE, "JPEG")
    yield "side_tall.jpg", encode(TALL, "JPEG")
    yield "side_wide.png", encode(WIDE, "PNG")


def _plain() -> Iterator[tuple[str, bytes]]:
    yield "plain_photo.jpg", encode(PHOTO, "JPEG", quality=85)
    yield "plain_progressive.jpg", encode(PHOTO, "JPEG", progressive=True, subsampling=0)
    yield "plain_422.jpg", encode(PHOTO, "JPEG", subsampling=1)
    yield "plain_grey.jpg", encode(PHOTO.convert("L"), "JPEG")
    yield "plain_small.jpg", encode(SMALL, "JPEG")
    yield "plain_photo.png", encode(PHOTO, "PNG")
    yield "plain_palette.png", encode(PHOTO.quantize(64), "PNG")
    yield "plain_photo.webp", encode(PHOTO, "WEBP", method=0)
    yield "plain_lossless.webp", encode(SMALL, "WEBP", lossless=True, method=0)
    yield "plain_photo.avif", encode(PHOTO, "AVIF", speed=10)
    yield "plain_photo.gif", encode(PHOTO.quantize(255), "GIF")
    yield "plain_photo.bmp", encode(PHOTO, "BMP")


def _turned() -> Iterator[tuple[str, bytes]]:
    for orientation in range(2, 9):
        image, exif = turned(orientation)
        yield f"turned_{orientation}.jpg", encode(image, "JPEG", exif=exif)
    image, exif = turned(6)
    yield "turned_6.webp", encode(image, "WEBP", exif=exif, method=0)
    yield "turnedbox_6.png", encode(image, "PNG", exif=exif)
    yield "turnedbox_6.avif", encode(image, "AVIF", exif=exif, speed=10)


def _alpha() -> Iterator[tuple[str, bytes]]:
    image = PHOTO.copy()
    width, height = image.size
    alpha = np.tile(np.linspace(0, 255, width), (height, 1))
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    yield "alpha.png", encode(image, "PNG")
    yield "alpha.webp", encode(image, "WEBP", method=0)
    yield "alpha.avif", encode(image, "AVIF", speed=10)


def _coloured() -> Iterator[tuple[str, bytes]]:
    yield "profile_p3.jpg", encode(PHOTO, "JPEG", icc_profile=DISPLAY_P3)
    yield "profile_p3.png", encode(PHOTO, "PNG", icc_profile=DISPLAY_P3)
    yield "profile_prophoto.jpg", encode(PHOTO, "JPEG", icc_profile=PROPHOTO)
    yield "profile_16.png", encode(GREY_16, "PNG")
    yield "cmyk.jpg", encode(PHOTO.convert("CMYK"), "JPEG")
    yield "cmykprofile.jpg", encode(PHOTO.convert("CMYK"), "JPEG", icc_profile=ink_profile())
    png = encode(PHOTO, "PNG")
    gamma = b"gAMA" + struct.pack(">I", 70_000)
    chunk = struct.pack(">I", 4) + gamma + struct.pack(">I", zlib.crc32(gamma))
    yield "gamma.png", png[:33] + chunk + png[33:]
    yield "heic.heic", encode(PHOTO, "HEIF", quality=80)
    yield "heic_p3.heic", encode(PHOTO, "HEIF", quality=80, icc_profile=DISPLAY_P3)
    image, exif = turned(6)
    yield "heic_6.heic", encode(image, "HEIF", quality=80, exif=exif)


def _animated() -> Iterator[tuple[str, bytes]]:
    plain = Image.new("RGB", SMALL.size, (80, 80, 90))
    shown = SMALL.rotate(180)
    for kind in ("GIF", "WEBP", "PNG"):
        options = {"save_all": True, "append_images": [SMALL, shown], "duration": 200}
        yield f"animated_plain.{kind.lower()}", encode(plain, kind, **options)
    options = {"save_all": True, "append_images": [SMALL], "duration": 200}
    yield "animated.gif", encode(shown, "GIF", **options)


def refused() -> Iterator[tuple[str, bytes, str]]:
    """Yield names and bytes of files that are refused, with the cause."""
    photo = encode(PHOTO, "JPEG")
    yield "empty.jpg", b"", "NOT_MEDIA"
    yield "text.jpg", b"This is no picture.", "NOT_MEDIA"
    yield "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "UNSUPPORTED"
    yield "photo.tiff", encode(SMALL, "TIFF"), "UNSUPPORTED"
    yield "header.jpg", photo[:100], "UNREADABLE"
    yield "damaged.png", encode(PHOTO, "PNG")[:50], "UNREADABLE"
    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        whole = encode(PHOTO, kind)
        yield f"cut.{kind.lower()}", whole[: len(whole) * 2 // 3], "UNREADABLE"
    yield "noise.jpg", photo[:300] + bytes(range(256)) * 40, "UNREADABLE"
    yield "large.png", _header_of_png(16_000, 12_500), "TOO_LARGE"
    yield "wide.png", _header_of_png(65_536, 100), "TOO_LARGE"
    yield "plain.png", encode(Image.new("RGB", (600, 600), "grey"), "PNG"), "FEATURELESS"
    stripes = np.tile(np.repeat(np.array([0, 255], np.uint8), 20), (600, 16))
    yield "stripes.png", encode(Image.fromarray(stripes), "PNG"), "TOO_REGULAR"


def _header_of_png(width_px: int, height_px: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + crc + encode(SMALL, "PNG")[33:]
