"""Colours of pictures with a colour profile, as sRGB: what a browser shows, and hashes."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms, ImageFile

from disrupt.hashing.decoding.pixels import from_16_bits
from disrupt.hashing.decoding.profiles import colours_of, has_table, profile_of, shows_colours

_OUTPUT_MODES = {"L": "RGB", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB"}

_LIKE = {"P": "RGBA", "PA": "RGBA", "RGBa": "RGBA", "YCbCr": "RGB"}
"""Modes that no transform takes, and the modes that they are converted to first."""

_ALIKE_LEVELS = 2
"""A profile that moves no colour by more than this is sRGB by another name."""

_FAR_LEVELS = 64
"""Ordinary profiles, wide ones too, move no luma by more than this."""

_EXACT_LEVELS = 16
"""Largest difference in luma at which a quick conversion replaces the exact one."""

# A cube of colours, and greys of all levels: a curve may be unlike sRGB's between the cube's.
_CUBE = np.indices((6, 6, 6)).reshape(3, -1).T * 51
_SWATCHES = Image.fromarray(
    np.concatenate([_CUBE, np.arange(256)[:, None].repeat(3, axis=1)])[None].astype(np.uint8)
)


class UnreadProfileError(Exception):
    """A profile that may change a picture, and cannot be applied."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion of a picture's colours to sRGB. For one thread.

    ``moves_far`` marks one without which the picture may be another one.
    """

    transform: ImageCms.ImageCmsTransform
    moves_far: bool = False


def conversion_to_srgb(image: ImageFile.ImageFile) -> Conversion | None:
    """Return the conversion that a profile asks for; None to take colours as they are.

    None without a profile or with sRGB's, and with one that is damaged or for another kind of
    colours, which browsers ignore too. Needs the header only. UnreadProfileError for one that
    browsers may read nevertheless.
    """
    profile = profile_of(image)
    if not profile or not shows_colours(profile):
        return None
    mode = _colours(image, colours_of(profile))
    if mode not in _OUTPUT_MODES:
        return None
    try:
        if mode == "CMYK":
            return Conversion(_transform(profile, mode, ImageCms.Flags.NONE), moves_far=True)
        # Quick to build and slow to apply, which suits a few swatches.
        exact = _transform(profile, mode, ImageCms.Flags.NOOPTIMIZE)
        swatches = _SWATCHES.convert(mode)
        shown = exact.apply(swatches)
        if not has_table(profile) and _moved(swatches, shown, shown.mode) <= _ALIKE_LEVELS:
            return None
        transform = _transform(profile, mode, ImageCms.Flags.NONE)
        if _moved(transform.apply(swatches), shown, shown.mode) > _EXACT_LEVELS:
            transform = exact
        moves_far = (
            has_table(profile)
            or _moved(swatches, shown, "L") > _FAR_LEVELS
            or _falls(shown) > _ALIKE_LEVELS
        )
        return Conversion(transform, moves_far)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise UnreadProfileError from error


def to_srgb(image: Image.Image, conversion: Conversion) -> Image.Image:
    """Convert an image to sRGB. Modifies the argument."""
    transform = conversion.transform
    if image.mode.startswith("I;16"):
        image = from_16_bits(image)
    if transform.input_mode == "L":
        return _grey_to_srgb(image, transform)
    if image.mode != transform.input_mode:
        image = image.convert(transform.input_mode)
    return transform.apply(image, image if transform.output_mode == image.mode else None)


def _colours(image: Image.Image, kind: bytes) -> str:
    """Return the mode in which the colours of a picture go through a transform of such colours."""
    if image.mode in {"L", "LA"} or image.mode.startswith("I;16"):
        if kind != b"RGB":
            return "L"
        return "RGBA" if image.has_transparency_data else "RGB"
    return "RGBA" if "transparency" in image.info else _LIKE.get(image.mode, image.mode)


def _grey_to_srgb(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    """Convert grey; keep transparency, which a transform of grey does not take."""
    if not image.has_transparency_data:
        return transform.apply(image)
    both = image.convert("LA")
    shown = transform.apply(both.getchannel("L"))
    shown.putalpha(both.getchannel("A"))
    return shown


def _moved(before: Image.Image, after: Image.Image, mode: str) -> int:
    """Return by how many levels colours differ at most, in this mode."""
    levels = (np.asarray(image.convert(mode), np.int16) for image in (before, after))
    return int(np.abs(np.subtract(*levels)).max())


def _falls(swatches: Image.Image) -> int:
    """Return by how many levels a grey is darker than the one before it, at most."""
    greys = np.asarray(swatches.convert("L"), np.int16)[0, len(_CUBE) :]
    return int(-np.diff(greys).min())


def _transform(profile: bytes, mode: str, flags: ImageCms.Flags) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        _OUTPUT_MODES[mode],
        # As browsers do: without compensation for what black the profile has.
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=flags,
    )
