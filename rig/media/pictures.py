"""Photographs of packages, their files, and what registers and finds them."""

import io
import struct
import zlib
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.data import data_dir

from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality, Profile
from disrupt.core.transforms import Transform
from disrupt.hashing import (
    ImageFingerprints,
    ImageLimits,
    ImageQuery,
    fingerprint_image,
    hash_image,
)
from disrupt.hashing.decoding.pictures import DEFAULT_LIMITS, decode
from disrupt.hashing.registration import canonical_hash


def photo(name: str) -> NDArray[np.uint8]:
    """Return the pixels of a photograph of scikit-image."""
    return np.asarray(Image.open(f"{data_dir}/{name}").convert("RGB"))


PHOTOS = {
    "astronaut": photo("astronaut.png"),
    "cat": photo("chelsea.png"),
    "coffee": photo("coffee.png"),
    "rocket": photo("rocket.jpg"),
    "tower": np.tile(photo("camera.png"), (2, 1, 1)),
}


def encode(picture: NDArray[np.uint8] | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Encode a picture as a file, with options of Pillow."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes = b"", crc: int | None = None) -> bytes:
    """Return a chunk of a PNG file."""
    crc = zlib.crc32(kind + content) if crc is None else crc
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def begun_png(width_px: int, height_px: int) -> bytes:
    """Return a PNG whose header says this size, and whose pixels are those of a small picture."""
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    small = encode(PHOTOS["cat"])
    return small[:8] + chunk(b"IHDR", header) + small[33:]


def grey_tiff(
    pixels: bytes,
    size: tuple[int, int],
    *,
    bits: int = 8,
    photometric: int = 1,
    compression: int = 1,
) -> bytes:
    """Return a grey TIFF of one strip, as Pillow does not write it (TIFF 6.0).

    ``photometric`` 0: 0 is white. ``compression`` 7: JPEG.
    """
    (width, height), start = size, 8 + 2 + 9 * 12 + 4
    values = [width, height, bits, compression, photometric, start, 1, height, len(pixels)]
    tags = zip([256, 257, 258, 259, 262, 273, 277, 278, 279], values, strict=True)
    entries = (struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"".join([b"II*\0", struct.pack("<IH", 8, 9), *entries, bytes(4), pixels])


@cache
def canonical(data: bytes) -> PdqHash:
    """Return the hash that a file is to be registered with."""
    outcome = canonical_hash(decode(data))
    assert not isinstance(outcome, LowQuality)
    return outcome[0]


def registered(data: bytes) -> dict[Profile, PdqHash]:
    """Return the hashes of the whole picture that a file is registered with."""
    outcome = fingerprints_of(data)
    assert outcome.fingerprints[0].profile == Profile.PDQ_512
    assert outcome.fingerprints[0].quality == outcome.quality
    return {
        fingerprint.profile: fingerprint.hash
        for fingerprint in outcome.fingerprints
        if (fingerprint.plan, fingerprint.ordinal) == (0, 0)
    }


def fingerprints_of(
    data: bytes,
    hashed: Callable[[bytes], ImageFingerprints | LowQuality] = fingerprint_image,
) -> ImageFingerprints:
    """Return what a file is registered with."""
    outcome = hashed(data)
    assert isinstance(outcome, ImageFingerprints)
    return outcome


def query_of(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS, *, effort: Effort = Effort.STANDARD
) -> ImageQuery:
    """Return what a file is looked up by."""
    outcome = hash_image(data, limits, effort=effort)
    assert isinstance(outcome, ImageQuery)
    return outcome


def nearest(query: ImageQuery, stored: Iterable[PdqHash]) -> tuple[int, Transform]:
    """Return the least distance of what is looked up to what is stored, and of which version."""
    pairs = product(query.hashes, stored)
    return min((asked.distance_bits(other), version) for (asked, version), other in pairs)


def stored_hashes(data: bytes) -> list[PdqHash]:
    """Return all hashes that a file is registered with."""
    return [fingerprint.hash for fingerprint in fingerprints_of(data).fingerprints]


upright = partial(hash_image, effort=Effort.FAST)
upright_query = partial(query_of, effort=Effort.FAST)
