"""Measure distances between PDQ dialects, on real photographs and copies of them.

A dialect is a way in which pixels reach PDQ. Rows are what is registered of the original, columns
what a copy is looked up by: full size, nearest neighbour to 512x512 (the C++ reference and its WASM
build), and Disrupt's own lookup. Prints the tables of a record of dialects (docs/measurements).

    ./scripts/bench dialects
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from benchmarks.harness.photographs import photographs
from disrupt.core.lookups import Effort
from disrupt.core.transforms import Dihedral
from disrupt.hashing import ImageFingerprints, ImageQuery, fingerprint_image, hash_image
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.pdq.linear import hash_luma, hash_rgb
from disrupt.hashing.pdq.luma import canonical_luma

Hashes = list[int]

_SIDE_PX = 2400
_COPY_PX = 1080

EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    **{
        f"{side} px": partial(ImageOps.contain, size=(side, side))
        for side in (2048, 1080, 720, 400, 320, 240, 160, 128, 96)
    },
    "1080 px, blurred": lambda image: _copy(image).filter(ImageFilter.GaussianBlur(2)),
    "1080 px, grey": lambda image: _copy(image).convert("L").convert("RGB"),
    "1080 px, contrast +40 %": lambda image: ImageEnhance.Contrast(_copy(image)).enhance(1.4),
}


@click.command(help=__doc__)
@click.option("--photographs", "n_photographs", default=40, show_default=True, help="At most.")
def main(*, n_photographs: int) -> None:
    """Measure and print."""
    distances: dict[tuple[str, str, str], list[int]] = {}
    used = 0
    for _, load in islice(photographs(), n_photographs):
        original = load()
        original.thumbnail((_SIDE_PX, _SIDE_PX))
        data = _jpeg(original, 92)
        stored = dict(_stored(data))
        used += bool(stored)
        for edit, change in EDITS.items() if stored else ():
            for asked, mine in _asked(_jpeg(change(original), 75)).items():
                for registered, theirs in stored.items():
                    nearest = min((a ^ b).bit_count() for a in mine for b in theirs)
                    distances.setdefault((edit, registered, asked), []).append(nearest)
    print(f"{used} photographs; mean / 95th percentile / most, in bits")
    asked_by = ("full", "nearest 512", "Disrupt")
    print(f"| copy | registered | {' | '.join(asked_by)} |\n| --- | --- | --- | --- | --- |")
    for edit, registered in dict.fromkeys((edit, dialect) for edit, dialect, _ in distances):
        cells = [_cell(distances[edit, registered, asked]) for asked in asked_by]
        print(f"| {edit} | {registered} | {' | '.join(cells)} |")


def _copy(image: Image.Image) -> Image.Image:
    return ImageOps.contain(image, (_COPY_PX, _COPY_PX))


def _jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _stored(data: bytes) -> Iterator[tuple[str, Hashes]]:
    fingerprinted = fingerprint_image(data)
    if isinstance(fingerprinted, ImageFingerprints):
        pixels = _pixels(data)
        yield "full", [_full(pixels)]
        yield "nearest 512", [_full(_nearest(pixels))]
        yield "PDQ_512", [_value(hash_luma(canonical_luma(decode(data))).hashes)]
        yield (
            "Disrupt",
            [int.from_bytes(fingerprint.hash.value) for fingerprint in fingerprinted.fingerprints],
        )


def _asked(data: bytes) -> dict[str, Hashes]:
    query = hash_image(data, effort=Effort.FAST)
    mine = query.hashes if isinstance(query, ImageQuery) else ()
    pixels = _pixels(data)
    return {
        "full": [_full(pixels)],
        "nearest 512": [_full(_nearest(pixels))],
        "Disrupt": [int.from_bytes(value.value) for value, _ in mine] or [_full(pixels)],
    }


def _pixels(data: bytes) -> NDArray[np.uint8]:
    picture = decode(data)
    return picture.rgb(0, picture.height_px)


def _nearest(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if max(height, width) <= 512:
        return pixels
    return pixels[np.ix_(np.arange(512) * height // 512, np.arange(512) * width // 512)]


def _full(pixels: NDArray[np.uint8]) -> int:
    height, width = pixels.shape[:2]
    hashed = hash_rgb(lambda top, bottom: pixels[top:bottom], width, height, Dihedral.IDENTITY)
    return _value(hashed.hashes)


def _value(hashes: NDArray[np.uint8]) -> int:
    return int.from_bytes(hashes.tobytes())


def _cell(distances: list[int]) -> str:
    mean, high, most = np.mean(distances), np.percentile(distances, 95), max(distances)
    return f"{mean:.1f} / {high:.0f} / {most}"


if __name__ == "__main__":
    main()
