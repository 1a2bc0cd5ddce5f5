"""Decoded pictures: their pixels as a page shows them, in every mode that Pillow has for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.transforms import Dihedral

_STRIP_PX = 256

_OPAQUE_LEVEL = 247
"""Mean level of alpha from which the page does not matter, as of rounded corners and shadows."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture as it is stored: ``orientation`` is still to be applied to its pixels.

    A frame of an animation is shown for ``duration_ms``, and ``frames_left`` come after it.
    ``others`` are the pictures that some programs show instead. ``unseen`` counts what else is in
    the file and is not decoded, such as later pages. ``behind`` is the colour of the page, which
    transparent pixels show.
    """

    image: Image.Image
    orientation: Dihedral
    duration_ms: int = 0
    frames_left: int = 0
    others: tuple[Image.Image, ...] = ()
    unseen: int = 0
    behind: Literal["white", "black"] = "white"

    @property
    def width_px(self) -> int:
        """Width as stored."""
        return self.image.width

    @property
    def height_px(self) -> int:
        """Height as stored."""
        return self.image.height

    @property
    def aspect(self) -> float:
        """Width over height as a page shows it: odd symmetries exchange the two."""
        aspect = self.image.width / self.image.height
        return 1 / aspect if self.orientation % 2 else aspect

    def luma(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Return the luma of the rows ``top`` to ``bottom``, shape (bottom - top, width).

        (19595 R + 38470 G + 7471 B + 32768) >> 16 of 8-bit RGB, which is Pillow's conversion to
        ``L``. ValueError where a mode cannot be shown, for any rows alike.
        """
        return np.asarray(_opaque(self._rows(top, bottom), self.behind).convert("L"))

    def page(self) -> NDArray[np.uint8]:
        """Return the luma of all rows, upright, shape (height, width); converted in strips."""
        luma = np.empty((self.height_px, self.width_px), np.uint8)
        for top in range(0, self.height_px, _STRIP_PX):
            bottom = min(top + _STRIP_PX, self.height_px)
            luma[top:bottom] = self.luma(top, bottom)
        return np.ascontiguousarray(oriented(luma, self.orientation))

    def rgb(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Return the colours of the rows ``top`` to ``bottom``, shape (bottom - top, width, 3)."""
        return np.asarray(_opaque(self._rows(top, bottom), self.behind).convert("RGB"))

    def _rows(self, top: int, bottom: int) -> Image.Image:
        return self.image.crop((0, top, self.image.width, bottom))


def oriented(pixels: NDArray[np.uint8], dihedral: Dihedral) -> NDArray[np.uint8]:
    """Return a view of pixels (height, width, ...): first mirrored left to right, then turned."""
    mirror, quarter_turns = divmod(int(dihedral), 4)
    return np.rot90(pixels[:, ::-1] if mirror else pixels, -quarter_turns)


def _opaque(image: Image.Image, behind: str) -> Image.Image:
    """Convert to 8 bits without transparency: composited on a colour, as a page shows it."""
    if image.mode in {"F", "I"}:
        raise ValueError("numbers without a range are no grey levels")
    if image.mode.startswith("I;16"):
        image = from_16_bits(image)
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        page = Image.new("RGB", image.size, behind)
        page.paste(colours, mask=colours.getchannel("A"))
        return page
    return image if image.mode in {"L", "RGB"} else image.convert("RGB")


def shows_page(image: Image.Image) -> bool:
    """Tell whether a picture is so transparent that it looks different on another page."""
    if not image.has_transparency_data:
        return False
    if image.mode.startswith("I;16"):
        return True
    opacity = 0
    for top in range(0, image.height, _STRIP_PX):
        rows = image.crop((0, top, image.width, min(top + _STRIP_PX, image.height)))
        alpha = (rows if rows.mode in {"LA", "RGBA"} else rows.convert("RGBA")).getchannel("A")
        opacity += int(np.asarray(alpha).sum())
    return opacity < _OPAQUE_LEVEL * image.width * image.height


def without_even_end(image: Image.Image) -> Image.Image | None:
    """Return a picture without the rows of one colour at its end; None if they are not half of it.

    A decoder makes such rows where the header of a JPEG declares more height than there are data.
    """
    for top in (image.height - 1, image.height // 2):
        end = np.asarray(image.crop((0, top, *image.size)))
        if (end != end[-1, -1]).any():
            return None
    pixels = np.asarray(image)
    rows = (pixels != pixels[-1, -1]).reshape(image.height, -1).any(axis=1)
    return image.crop((0, 0, image.width, int(rows.nonzero()[0][-1]) + 1)) if rows.any() else None


def from_16_bits(image: Image.Image) -> Image.Image:
    """Convert grey of 16 bits to 8: the upper byte, as of 16-bit colours. Pillow would clip.

    With alpha where a level means transparent.
    """
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    if "transparency" in image.info:
        keyed = values == image.info["transparency"]
        grey.putalpha(Image.fromarray(np.where(keyed, np.uint8(0), np.uint8(255))))
    return grey
