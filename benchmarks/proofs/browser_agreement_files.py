"""Picture files that a browser's hashes and Python's are compared of, by kinds."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.harness import videos
from benchmarks.harness.colour_profiles import ADOBE_RGB, DISPLAY_P3, PROPHOTO
from benchmarks.harness.photographs import photographs
from disrupt.core.media import LowQuality
from disrupt.hashing import fingerprint_image

Encoder: TypeAlias = Callable[[Image.Image, np.random.Generator], bytes]

_LONGER_PX = (256, 1000)
"""Bounds of a picture's longer side: the canonical square has 512 px."""

_LEAST_SHARE = 0.5
"""Smallest share of a photograph's width, and of its height, that a crop of it has."""

_10_BITS = videos.Codec("avif", "libsvtav1", {"preset": "10", "crf": "20"}, "yuv420p10le")


def pictures(count: int, seed: int) -> Iterator[Image.Image]:
    """Yield crops of the photographs of this machine, resized and edited, that can be registered.

    Each photograph comes once before any comes again. Modes RGB and L.
    """
    every = list(photographs())
    order = np.random.default_rng(seed).permutation(len(every))
    numbers = itertools.count()
    while count:
        number = next(numbers)
        _, load = every[order[number % len(every)]]
        picture = _edited(load(), np.random.default_rng([seed, number]))
        if not isinstance(fingerprint_image(bmp(picture)), LowQuality):
            count -= 1
            yield picture


def _edited(photograph: Image.Image, chance: np.random.Generator) -> Image.Image:
    shares = chance.uniform(_LEAST_SHARE, 1, 2)
    places = chance.uniform(0, 1 - shares)
    left, top = places * photograph.size
    right, bottom = (places + shares) * photograph.size
    scale = chance.integers(*_LONGER_PX, endpoint=True) / max(right - left, bottom - top)
    width, height = round((right - left) * scale), round((bottom - top) * scale)
    part = photograph.resize(
        (width, height), Image.Resampling.LANCZOS, (left, top, right, bottom), reducing_gap=2
    )
    edits: tuple[Callable[[Image.Image], Image.Image], ...] = (
        lambda image: image,
        ImageOps.mirror,
        ImageOps.grayscale,
        lambda image: image.transpose(Image.Transpose.ROTATE_90),
        lambda image: ImageEnhance.Contrast(image).enhance(chance.uniform(0.5, 1.5)),
    )
    edited = edits[chance.integers(len(edits))](part)
    edited.info.clear()  # PNG and AVIF would get the photograph's profile
    return edited


def bmp(picture: Image.Image) -> bytes:
    """Return a file of exactly these pixels."""
    return _encoded(picture, "BMP")


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def _jpeg(picture: Image.Image, chance: np.random.Generator, **options: object) -> bytes:
    quality, subsampling, progressive = chance.integers((60, 0, 0), (96, 3, 2)).tolist()
    options |= {"subsampling": subsampling, "progressive": bool(progressive)}
    return _encoded(picture, "JPEG", quality=quality, **options)


def _png(picture: Image.Image, chance: np.random.Generator, **options: object) -> bytes:
    if picture.mode == "RGB" and chance.random() < 0.2:
        picture = picture.quantize(128)
    return _encoded(picture, "PNG", compress_level=1, **options)


def _webp(picture: Image.Image, chance: np.random.Generator, **options: object) -> bytes:
    lossless = bool(chance.random() < 0.2)
    quality = int(chance.integers(60, 96))
    return _encoded(picture, "WEBP", method=0, lossless=lossless, quality=quality, **options)


def _avif(picture: Image.Image, chance: np.random.Generator, **options: object) -> bytes:
    subsampling = str(chance.choice(["4:2:0", "4:2:2", "4:4:4"]))
    quality = int(chance.integers(50, 96))
    return _encoded(picture, "AVIF", speed=10, quality=quality, subsampling=subsampling, **options)


def _with_profile(picture: Image.Image, chance: np.random.Generator) -> bytes:
    encode = (_jpeg, _png, _webp, _avif)[chance.integers(4)]
    profile = (DISPLAY_P3, ADOBE_RGB, PROPHOTO)[chance.integers(3)]
    return encode(picture.convert("RGB"), chance, icc_profile=profile)


def _with_alpha(picture: Image.Image, chance: np.random.Generator) -> bytes:
    """Encode a picture that fades to one side, or whose corners are round."""
    x, y = np.meshgrid(*(np.linspace(-1, 1, side) for side in picture.size))
    shown: NDArray[np.float64]
    if chance.random() < 0.5:
        angle = chance.uniform(0, 2 * np.pi)
        shown = 0.75 + 0.5 * (x * np.cos(angle) + y * np.sin(angle))
    else:
        shown = 40 * (chance.uniform(1, 1.5) - (x**6 + y**6))
    picture = picture.convert("RGB")
    picture.putalpha(Image.fromarray((255 * shown.clip(0, 1)).round().astype(np.uint8)))
    return (_png, _webp, _avif)[chance.integers(3)](picture, chance)


def _avif_of_10_bits(picture: Image.Image, _: np.random.Generator) -> bytes:
    width, height = (side // 2 * 2 for side in picture.size)
    pixels = np.asarray(picture.convert("RGB"))[:height, :width]
    return videos.encode([np.ascontiguousarray(pixels)], codec=_10_BITS)


def _heic(picture: Image.Image, chance: np.random.Generator) -> bytes:
    file = io.BytesIO()
    coloured = picture.convert("RGB")
    if chance.random() < 0.5:
        coloured.info["icc_profile"] = DISPLAY_P3
    pillow_heif.from_pillow(coloured).save(file, quality=int(chance.integers(50, 96)))
    return file.getvalue()


KINDS: dict[str, Encoder] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "avif": _avif,
    "profile": _with_profile,
    "alpha": _with_alpha,
    "avif_10_bits": _avif_of_10_bits,
    "heic": _heic,
}
"""Kinds of files; the first four without profile and alpha, of 8 bits."""
