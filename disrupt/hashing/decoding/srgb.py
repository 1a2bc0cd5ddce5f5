"""Colours of pictures with an ICC profile, as sRGB: what a browser shows, and hashes."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageCms

from disrupt.hashing.decoding.pixels import from_16_bits

_OUTPUT_MODES = {"L": "RGB", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB"}

_LIKE = {"P": "RGBA", "PA": "RGBA", "RGBa": "RGBA", "YCbCr": "RGB"}
"""Modes that no transform takes, and the modes that they are converted to first."""

_ALIKE_LEVELS = 2
"""A profile that moves no colour by more than this is sRGB by another name."""

_SWATCHES = Image.fromarray(
    np.indices((6, 6, 6)).reshape(3, 1, -1).transpose(1, 2, 0).astype(np.uint8) * 51
)


def transform_to_srgb(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """Return the colour transform that a profile asks for; None to take colours as they are.

    None without a profile or with sRGB's, and with one that is damaged or for another kind of
    colours, which browsers ignore too. Needs the header only. A transform is for one thread.
    """
    profile = image.info.get("icc_profile")
    mode = _colours(image)
    if not profile or mode not in _OUTPUT_MODES:
        return None
    try:
        if mode != "CMYK":
            # Quick to build and slow to apply, which suits a few swatches.
            swatches = _SWATCHES.convert(mode)
            shown = _transform(profile, mode, ImageCms.Flags.NOOPTIMIZE).apply(swatches)
            moved = np.asarray(shown, np.int16) - np.asarray(swatches.convert(shown.mode), np.int16)
            if np.abs(moved).max() <= _ALIKE_LEVELS:
                return None
        return _transform(profile, mode, ImageCms.Flags.NONE)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def to_srgb(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    """Convert an image to sRGB. Modifies the argument."""
    if transform.input_mode == "L":
        return _grey_to_srgb(image, transform)
    if image.mode != transform.input_mode:
        image = image.convert(transform.input_mode)
    return transform.apply(image, image if transform.output_mode == image.mode else None)


def _colours(image: Image.Image) -> str:
    """Return the mode in which the colours of a picture go through a transform."""
    if image.mode in {"L", "LA"} or image.mode.startswith("I;16"):
        return "L"
    return "RGBA" if "transparency" in image.info else _LIKE.get(image.mode, image.mode)


def _grey_to_srgb(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    """Convert grey of 8 or 16 bits; keep transparency, which a transform of grey does not take."""
    if image.mode.startswith("I;16"):
        return transform.apply(from_16_bits(image))
    if not image.has_transparency_data:
        return transform.apply(image)
    both = image.convert("LA")
    shown = transform.apply(both.getchannel("L"))
    shown.putalpha(both.getchannel("A"))
    return shown


def _transform(profile: bytes, mode: str, flags: ImageCms.Flags) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        mode,
        _OUTPUT_MODES[mode],
        flags=flags,
    )
