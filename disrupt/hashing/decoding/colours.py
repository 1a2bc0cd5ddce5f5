"""Convert the colours of pictures to sRGB, which is what a page shows, by LittleCMS.

1. ``profile_of_file`` or, of files that describe their colours without one, ``profile_of_numbers``
   and ``profile_of_gamma`` give a profile that says what the stored colours are (ICC.1).
2. ``conversion_to_srgb`` converts some swatches, to see whether that changes them, and how much.
3. ``to_srgb`` converts the pixels.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile

from disrupt.hashing.decoding.pixels import from_16_bits

_HEAD_BYTES, _ENTRY_BYTES, _MOST_TAGS = 132, 12, 10_000
_LATEST_VERSION = 4
_TABLE = b"A2B0"

_OUTPUT_MODES = {"L": "RGB", "RGB": "RGB", "RGBA": "RGBA", "CMYK": "RGB"}

_CONVERTED_TO = {"P": "RGBA", "PA": "RGBA", "RGBa": "RGBA", "YCbCr": "RGB"}
"""Modes that LittleCMS does not read, and the modes that such pictures are converted to first."""

_ALIKE_LEVELS = 2
"""Most levels by which a profile may move a colour and be taken for that of sRGB."""

_FAR_LEVELS = 64
"""Most levels by which ordinary profiles, wide ones too, move luma."""

_EXACT_LEVELS = 16
"""Most levels by which the fast transform may differ from the exact one, and take its place."""

# A cube of colours, and greys of all levels: a curve may be unlike sRGB's between the cube's.
_CUBE = np.indices((6, 6, 6)).reshape(3, -1).T * 51
_SWATCHES = Image.fromarray(
    np.concatenate([_CUBE, np.arange(256)[:, None].repeat(3, axis=1)])[None].astype(np.uint8)
)

_D65 = (0.3127, 0.329)
_SRGB_GAMMA, _SRGB_PRIMARIES = 1 / 2.2, (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
_ALIKE_SHARE, _ALIKE_XY = 0.05, 0.01
"""Differences of gamma, as a share, and of chromaticities up to which they are taken for sRGB's."""

