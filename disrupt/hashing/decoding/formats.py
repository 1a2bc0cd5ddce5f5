"""Table of the picture formats: how each is opened, checked, and shown as browsers show it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from PIL import AvifImagePlugin, BmpImagePlugin, Image, TiffImagePlugin, WebPImagePlugin

from disrupt.core.transforms import Dihedral
from disrupt.hashing.decoding import bmp, exif, gif, isobmff, jpeg, png, tiff, webp
from disrupt.hashing.decoding.apng import AnimatedPngFile
from disrupt.hashing.decoding.colours import (
    profile_of_file,
    profile_of_gamma,
    profile_of_numbers,
)
from disrupt.hashing.decoding.pixels import without_even_end

Size: TypeAlias = tuple[int, int]
File: TypeAlias = Any
"""One of Pillow's files, of the class that its format names."""
Profile: TypeAlias = Callable[[], bytes | None]
"""Makes a colour profile; None where there is nothing to convert."""


def _embedded(file: File, _data: bytes) -> bytes | None:
    profile: bytes | None = file.info.get("icc_profile")
    return profile


def _orientation(file: File, _data: bytes) -> Dihedral:
    block: bytes = file.info.get("exif") or b""
    return exif.orientation(block.removeprefix(b"Exif\0\0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """Properties of one format. Its functions take an opened file and the file's bytes."""

    opens: Callable[[io.BytesIO], File]
    """Pillow's class: Image.open would try other formats, and follow a JPEG's other pictures."""
    repaired: Callable[[bytes], bytes] = bytes
    """Changes a file so that its decoder reads of it what browsers do."""
    sizes_before: Callable[[bytes], Iterable[Size]] = lambda _: ()
    """Sizes to check before a file is opened, which takes memory."""
    sizes: Callable[[File, bytes], Iterable[Size]] = lambda _file, _data: ()
    """Sizes to check beside the picture's own before pixels are decoded."""
    is_animated: bool = False
    pictures_left: Callable[[File, bytes], int] = lambda _file, _data: 0
    """Number of pictures beside the first and its frames, or 1 for any number."""
    is_cut: Callable[[File, bytes], bool] = lambda _file, _data: False
    """Tell whether a file may lack frames or scans although its first image has all rows."""
    embedded: Callable[[File, bytes], bytes | None] = _embedded
    """Bytes of the colour profile that browsers read."""
    numbers: Callable[[File, bytes], tuple[int, int] | None] = lambda _file, _data: None
    """Numbers of its primaries and transfer function."""
    numbers_first: bool = False
    """True if ``numbers`` take precedence over an embedded profile; else they are its fallback."""
    has_gamma: bool = False
    orientation: Callable[[File, bytes], Dihedral] = _orientation
    shown: Callable[[File], Image.Image] = lambda file: file
    """The loaded frame as browsers show it, but for colours and missing rows."""
    readings: Callable[[Image.Image, bytes], Iterable[Image.Image]] = lambda _shown, _data: ()
    """Other versions of a frame that some programs show instead of it."""

    def profiles(self, file: File, data: bytes) -> Iterator[Profile]:
        """Yield the profiles of a file, that which browsers apply first."""
        own = profile_of_file(self.embedded(file, data))
        numbers = self.numbers(file, data) if self.numbers_first or own is None else None
        if numbers:
            yield partial(profile_of_numbers, *numbers)
        gamma = file.info.get("gamma") if self.has_gamma else None
        if own:
            yield lambda: own
        elif gamma and "srgb" not in file.info:
            yield partial(profile_of_gamma, gamma, file.info.get("chromaticity"))


def _tiles(file: File, data: bytes) -> Iterator[Size]:
    yield tiff.tile_size(data, file)  # each is decoded whole
    tiff.keep_depth_of_planes(file)


def _without_end(shown: Image.Image, _data: bytes) -> Iterable[Image.Image]:
    part = without_even_end(shown)
    return [part] if part else ()


def _in_aperture(shown: Image.Image, data: bytes) -> Iterable[Image.Image]:
    box = isobmff.clean_aperture(data, *shown.size)
    return [shown.crop(box)] if box else ()


FORMATS = {
    "JPEG": Format(
        opens=jpeg.JpegFile,
        repaired=jpeg.repaired,
        is_cut=lambda file, _: file.is_open,
        embedded=lambda _, data: jpeg.profile(data),
        orientation=lambda _, data: exif.orientation(jpeg.exif(data)),
        readings=_without_end,
    ),
    "PNG": Format(
        opens=AnimatedPngFile,
        repaired=png.repaired,
        is_animated=True,
        numbers=lambda file, _: file.colour_numbers(),
        numbers_first=True,
        has_gamma=True,
        shown=lambda file: file.shown(),
    ),
    "WebP": Format(
        opens=WebPImagePlugin.WebPImageFile,
        repaired=webp.repaired,
        sizes_before=lambda data: [webp.size(data)],
        is_animated=True,
        # browsers read no profile of an animation, and no orientation
        embedded=lambda file, data: None if file.is_animated else _embedded(file, data),
        orientation=lambda _file, _data: Dihedral.IDENTITY,
    ),
    "AVIF": Format(
        opens=AvifImagePlugin.AvifImageFile,
        repaired=isobmff.with_one_ipma,
        is_animated=True,
        numbers=lambda _, data: isobmff.colour_numbers(data),
        readings=_in_aperture,
    ),
    "GIF": Format(
        opens=gif.GifFile,
        repaired=gif.repaired,
        is_animated=True,
        is_cut=lambda _, data: not gif.is_whole(data),
    ),
    "TIFF": Format(
        opens=TiffImagePlugin.TiffImageFile,
        sizes=_tiles,
        pictures_left=lambda file, data: int(tiff.has_more_pages(data, file)),
        shown=tiff.grey_levels,
    ),
    "BMP": Format(
        opens=BmpImagePlugin.BmpImageFile,
        embedded=lambda file, _: bmp.profile(file),
        shown=bmp.shown,
    ),
}
"""The formats that this installation decodes, by name."""

with contextlib.suppress(ImportError):  # the extra "heic" need not be installed
    from pillow_heif import HeifImageFile

    FORMATS["HEIC"] = Format(
        opens=HeifImageFile,
        repaired=isobmff.with_one_ipma,
        sizes_before=isobmff.declared_sizes,
        pictures_left=lambda file, _: file.n_frames - 1,
    )
