"""Decoded pictures: their pixels as a page shows them, in every mode that Pillow has for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.transforms import Dihedral


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture as it is stored: ``orientation`` is still to be applied to its pixels.

    Of a frame of an animation also how long it is shown and how many come after it.
    """

    image: Image.Image
    orientation: Dihedral
    duration_ms: int = 0
    frames_left: int = 0

    @property
    def width_px(self) -> int:
        """Width as stored."""
        return self.image.width

    @property
    def height_px(self) -> int:
        """Height as stored."""
        return self.image.height

    def luma(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Luma of the rows ``top`` to ``bottom``, shape (bottom - top, width).

        (19595 R + 38470 G + 7471 B + 32768) >> 16 of 8-bit RGB, which is Pillow's conversion to
        ``L``. ValueError where a mode cannot be shown, for any rows alike.
        """
        return np.asarray(_opaque(self._rows(top, bottom)).convert("L"))

    def rgb(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Colours of the rows ``top`` to ``bottom``, shape (bottom - top, width, 3)."""
        return np.asarray(_opaque(self._rows(top, bottom)).convert("RGB"))

    def _rows(self, top: int, bottom: int) -> Image.Image:
        return self.image.crop((0, top, self.image.width, bottom))


def oriented(pixels: NDArray[np.uint8], dihedral: Dihedral) -> NDArray[np.uint8]:
    """View of pixels (height, width, ...): mirrored left to right if so named, then turned."""
    mirror, quarter_turns = divmod(int(dihedral), 4)
    return np.rot90(pixels[:, ::-1] if mirror else pixels, -quarter_turns)


def _opaque(image: Image.Image) -> Image.Image:
    """8-bit version without transparency: composited on white, as a page shows it."""
    if image.mode in {"F", "I"}:
        raise ValueError("numbers without a range are no grey levels")
    if image.mode.startswith("I;16"):
        return from_16_bits(image)
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        page = Image.new("RGB", image.size, "white")
        page.paste(colours, mask=colours.getchannel("A"))
        return page
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def from_16_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits to 8: the upper byte, as of 16-bit colours. Pillow would clip instead."""
    values = np.asarray(image)
    grey = (values >> 8).astype(np.uint8)
    grey[values == image.info.get("transparency")] = 255
    return Image.fromarray(grey)
