"""Picture files to fingerprints: what is registered, and what is looked up."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.core.hashes import MAX_DISTANCE_BITS, MIN_QUALITY, PdqHash
from disrupt.core.media import Fingerprint, LowQuality, Profile
from disrupt.core.transforms import ENLARGED, IDENTITY, PLANS, Transform
from disrupt.hashing.decode import DEFAULT_LIMITS, ImageLimits, decode, decode_frames
from disrupt.hashing.luma import SIDE_PX, canonical_luma
from disrupt.hashing.pdq import Hashed, hash_luma, hash_reduced, hash_rgb
from disrupt.hashing.pixels import Picture

MAX_UNDECIDED_BITS = 2 * MAX_DISTANCE_BITS + 1
"""Most bits that chance may decide: in a copy half of them differ, which must stay a match."""

MAX_FRAMES = 16
"""Most frames of an animation that one lookup names."""

_DISTINCT_BITS = 16
"""Frames nearer than this to one before are not looked up: what is near to one is near to both."""

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

    PDQ_512 and PDQ_FULL, and of a picture of at most 512 px a side also PDQ_512 of it enlarged: PDQ
    samples points whose places depend on the size, so that copies of other sizes are 7 to 20 bits
    away without. Full-size and enlarged hashes of low quality are left out. Thread-safe. Errors as
    of ``decode``.
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
    if not reduced:
        enlarged = _single(_reduced(picture))
        if not isinstance(enlarged, LowQuality) and enlarged[0] != one:
            ordinal = PLANS[0].index(ENLARGED)
            fingerprints.append(Fingerprint(*enlarged, Profile.PDQ_512, ordinal=ordinal))
    return ImageFingerprints(quality, tuple(fingerprints))


def hash_image(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> ImageQuery | LowQuality:
    """Hashes of a picture file for a lookup, in the canonical profile.

    JPEG files are decoded at a smaller scale, see ``decode``, and the average over 512x512 cells is
    not rounded: within 8 bits of the registered hash. A picture of at most 512 px a side has two
    hashes, of itself and ENLARGED. Each distinct frame of an animation has its own, see
    ``decode_frames``, at most MAX_FRAMES; those of low quality are left out as long as there are
    others. Thread-safe. Errors as of ``decode``.
    """
    quality = 0
    frames: list[PdqHash] = []
    hashes: list[tuple[PdqHash, Transform]] = []
    featureless: LowQuality | None = None
    for picture in decode_frames(data, limits, scaled=True):
        small = max(picture.width_px, picture.height_px) <= SIDE_PX
        canonical = _single(hash_luma(canonical_luma(picture)) if small else _reduced(picture))
        if isinstance(canonical, LowQuality):
            featureless = featureless or canonical
        elif all(canonical[0].distance_bits(frame) >= _DISTINCT_BITS for frame in frames):
            quality = quality if frames else canonical[1]
            frames.append(canonical[0])
            hashes.append((canonical[0], IDENTITY))
            enlarged = _single(_reduced(picture)) if small else canonical
            if not isinstance(enlarged, LowQuality) and enlarged[0] != canonical[0]:
                hashes.append((enlarged[0], ENLARGED))
            if len(frames) == MAX_FRAMES:
                break
    if featureless and not frames:
        return featureless
    return ImageQuery(quality, tuple(hashes))


def _reduced(picture: Picture) -> Hashed:
    return hash_reduced(picture.luma, picture.width_px, picture.height_px, picture.orientation)


def _single(hashed: Hashed) -> tuple[PdqHash, int] | LowQuality:
    quality = int(hashed.qualities)
    if quality < MIN_QUALITY:
        return LowQuality(quality)
    if hashed.undecided_bits > MAX_UNDECIDED_BITS:
        return LowQuality(quality, advice=_TOO_REGULAR)
    return PdqHash(hashed.hashes.tobytes()), quality
