"""Published hashes and qualities of PDQ, where the vectors are beside this repository."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.hashes import PdqHash
from disrupt.core.transforms import Dihedral
from disrupt.hashing import (
    fingerprint_image,
)
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.pdq.linear import Hashed, hash_luma, hash_rgb
from disrupt.hashing.pdq.luma import canonical_luma

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "pdq"


def published() -> dict[str, dict[str, Any]]:
    file = VECTORS / "expected.json"
    vectors: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file.exists() else {}
    return vectors


def hash_pixels(pixels: NDArray[np.uint8]) -> Hashed:
    height, width = pixels.shape[:2]
    return hash_rgb(lambda top, bottom: pixels[top:bottom], width, height, Dihedral.IDENTITY)


def nearest_512(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    if max(height, width) <= 512:
        return pixels
    return pixels[np.ix_(np.arange(512) * height // 512, np.arange(512) * width // 512)]


@pytest.mark.skipif(not published(), reason=f"the published vectors are not at {VECTORS}")
def test_published_hashes_are_reproduced_in_their_own_dialect() -> None:
    """Allow 10 bits where quality ≥ 80: PDQ's own rule for another decoder.

    ThreatExchange's pure Python hasher made what expected.json calls full_resolution_python. It
    shrinks to at most 512 px a side with Pillow's thumbnail, keeping the aspect; the 2019 C++
    hashes are of full resolution. Trying every dialect on every picture showed both; the labels
    as they stand are up to 14 bits off.
    """
    compared = 0
    for name, values in published().items():
        data = (VECTORS / name).read_bytes()
        picture = decode(data)
        pixels = picture.rgb(0, picture.height_px)
        canonical = hash_luma(canonical_luma(picture))
        dialects = {
            "full_resolution_python": thumbnail(data),
            "nearest512_cpp_wasm": nearest_512(pixels),
            "nearest512_cpp_published_2019": pixels,
        }
        for label in dialects.keys() & values.keys():
            answer = PdqHash.from_hex(values[label])
            own, full, reduced = (
                PdqHash(hashed.hashes.tobytes()).distance_bits(answer)
                for hashed in (hash_pixels(dialects[label]), hash_pixels(pixels), canonical)
            )
            if int(canonical.qualities) >= 80:
                assert own <= 10, (name, label)
                assert max(full, reduced) <= 16, (name, label)
                compared += 1
    assert compared


def thumbnail(data: bytes) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(data))
    image.thumbnail((512, 512))
    return np.asarray(image.convert("RGB"))


@pytest.mark.skipif(not published(), reason=f"the published vectors are not at {VECTORS}")
def test_published_qualities_are_reproduced() -> None:
    for name, values in published().items():
        if "quality" in values:
            outcome = fingerprint_image((VECTORS / name).read_bytes())
            assert outcome.quality == values["quality"]
