"""Files of formats that Chromium shows and nothing is hashed of, or the other way round."""

from __future__ import annotations

from collections.abc import Iterator

from rig.media.files.parts import FADED, PHOTO
from rig.media.pictures import encode


def files() -> Iterator[tuple[str, bytes]]:
    yield "icon of PNG", encode(PHOTO, "ICO", sizes=[(128, 128)])
    yield "icon of BMP", encode(FADED, "ICO", sizes=[(128, 128)], bitmap_format="bmp")
    yield "TIFF", encode(PHOTO, "TIFF")
    yield "JPEG 2000", encode(PHOTO, "JPEG2000")
