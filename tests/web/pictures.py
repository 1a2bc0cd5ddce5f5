"""Made pictures, which nothing else resembles."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pillow_heif import register_heif_opener

register_heif_opener()  # Pillow needs it to write HEIF


def noisy(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    """Return RGB pixels with noise: an even slope would be the ascending ordinals of a message."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(10, 246, (16, 16, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR))
    return (smooth + rng.integers(-8, 9, smooth.shape)).astype(np.uint8)


def file_of(pixels: NDArray[np.uint8], kind: str, **options: Any) -> bytes:
    """Return a picture file of a kind of Pillow, or HEIF."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()
