"""Read tiles, pages, planes and scales of grey of TIFF files (TIFF 6.0)."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin

_APART = 2
"""Planar configuration of a TIFF file whose colours follow each other, not those of each pixel."""


def tile_size(data: bytes, file: TiffImagePlugin.TiffImageFile) -> tuple[int, int]:
    """Return width and height of a TIFF file's tiles; 0 where it has none.

    ValueError where libtiff, which decodes the file, may read others in its directory (TIFF 6.0,
    section 2): Pillow passes over entries that come again or are of a type it does not know.
    """
    order, entries = _directory(data, file)
    places = entries[: (len(data) - entries.start) // entries.step + 1]
    tags = [int.from_bytes(data[at : at + 2], order) for at in places]
    width, height = TiffImagePlugin.TILEWIDTH, TiffImagePlugin.TILELENGTH
    if any(tags.count(tag) != (tag in file.tag_v2) for tag in (width, height)):
        raise ValueError("a tile of two sizes, or of an unknown one")
    return file.tag_v2.get(width, 0), file.tag_v2.get(height, 0)


def has_more_pages(data: bytes, file: TiffImagePlugin.TiffImageFile) -> bool:
    """Tell whether a file has pages after its first."""
    _, entries = _directory(data, file)
    pointer_bytes = 8 if b"+" in data[2:4] else 4
    return any(data[entries.stop : entries.stop + pointer_bytes])


def keep_depth_of_planes(file: TiffImagePlugin.TiffImageFile) -> None:
    """Make Pillow read colours that are stored in planes at the depth in which they are stored.

    Pillow takes a colour of 16 bits for two of 8. Call this before pixels are loaded. ValueError
    for planes of grey and alpha, as Pillow does not read the second as alpha.
    """
    tags, planes = file.tag_v2, file.tile
    if tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) != _APART:
        return
    if file.mode in {"LA", "PA"}:
        raise ValueError("grey and alpha in planes")
    if file.use_load_libtiff:
        return
    tags[TiffImagePlugin.PLANAR_CONFIGURATION] = 1
    file._setup()  # noqa: SLF001
    if tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1) == 1:
        return
    colours, _, depth = cast("tuple[str, ...]", file.tile[0].args)[0].partition(";")
    if not depth.startswith("16"):
        file.tile = planes
        return
    file.use_load_libtiff = True
    stored = f"{colours.removesuffix('X')};16N", False, tags.offset
    # As stored: Pillow has the size as it is after the orientation.
    extent = 0, 0, tags[TiffImagePlugin.IMAGEWIDTH], tags[TiffImagePlugin.IMAGELENGTH]
    file.tile = [ImageFile._Tile("libtiff", extent, 0, stored)]  # noqa: SLF001


def grey_levels(file: TiffImagePlugin.TiffImageFile) -> Image.Image:
    """Return the picture with grey as 16 bits where 0 is black; Pillow keeps the file's own scale.

    A file's own scale may have 0 for white, or 12 bits (TIFF 6.0, section 8).
    """
    if not file.mode.startswith("I;16"):
        return file
    if file.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE) == (12,):
        return Image.fromarray(np.asarray(file) << 4)
    if file.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        return Image.fromarray(np.invert(np.asarray(file)))
    return file


def _directory(
    data: bytes, file: TiffImagePlugin.TiffImageFile
) -> tuple[Literal["little", "big"], range]:
    """Return the byte order of a TIFF file, and where the entries of its first page are."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"
    count_bytes, entry_bytes = (8, 20) if b"+" in data[2:4] else (2, 12)
    start = file.tag_v2.offset + count_bytes
    count = int.from_bytes(data[start - count_bytes : start], order)
    return order, range(start, start + count * entry_bytes, entry_bytes)
