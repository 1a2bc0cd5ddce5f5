"""Picture files to fingerprints: what is registered, and what is looked up."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.core.hashes import MAX_DISTANCE_BITS, MIN_QUALITY, PdqHash
from disrupt.core.media import Fingerprint, LowQuality, Profile
from disrupt.core.transforms import IDENTITY, Transform
from disrupt.hashing.decode import DEFAULT_LIMITS, ImageLimits, decode
from disrupt.hashing.luma import SIDE_PX, canonical_luma
from disrupt.hashing.pdq import Hashed, hash_luma, hash_rgb

MAX_UNDECIDED_BITS = 2 * MAX_DISTANCE_BITS + 1
"""Most bits that chance may decide: in a copy half of them differ, which must stay a match."""

_TOO_REGULAR = (
    "The picture is too regular, as stripes or plain areas are: its hash would match neither all of"
    " its copies nor only them. Use a version that shows more of the scene."
)


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
    """Fingerprints of a picture file for registration, variant plan 0.

    PDQ_512 and PDQ_FULL; a full-size hash that is of low quality is left out. Thread-safe.
    Errors as of ``decode``.
    """
    picture = decode(data, limits)
    canonical = _single(hash_luma(canonical_luma(picture)))
    if isinstance(canonical, LowQuality):
        return canonical
    one, quality = canonical
    fingerprints = [Fingerprint(one, quality, Profile.PDQ_512)]
    full = _single(hash_rgb(picture.rgb, picture.width_px, picture.height_px, picture.orientation))
    # Where nothing was reduced, equal hashes are one fact and not two. A larger picture keeps both
    # even when they happen to be equal, so that readers who search one profile find it.
    reduced = max(picture.width_px, picture.height_px) > SIDE_PX
    if not isinstance(full, LowQuality) and (reduced or full[0] != one):
        fingerprints.append(Fingerprint(*full, Profile.PDQ_FULL))
    return ImageFingerprints(quality, tuple(fingerprints))


def hash_image(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> ImageQuery | LowQuality:
    """Hashes of a picture file for a lookup, in the canonical profile.

    JPEG files are decoded at a smaller scale, see ``decode``: within 8 bits of the registered hash.
    Thread-safe. Errors as of ``decode``.
    """
    canonical = _single(hash_luma(canonical_luma(decode(data, limits, scaled=True))))
    if isinstance(canonical, LowQuality):
        return canonical
    one, quality = canonical
    return ImageQuery(quality, ((one, IDENTITY),))


def _single(hashed: Hashed) -> tuple[PdqHash, int] | LowQuality:
    quality = int(hashed.qualities)
    if quality < MIN_QUALITY:
        return LowQuality(quality)
    if hashed.undecided_bits > MAX_UNDECIDED_BITS:
        return LowQuality(quality, advice=_TOO_REGULAR)
    return PdqHash(hashed.hashes.tobytes()), quality
