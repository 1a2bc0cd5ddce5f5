"""Picture files as people have them, and files that are refused."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image
from pillow_heif import register_heif_opener

from rig.media.files.parts import DISPLAY_P3, table_profile
from rig.media.pictures import PHOTOS, begun_png, chunk, encode

register_heif_opener()  # to write them

PHOTO = Image.fromarray(PHOTOS["astronaut"]).resize((900, 700))
SMALL = Image.fromarray(PHOTOS["coffee"]).resize((330, 220))


def files() -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes; the name begins with the kind that decides how near hashes are."""
    yield "plain_85.jpg", encode(PHOTO, "JPEG", quality=85)
    yield "plain_progressive.jpg", encode(PHOTO, "JPEG", progressive=True, subsampling=0)
    yield "plain_grey.jpg", encode(PHOTO.convert("L"), "JPEG")
    yield "plain_small.jpg", encode(SMALL, "JPEG")
    yield "plain_wide.jpg", encode(PHOTO.resize((17_000, 120)), "JPEG")
    yield "plain_photo.png", encode(PHOTO)
    yield "plain_palette.png", encode(PHOTO.quantize(64))
    yield "plain_photo.webp", encode(PHOTO, "WEBP", method=0)
    yield "plain_lossless.webp", encode(SMALL, "WEBP", lossless=True, method=0)
    yield "plain_photo.avif", encode(PHOTO, "AVIF", speed=10)
    yield "plain_photo.gif", encode(PHOTO.quantize(255), "GIF")
    yield "plain_photo.bmp", encode(PHOTO, "BMP")
    exif = Image.Exif()
    for orientation in (3, 5, 6):
        exif[0x0112] = orientation
        yield f"plain_turned_{orientation}.jpg", encode(PHOTO, "JPEG", exif=exif)
    yield "plain_turned_6.webp", encode(PHOTO, "WEBP", exif=exif, method=0)
    yield "plain_turned_6.png", encode(PHOTO, exif=exif)
    yield "plain_turned_6.avif", encode(PHOTO, "AVIF", exif=exif, speed=10)
    alpha = PHOTO.copy()
    ramp = np.tile(np.linspace(0, 255, alpha.width), (alpha.height, 1)).astype(np.uint8)
    alpha.putalpha(Image.fromarray(ramp))
    yield "other_alpha.png", encode(alpha)
    yield "other_alpha.webp", encode(alpha, "WEBP", method=0)
    yield "other_alpha.avif", encode(alpha, "AVIF", speed=10)
    yield "other_p3.jpg", encode(PHOTO, "JPEG", icc_profile=DISPLAY_P3)
    yield "other_p3.png", encode(PHOTO, icc_profile=DISPLAY_P3)
    photo = encode(PHOTO)
    inks = PHOTO.convert("CMYK")
    yield "other_cmyk.jpg", encode(inks, "JPEG")
    yield "other_cmyk_profile.jpg", encode(inks, "JPEG", icc_profile=table_profile())
    yield "other_gamma.png", photo[:33] + chunk(b"gAMA", struct.pack(">I", 70_000)) + photo[33:]
    yield "other_photo.heic", encode(PHOTO, "HEIF", quality=80)
    yield "other_p3.heic", encode(PHOTO, "HEIF", quality=80, icc_profile=DISPLAY_P3)
    yield "other_turned_6.heic", encode(PHOTO, "HEIF", quality=80, exif=exif)
    plain = Image.new("RGB", SMALL.size, (80, 80, 90))
    for kind in ("GIF", "WEBP", "PNG"):
        frames = {"save_all": True, "append_images": [SMALL, SMALL.rotate(180)], "duration": 200}
        yield f"plain_animated.{kind.lower()}", encode(plain, kind, **frames)


def refused() -> Iterator[tuple[str, bytes, str]]:
    """Yield names and bytes of files that are refused, with the reason."""
    photo = encode(PHOTO, "JPEG")
    yield "cancelled.jpg", photo, "cancelled"
    yield "empty.jpg", b"", "empty"
    yield "text.jpg", b"This is no picture.", "not-media"
    yield "drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported"
    yield "photo.tiff", encode(SMALL, "TIFF"), "unsupported"
    yield "header.jpg", photo[:100], "unreadable"
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "HEIF"):
        whole = encode(PHOTO, kind)
        yield f"cut.{kind.lower()}", whole[: len(whole) * 2 // 3], "unreadable"
    yield "damaged.jpg", photo[:300] + bytes(range(256)) * 40, "unreadable"
    yield "large.png", begun_png(16_000, 12_500), "too-large"
    yield "wide.png", begun_png(65_536, 100), "too-large"
    yield "plain.png", encode(Image.new("RGB", (600, 600), "grey")), "featureless"
    stripes = np.tile(np.repeat(np.array([0, 255], np.uint8), 20), (600, 16))
    yield "stripes.png", encode(stripes), "too-regular"
