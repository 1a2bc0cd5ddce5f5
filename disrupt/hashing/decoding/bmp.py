"""Read the colour profile of BMP files, and ignore an alpha channel that is 0 everywhere."""

from __future__ import annotations

import struct
from typing import IO, cast

from PIL import BmpImagePlugin, Image

_HEADER_AT, _HEADER_BYTES = 14, 124


def profile(image: BmpImagePlugin.BmpImageFile) -> bytes | None:
    """Return the colour profile that a header of version 5 points to; None for other headers."""
    file = cast("IO[bytes]", image.fp)
    file.seek(_HEADER_AT)
    header = file.read(_HEADER_BYTES)
    if header[:4] != struct.pack("<I", _HEADER_BYTES) or header[56:60] != b"DEBM":
        return None
    at, size = struct.unpack_from("<II", header, 112)
    file.seek(_HEADER_AT + at)
    return file.read(size)


def shown(file: BmpImagePlugin.BmpImageFile) -> Image.Image:
    """Return the picture without its alpha channel if that is 0 everywhere, as in screenshots.

    Chromium shows nothing of such a file, other programs show the picture.
    """
    if file.mode == "RGBA" and not file.getchannel("A").getbbox():
        return file.convert("RGB")
    return file
