"""Check by known answers that this build of Pillow and NumPy hashes as it must."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality, Profile
from disrupt.errors import DisruptError
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.lookup import hash_image
from disrupt.hashing.registration import canonical_hash, plain_fingerprints

_WIDTH_PX, _HEIGHT_PX = 576, 320

_ANSWERS = {
    Profile.PDQ_512: PdqHash.from_hex(
        "dd2cb26d7408cedd9d283a99d528aa9154aa7652f4b4166dfc98d63003f7512f"
    ),
    Profile.PDQ_FULL: PdqHash.from_hex(
        "dd2492653428cedd9da83ad15528aad15caa7752f4b4176dfc98d63003f7112f"
    ),
}

_LOOKUP_TOLERANCE_BITS = 10
"""Most bits between a hash that a lookup makes and its answer."""

_TOLERANCE_BITS = {"PNG": 0, "JPEG": 10, "WEBP": 10}
"""Most bits between the hash of a file and its answer: none of a lossless format."""


def check_known_answers() -> None:
    """Hash a generated picture through three decoders in both profiles, and for a lookup.

    DisruptError if an answer is wrong. Thread-safe; takes some tens of ms.
    """
    picture = Image.fromarray(_picture())
    for format_, tolerance_bits in _TOLERANCE_BITS.items():
        file = io.BytesIO()
        try:
            picture.save(file, format_, quality=95, compress_level=1, method=0)
        except (KeyError, OSError) as error:
            raise DisruptError(
                f"This build of Pillow lacks {format_}; install the locked version."
            ) from error
        decoded = decode(file.getvalue())
        canonical = canonical_hash(decoded)
        hashes = (
            {}
            if isinstance(canonical, LowQuality)
            else {
                fingerprint.profile: fingerprint.hash
                for fingerprint in plain_fingerprints(decoded, *canonical)
            }
        )
        for profile, answer in _ANSWERS.items():
            if profile not in hashes or hashes[profile].distance_bits(answer) > tolerance_bits:
                raise DisruptError(
                    f"This build hashes a known {format_} picture wrongly ({profile.name}), so"
                    " nothing hashed here would match. Install the locked dependencies."
                )
        query = hash_image(file.getvalue(), effort=Effort.FAST)
        if isinstance(query, LowQuality) or any(
            pdq_hash.distance_bits(_ANSWERS[Profile.PDQ_512]) > _LOOKUP_TOLERANCE_BITS
            for pdq_hash, _ in query.hashes
        ):
            raise DisruptError(
                f"This build hashes a known {format_} picture wrongly for a lookup, so nothing"
                " looked up here would match. Install the locked dependencies."
            )


def _picture() -> NDArray[np.uint8]:
    """Draw soft waves in integer arithmetic, equal on every machine; shape (height, width, 3)."""
    y, x = np.mgrid[0:_HEIGHT_PX, 0:_WIDTH_PX] * 2
    red = _wave(x + y // 3, 190) + _wave(y, 110)
    green = _wave(2 * x - y, 230) + _wave(x * y // 256, 350)
    blue = _wave(2 * y + x // 2, 310) + _wave(x, 90)
    return (np.dstack([red, green, blue]) // 2).astype(np.uint8)


def _wave(phase: NDArray[np.int64], half_period: int) -> NDArray[np.int64]:
    return np.abs(phase % (2 * half_period) - half_period) * 255 // half_period
