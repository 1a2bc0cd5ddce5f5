"""Picture files to fingerprints: what is registered, and what is looked up."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.core.hashes import MIN_QUALITY, PdqHash
from disrupt.core.media import Fingerprint, LowQuality, Profile
from disrupt.core.transforms import IDENTITY, Transform
from disrupt.hashing.decode import DEFAULT_LIMITS, ImageLimits, decode
from disrupt.hashing.luma import SIDE_PX, canonical_luma
from disrupt.hashing.pdq import Hashed, hash_luma, hash_rgb


@dataclass(frozen=True, slots=True)
class ImageFingerprints:
    """What is registered of a picture: fingerprints, the canonical one first, and its quality."""

    quality: int
    fingerprints: tuple[Fingerprint, ...]


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """What is looked up of a picture: hashes, each with its version, and the picture's quality."""

    quality: int
    hashes: tuple[tuple[PdqHash, Transform], ...]


def fingerprint_image(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS
) -> ImageFingerprints | LowQuality:
    """Fingerprints of a JPEG, PNG or WebP file for registration, variant plan 0.

    PDQ_512 and PDQ_FULL; a full-size hash that is too featureless is left out. Thread-safe.
    Errors as of ``decode``.
    """
    picture = decode(data, limits)
    canonical, quality = _single(hash_luma(canonical_luma(picture)))
    if quality < MIN_QUALITY:
        return LowQuality(quality)
    fingerprints = [Fingerprint(canonical, quality, Profile.PDQ_512)]
    full, full_quality = _single(
        hash_rgb(picture.rgb, picture.width_px, picture.height_px, picture.orientation)
    )
    # Where nothing was reduced, equal hashes are one fact and not two. A larger picture keeps both
    # even when they happen to be equal, so that readers who search one profile find it.
    reduced = max(picture.width_px, picture.height_px) > SIDE_PX
    if full_quality >= MIN_QUALITY and (reduced or full != canonical):
        fingerprints.append(Fingerprint(full, full_quality, Profile.PDQ_FULL))
    return ImageFingerprints(quality, tuple(fingerprints))


def hash_image(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> ImageQuery | LowQuality:
    """Hashes of a JPEG, PNG or WebP file for a lookup, in the canonical profile.

    Thread-safe. Errors as of ``decode``.
    """
    canonical, quality = _single(hash_luma(canonical_luma(decode(data, limits))))
    if quality < MIN_QUALITY:
        return LowQuality(quality)
    return ImageQuery(quality, ((canonical, IDENTITY),))


def _single(hashed: Hashed) -> tuple[PdqHash, int]:
    return PdqHash(hashed.hashes.tobytes()), int(hashed.qualities)
