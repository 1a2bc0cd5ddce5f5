"""Colour profiles of pictures (ICC.1), as browsers read them; those of PNG chunks among them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, ImageFile, JpegImagePlugin, PngImagePlugin

_HEAD_BYTES, _ENTRY_BYTES = 132, 12
_LATEST_VERSION = 4
_CLASSES = {b"scnr", b"mntr", b"prtr", b"spac"}
_MOST_TAGS = 10_000

_TABLE = b"A2B0"
_TAGS = {_TABLE, b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"kTRC"}
"""Tags of a profile that browsers read to show a picture."""

_COLOUR_TAGS = _TAGS - {_TABLE, b"kTRC"}

_BMP_HEADER_AT, _BMP_HEADER_BYTES = 14, 124

_LEVELS = 256
_LONG_CURVE = 0x7FFF
"""Other decoders ignore a curve that has more values than this."""

_SRGB_CHROMATICITIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
"""x and y of white, red, green, blue."""
_SRGB_GAMMA = 1 / 2.2
_ALIKE_SHARE, _ALIKE_XY = 0.05, 0.01
"""Gamma and chromaticities that are this near are those of sRGB."""

_D50 = np.array([0.9642, 1, 0.8249])
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""Bradford's matrix, by which profiles adapt colours to D50."""


def profile_of(image: ImageFile.ImageFile) -> bytes | None:
    """Return the profile that browsers apply to a picture; None if it is taken for sRGB.

    Needs the header only.
    """
    profile = _embedded(image)
    if profile:
        return _as_browsers_read(profile)
    gamma = image.info.get("gamma")
    if not isinstance(image, PngImagePlugin.PngImageFile) or not gamma or "srgb" in image.info:
        return None
    xy = image.info.get("chromaticity", _SRGB_CHROMATICITIES)
    pairs = zip(xy, _SRGB_CHROMATICITIES, strict=True)
    if abs(gamma / _SRGB_GAMMA - 1) < _ALIKE_SHARE and all(
        abs(value - usual) < _ALIKE_XY for value, usual in pairs
    ):
        return None
    return _of_gamma(gamma, xy)


def colours_of(profile: bytes) -> bytes:
    """Return the kind of colours that a profile is for: ``RGB``, ``GRAY``, ``CMYK``."""
    return profile[16:20].rstrip()


def has_table(profile: bytes) -> bool:
    """Tell whether a profile has a table of colours, of which a few do not show the rest."""
    return _TABLE in _entries(profile)


def shows_colours(profile: bytes) -> bool:
    """Tell whether a profile has the tags without which browsers ignore it."""
    tags = _entries(profile).keys()
    return bool(tags & {_TABLE, b"kTRC"}) or tags >= _COLOUR_TAGS


def _embedded(image: ImageFile.ImageFile) -> bytes | None:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return _of_jpeg(image)
    if isinstance(image, BmpImagePlugin.BmpImageFile):
        return _of_bmp(image)
    profile: bytes | None = image.info.get("icc_profile")
    return profile


def _of_jpeg(image: JpegImagePlugin.JpegImageFile) -> bytes | None:
    """Join the parts of a profile, which may stand anywhere before the pixels (ICC.1, B.4).

    Pillow joins those before the size.
    """
    mark = b"ICC_PROFILE\0"
    parts = [
        part[len(mark) :]
        for kind, part in image.applist
        if kind == "APP2" and part.startswith(mark)
    ]
    parts.sort(key=lambda part: part[:1])
    numbers = [(number, len(parts)) for number in range(1, len(parts) + 1)]
    if [tuple(part[:2]) for part in parts] != numbers:
        return None
    return b"".join(part[2:] for part in parts)


def _of_bmp(image: BmpImagePlugin.BmpImageFile) -> bytes | None:
    """Return the profile that a header of version 5 points to."""
    file = cast("IO[bytes]", image.fp)
    file.seek(_BMP_HEADER_AT)
    header = file.read(_BMP_HEADER_BYTES)
    if header[:4] != struct.pack("<I", _BMP_HEADER_BYTES) or header[56:60] != b"DEBM":
        return None
    at, size = struct.unpack_from("<II", header, 112)
    file.seek(_BMP_HEADER_AT + at)
    return file.read(size)


