"""BMP files: their profile, and an alpha that counts for none."""

from __future__ import annotations

import struct
from typing import IO, cast

from PIL import BmpImagePlugin, Image

_HEADER_AT, _HEADER_BYTES = 14, 124


def profile(image: BmpImagePlugin.BmpImageFile) -> bytes | None:
    """Return the profile that a header of version 5 points to."""
    file = cast("IO[bytes]", image.fp)
    file.seek(_HEADER_AT)
    header = file.read(_HEADER_BYTES)
    if header[:4] != struct.pack("<I", _HEADER_BYTES) or header[56:60] != b"DEBM":
        return None
    at, size = struct.unpack_from("<II", header, 112)
    file.seek(_HEADER_AT + at)
    return file.read(size)


def shown(file: BmpImagePlugin.BmpImageFile) -> Image.Image:
    """Return the picture without an alpha that is 0 throughout, as grabs of screens leave it.

    Chromium shows nothing of these, others the picture.
    """
    if file.mode == "RGBA" and not file.getchannel("A").getbbox():
        return file.convert("RGB")
    return file
