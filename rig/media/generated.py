"""Generate pictures to submit: smooth noise that hashes well, and one without features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def noise(chance: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw a picture with features of its own."""
    coarse = chance.integers(0, 256, (12, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def picture(path: Path, seed: int, side_px: int = 200) -> Path:
    """Write a picture with features of its own."""
    _picture(seed, side_px).save(path)
    return path


def _picture(seed: int, side_px: int) -> Image.Image:
    return noise(np.random.default_rng(seed), (side_px, side_px))


def animation(path: Path, *seeds: int, side_px: int = 200) -> Path:
    """Write an animation of the pictures of these seeds, a tenth of a second each."""
    frames = [_picture(seed, side_px) for seed in seeds]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    return path


def plain(path: Path) -> Path:
    """Write a picture of one colour."""
    Image.new("RGB", (200, 200), (120, 130, 140)).save(path)
    return path


def no_picture(path: Path) -> Path:
    """Write a file that is no picture."""
    path.write_text("Ceci n'est pas une image.")
    return path