def _as_browsers_read(profile: bytes) -> bytes | None:
    """Return a profile so that others read it as browsers do; None if they ignore it.

    They do not mind its class, and of its tags read those in ``_TAGS``, the first of each; A2B1
    where there is no A2B0.
    """
    size, version = int.from_bytes(profile[:4]), profile[8:9]
    if len(profile) < max(size, _HEAD_BYTES) or version[0] > _LATEST_VERSION:
        return None
    entries = _entries(profile)
    if b"A2B1" in entries:
        entries.setdefault(_TABLE, entries[b"A2B1"])
    table, curves = b"", b""
    for name in sorted(_TAGS & entries.keys()):
        place = entries[name]
        if curve := _resampled(profile, int.from_bytes(place[:4])):
            place = struct.pack(">II", len(profile) + len(curves), len(curve))
            curves += curve
        table += name + place
    kind = profile[12:16] if profile[12:16] in _CLASSES else b"mntr"
    head = struct.pack(">I", len(profile) + len(curves)) + profile[4:12] + kind + profile[16:128]
    table = struct.pack(">I", len(table) // _ENTRY_BYTES) + table
    return head + table + profile[len(head) + len(table) :] + curves


def _resampled(profile: bytes, at: int) -> bytes:
    """Return a curve (ICC.1, 10.6) that is too long for others with a value for each level."""
    kind, count = profile[at : at + 4], int.from_bytes(profile[at + 8 : at + 12])
    if kind != b"curv" or not _LONG_CURVE < count <= (len(profile) - at - 12) // 2:
        return b""
    values = np.frombuffer(profile, ">u2", count, at + 12)
    places = np.linspace(0, count - 1, _LEVELS)
    low, share = places.astype(int), places % 1
    high = np.minimum(low + 1, count - 1)
    levels = values[low] * (1 - share) + values[high] * share
    written: bytes = np.round(levels).astype(">u2").tobytes()
    return profile[at : at + 8] + struct.pack(">I", _LEVELS) + written


def _entries(profile: bytes) -> dict[bytes, bytes]:
    """Return names of tags, the first of each, with their places in the profile."""
    count = min(int.from_bytes(profile[128:_HEAD_BYTES]), _MOST_TAGS)
    end = min(_HEAD_BYTES + count * _ENTRY_BYTES, len(profile) - _ENTRY_BYTES + 1)
    entries: dict[bytes, bytes] = {}
    for at in range(_HEAD_BYTES, end, _ENTRY_BYTES):
        entries.setdefault(profile[at : at + 4], profile[at + 4 : at + _ENTRY_BYTES])
    return entries


def _of_gamma(gamma: float, xy: Iterable[float]) -> bytes:
    """Make the profile that gAMA and cHRM of a PNG file stand for (PNG, sections 11.3.2)."""
    light = np.round((np.arange(256) / 255) ** (1 / gamma) * 0xFFFF).astype(">u2")
    curve = b"curv\0\0\0\0" + struct.pack(">I", len(light)) + light.tobytes()
    try:
        primaries = _adapted(*xy)
    except (ArithmeticError, np.linalg.LinAlgError):
        primaries = _adapted(*_SRGB_CHROMATICITIES)
    tags = {name + b"TRC": curve for name in (b"r", b"g", b"b")}
    for name, colour in zip((b"r", b"g", b"b"), primaries.T, strict=True):
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
    """Return the columns XYZ of red, green and blue, adapted from a white to D50."""
    x, y = np.array(xy).reshape(4, 2).T
    if not y.all():
        raise ZeroDivisionError
    white, *primaries = np.stack([x / y, np.ones(4), (1 - x - y) / y], axis=1)
    columns = np.stack(primaries, axis=1)
    adapt = np.linalg.inv(_CONES) @ np.diag((_CONES @ _D50) / (_CONES @ white)) @ _CONES
    adapted: NDArray[np.float64] = adapt @ (columns * np.linalg.solve(columns, white))
    return adapted


def _fixed(values: NDArray[np.float64]) -> bytes:
    """Write numbers with 16 bits after the point."""
    return np.round(np.clip(values, -0x7FFF, 0x7FFF) * 0x10000).astype(">i4").tobytes()
