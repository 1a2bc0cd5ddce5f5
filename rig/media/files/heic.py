"""HEIC files, which Chromium does not show; every one shows PHOTO."""

from __future__ import annotations

from collections.abc import Iterator

from pillow_heif import register_heif_opener

from rig.media.files.parts import (
    GREY,
    HALF_CLEAR,
    LYING,
    PHOTO,
    PROPHOTO,
    exif,
    grey_profile,
    in_levels_of_gamma,
    in_primaries,
)
from rig.media.pictures import encode

register_heif_opener()  # Pillow needs it to write them


def files() -> Iterator[tuple[str, bytes]]:
    for name, image in {"plain": PHOTO, "grey": GREY, "faded": HALF_CLEAR}.items():
        yield name, encode(image, "HEIF", quality=95)
    yield "turned", encode(LYING, "HEIF", exif=exif(6), quality=95)
    wide = in_primaries(PROPHOTO)
    for image in (wide, wide.convert("RGBA")):
        yield f"{image.mode}, ProPhoto", encode(image, "HEIF", icc_profile=PROPHOTO, quality=95)
    dark = in_levels_of_gamma(3)
    yield "grey with a profile", encode(dark, "HEIF", icc_profile=grey_profile(3), quality=95)
