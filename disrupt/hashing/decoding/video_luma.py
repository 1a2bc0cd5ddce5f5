"""Luma of decoded video frames, as a screen shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.transforms import Dihedral
from disrupt.hashing.decoding.display import orientation_of
from disrupt.hashing.decoding.pixels import Picture

if TYPE_CHECKING:
    import av

_WEIGHTS_601, _WEIGHTS_709 = (0.299, 0.114), (0.2126, 0.0722)
"""Weights of red and blue in luma (ITU-R BT.601, BT.709)."""
_GRID = 97
"""Points across, and down, at which a frame is tested for colours that screens cut."""
_APART_SHARE = 0.1
_LEAST_CONTRAST = 4
"""Least difference between shown and stored luma that counts: a share of the shown contrast, which
is taken to be at least so many levels."""


@dataclass(frozen=True, slots=True)
class Luma:
    """The luma of a frame as stored; ``orientation`` is still to be applied.

    ``gain`` scales ``plane`` to 0-255. ``disputed``: some players show it as stored.
    """

    plane: NDArray[np.uint8]
    orientation: Dihedral
    gain: float = 1.0
    disputed: bool = False


def luma_of_frame(frame: av.VideoFrame) -> Luma:
    """Return the luma of a frame: its own plane where that is what a screen shows, else of its RGB.

    Raises as FFmpeg and Pillow do for formats of pixels that they do not convert.
    """
    turn, disputed = orientation_of(frame)
    name = frame.format.name
    planar = name.startswith(("yuv", "nv1", "nv2", "gray"))
    full = name.startswith(("yuvj", "gray")) or frame.color_range == 2  # noqa: PLR2004 JPEG's
    if (
        not planar
        or frame.format.components[0].bits != 8  # noqa: PLR2004
        or (name.startswith("yuv") and _leaves_gamut(frame, full=full))
    ):
        kind = "rgba" if name.startswith("yuva") else "rgb24"
        image = Image.fromarray(frame.to_ndarray(format=kind, threads=1))
        return replace(luma_of_picture(Picture(image, turn)), disputed=disputed)
    luma = _plane(frame, 0)
    if name.startswith("yuva"):
        luma = _on_white(luma, _plane(frame, 3), 255 if full else 235)
    return Luma(luma, turn, 1 if full else 255 / 219, disputed)


def luma_of_picture(picture: Picture) -> Luma:
    """Return the luma of a picture, such as a frame of an animation."""
    return Luma(picture.luma(0, picture.height_px), picture.orientation)


def _leaves_gamut(frame: av.VideoFrame, *, full: bool) -> bool:
    """Tell whether the shown luma differs from the stored one: screens clip colours beyond RGB."""
    luma, blue, red = (_points(_plane(frame, number)) for number in range(3))
    luma = luma if full else (luma - 16) * (255 / 219)
    scale = 1 if full else 255 / 224
    red_weight, blue_weight = _WEIGHTS_709 if frame.colorspace == 1 else _WEIGHTS_601
    green_weight = 1 - red_weight - blue_weight
    red = 2 * (1 - red_weight) * scale * (red - 128)
    blue = 2 * (1 - blue_weight) * scale * (blue - 128)
    green = -(red_weight * red + blue_weight * blue) / green_weight
    shown = sum(
        weight * np.clip(luma + colour, 0, 255)
        for weight, colour in ((red_weight, red), (green_weight, green), (blue_weight, blue))
    )
    apart = float(np.std(shown - np.clip(luma, 0, 255)))
    return apart > _APART_SHARE * max(float(np.std(shown)), _LEAST_CONTRAST)


def _points(plane: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Sample a plane at _GRID x _GRID places, which are the same in planes of other sizes."""
    rows, columns = (np.arange(0.5, _GRID) * side // _GRID for side in plane.shape)
    return plane[np.ix_(rows.astype(int), columns.astype(int))].astype(np.float32)


def _plane(frame: av.VideoFrame, number: int) -> NDArray[np.uint8]:
    """Return a view of a plane of 8 bits, shape (height, width)."""
    plane = frame.planes[number]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _on_white(luma: NDArray[np.uint8], alpha: NDArray[np.uint8], white: int) -> NDArray[np.uint8]:
    """Composite luma on a page of the luma ``white``."""
    opacity = alpha.astype(np.uint16)
    shown: NDArray[np.uint8] = ((luma * opacity + white * (255 - opacity)) // 255).astype(np.uint8)
    return shown