_PRIMARIES = {
    1: (*_D65, *_SRGB_PRIMARIES),
    5: (*_D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (*_D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
"""x and y of white, red, green and blue by their number (ITU-T H.273, table 2)."""

_SRGB_TRANSFER = 13
_GAMMAS = {1: 2.4, 4: 2.2, 5: 2.8, 6: 2.4, 8: 1.0, 11: 2.4, 14: 2.4, 15: 2.4}
"""Powers by which Chromium applies transfer functions (table 3); those of television as BT.1886."""

_UNREAD_TRANSFERS = {7, 16, 17, 18}
"""Transfer functions, PQ and HLG among them, whose light each browser maps in a way of its own."""

_D50 = np.array([0.9642, 1, 0.8249])
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""Bradford's matrix, by which profiles adapt colours to D50."""


class UnreadColoursError(Exception):
    """Colours are described in a way that cannot be converted here as browsers do it."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A conversion of a picture's colours to sRGB. Not thread-safe.

    ``moves_far``: without it, the picture may look like another one.
    """

    transform: ImageCms.ImageCmsTransform
    moves_far: bool = False


def profile_of_file(profile: bytes | None) -> bytes | None:
    """Return an embedded profile, changed so that LittleCMS reads it as browsers do.

    Browsers ignore its class and its D2B tables, and prefer the table A2B0 to A2B1. None for a
    profile that they pass over: its head is damaged, it is cut short, or of a version after 4.
    """
    if not profile or profile[36:40] != b"acsp" or profile[8] > _LATEST_VERSION:
        return None
    if len(profile) < max(int.from_bytes(profile[:4]), _HEAD_BYTES):
        return None
    count = min(int.from_bytes(profile[128:_HEAD_BYTES]), _MOST_TAGS)
    tags = profile[_HEAD_BYTES : _HEAD_BYTES + count * _ENTRY_BYTES]
    hidden = rb"D2B|A2B1" if _TABLE in tags else rb"D2B"
    tags = re.sub(hidden, lambda name: name[0].lower(), tags)
    return (
        b"".join((profile[:12], b"mntr", profile[16:_HEAD_BYTES], tags))
        + profile[_HEAD_BYTES + len(tags) :]
    )


def profile_of_numbers(primaries: int, transfer: int) -> bytes | None:
    """Return the profile of primaries and a transfer function given by number (ITU-T H.273).

    None for numbers that browsers pass over. UnreadColoursError for _UNREAD_TRANSFERS.
    """
    xy = _PRIMARIES.get(primaries)
    if xy is None:
        return None
    if transfer in _UNREAD_TRANSFERS:
        raise UnreadColoursError
    if transfer == _SRGB_TRANSFER:
        return _rgb_profile(_linear, xy)
    power = _GAMMAS.get(transfer)
    return None if power is None else _rgb_profile(lambda levels: levels**power, xy)


def profile_of_gamma(gamma: float, xy: tuple[float, ...] | None) -> bytes | None:
    """Return the profile of the chunks gAMA and cHRM of a PNG file (PNG, section 11.3.2).

    ``gamma`` is some 1/2.2; ``xy`` are the chromaticities of white, red, green and blue, those of
    sRGB if None. Returns None where both are near to those of sRGB, or are no colours.
    """
    usual = (*_D65, *_SRGB_PRIMARIES)
    xy = xy or usual
    is_usual = all(abs(value - other) < _ALIKE_XY for value, other in zip(xy, usual, strict=True))
    if abs(gamma / _SRGB_GAMMA - 1) < _ALIKE_SHARE and is_usual:
        return None
    try:
        return _rgb_profile(lambda levels: levels ** (1 / gamma), xy)
    except (ArithmeticError, np.linalg.LinAlgError):
        return None


def conversion_to_srgb(image: ImageFile.ImageFile, profile: bytes) -> Conversion | None:
    """Return the conversion from a profile to sRGB; None to take colours as they are.

    None for a profile like that of sRGB, and for one of another kind of colours than the picture's,
    which browsers pass over. Only the header of ``image`` has to be read. UnreadColoursError where
    LittleCMS refuses the profile.
    """
    mode = _mode(image, profile[16:20].rstrip())
    if mode is None:
        return None
    try:
        if mode == "CMYK":
            return Conversion(_transform(profile, mode, ImageCms.Flags.NONE), moves_far=True)
        # Quick to build and slow to apply, which suits a few swatches.
        exact = _transform(profile, mode, ImageCms.Flags.NOOPTIMIZE)
        swatches = _SWATCHES.convert(mode)
        shown = exact.apply(swatches)
        # A few swatches do not show the rest of a table.
        has_table = any(name in profile[_HEAD_BYTES:] for name in (_TABLE, b"A2B1"))
        if not has_table and _moved(swatches, shown, shown.mode) <= _ALIKE_LEVELS:
            return None
        transform = _transform(profile, mode, ImageCms.Flags.NONE)
        if _moved(transform.apply(swatches), shown, shown.mode) > _EXACT_LEVELS:
            transform = exact
        moves_far = (
            has_table or _moved(swatches, shown, "L") > _FAR_LEVELS or _falls(shown) > _ALIKE_LEVELS
        )
        return Conversion(transform, moves_far)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise UnreadColoursError from error


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


def _mode(image: Image.Image, kind: bytes) -> str | None:
    """Return the mode in which a picture is converted from a profile; None if it cannot be.

    ``kind`` is the profile's space of colours: b"GRAY", b"RGB" or b"CMYK".
    """
    is_grey = image.mode in {"L", "LA"} or image.mode.startswith("I;16")
    if is_grey and kind == b"GRAY":
        return "L"
    if is_grey:
        mode = "RGBA" if image.has_transparency_data else "RGB"
    else:
        mode = "RGBA" if "transparency" in image.info else _CONVERTED_TO.get(image.mode, image.mode)
    is_for_it = kind == (b"CMYK" if mode == "CMYK" else b"RGB")
    return mode if is_for_it and mode in _OUTPUT_MODES else None


def _grey_to_srgb(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    """Convert grey; keep transparency, which a transform of grey does not take."""
    if not image.has_transparency_data:
        return transform.apply(image)
    both = image.convert("LA")
    shown = transform.apply(both.getchannel("L"))
    shown.putalpha(both.getchannel("A"))
    return shown


def _moved(before: Image.Image, after: Image.Image, mode: str) -> int:
    """Return the largest difference of two images in any band of a mode, in levels."""
    levels = (np.asarray(image.convert(mode), np.int16) for image in (before, after))
    return int(np.abs(np.subtract(*levels)).max())


def _falls(swatches: Image.Image) -> int:
    """Return by how many levels luma falls at most from a grey swatch to the next lighter one."""
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


def _linear(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert levels of sRGB to linear light, both from 0 to 1."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004


def _rgb_profile(
    light: Callable[[NDArray[np.float64]], NDArray[np.float64]], xy: tuple[float, ...]
) -> bytes:
    """Make an RGB profile.

    ``light`` converts levels to linear light, both from 0 to 1. ``xy``, and errors, as of
    ``_adapted``.
    """
    values = np.round(light(np.arange(256) / 255) * 0xFFFF).astype(">u2")
    curve = b"curv\0\0\0\0" + struct.pack(">I", len(values)) + values.tobytes()
    tags = {name + b"TRC": curve for name in (b"r", b"g", b"b")}
    for name, colour in zip((b"r", b"g", b"b"), _adapted(*xy).T, strict=True):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + _fixed(colour)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        at = _HEAD_BYTES + len(tags) * _ENTRY_BYTES + len(body)
        table += name + struct.pack(">II", at, len(value))
        body += value
    head = b"\2\x40\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + _fixed(_D50) + bytes(48)
    size = 8 + len(head) + len(table) + len(body)
    return struct.pack(">II", size, 0) + head + table + body


def _adapted(*xy: float) -> NDArray[np.float64]:
    """Return XYZ of red, green and blue as columns, shape (3, 3), adapted from a white to D50.

    ``xy`` are the chromaticities of white, red, green and blue; ArithmeticError or LinAlgError
    where they are no colours.
    """
    x, y = np.array(xy).reshape(4, 2).T
    if not y.all():
        raise ZeroDivisionError
    white, *primaries = np.stack([x / y, np.ones(4), (1 - x - y) / y], axis=1)
    columns = np.stack(primaries, axis=1)
    adapt = np.linalg.inv(_CONES) @ np.diag((_CONES @ _D50) / (_CONES @ white)) @ _CONES
    adapted: NDArray[np.float64] = adapt @ (columns * np.linalg.solve(columns, white))
    return adapted


def _fixed(values: NDArray[np.float64]) -> bytes:
    """Pack numbers as s15Fixed16 (ICC.1), clipped to its range."""
    return np.round(np.clip(values, -0x7FFF, 0x7FFF) * 0x10000).astype(">i4").tobytes()
