"""Picture files to fingerprints, for registrations."""

from __future__ import annotations

from dataclasses import dataclass, replace

from disrupt.core.hashes import PdqHash
from disrupt.core.media import Fingerprint, LowQuality, MediaKind, Profile
from disrupt.core.transforms import ENLARGED, PLANS
from disrupt.distinctiveness.shape_distance import (
    REGISTERED_SHAPE_BITS,
)
from disrupt.hashing.decoding.pictures import (
    DEFAULT_LIMITS,
    ImageLimits,
    decode_frames,
    refused,
)
from disrupt.hashing.decoding.pixels import Picture
from disrupt.hashing.pdq.linear import Hashed, hash_luma, hash_reduced, hash_rgb
from disrupt.hashing.pdq.luma import SIDE_PX, canonical_luma
from disrupt.hashing.selection import (
    LOOKUP_DISTINCT_BITS,
    MAX_FRAMES,
    in_time,
    place_near,
    single,
)
from disrupt.hashing.variants import variants

_DISTINCT_BITS = (11, LOOKUP_DISTINCT_BITS)
"""Distances below which frames of a registration count as equal to an earlier one.

The second is taken where the first leaves more than MAX_FRAMES. A copy of a frame that is left out
is that much further from what is stored: up to 21 bits away it matches.
"""

_TIME_MAX_MS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class ImageFingerprints:
    """Fingerprints that are registered of a picture, the canonical one first, and its quality.

    An animation registered by its frames is a VIDEO: each fingerprint has its interval. Where only
    the first frame or page of a file is registered, ``frames_left`` counts the others.
    """

    quality: int
    fingerprints: tuple[Fingerprint, ...]
    kind: MediaKind = MediaKind.IMAGE
    frames_left: int = 0


def fingerprint_image(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS
) -> ImageFingerprints | LowQuality:
    """Fingerprint a picture file for registration, in variant plans 0 and 1.

    PDQ_512 and PDQ_FULL, and of a picture of at most 512 px a side also PDQ_512 of it enlarged: PDQ
    samples points whose places depend on the size, so that copies of other sizes would be 7 to 20
    bits away. Then ``variants``, which match edited copies. All but the first are left
    out where they are of low quality. Of an animation, the first frame that is not of low quality,
    among those that ``limits.frames_cpu_s`` allow. Thread-safe. Errors as of ``decode``.
    """
    pictures = in_time(decode_frames(data, limits), limits.frames_cpu_s)
    first = next(pictures)
    outcome = featureless = _registered(first)
    while isinstance(outcome, LowQuality):
        picture = next(pictures, None)
        if picture is None:
            return featureless
        outcome = _registered(picture)
    return replace(outcome, frames_left=first.frames_left + first.unseen)


def fingerprint_frames(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS
) -> ImageFingerprints | LowQuality:
    """Fingerprint every distinct frame of an animation as ``fingerprint_image``, in plan 0 only.

    A frame near an earlier one is left out; where it follows that one, it lengthens its interval.
    InvalidMediaError also for more than MAX_FRAMES: some would be registered as if they were all.
    """
    for bits in _DISTINCT_BITS:
        outcome = _distinct_frames(data, limits, bits)
        if outcome is not None:
            return outcome
    raise refused(
        f"the animation has more than {MAX_FRAMES} different frames; register the frames that"
        " matter as pictures, or the first alone",
        cause="TOO_MANY_FRAMES",
    )


def _distinct_frames(
    data: bytes, limits: ImageLimits, distinct_bits: int
) -> ImageFingerprints | LowQuality | None:
    """Fingerprint the frames that differ by ``distinct_bits``; None if they are too many."""
    kept: list[tuple[Fingerprint, ...]] = []
    shown: int | None = None  # index of the kept frame that is on the page
    featureless: LowQuality | None = None
    kind, end_ms = MediaKind.IMAGE, 0
    for picture in decode_frames(data, limits):
        if picture.frames_left:
            kind = MediaKind.VIDEO
        elif kind == MediaKind.IMAGE:
            outcome = _registered(picture)
            if isinstance(outcome, LowQuality):
                return outcome
            return replace(outcome, frames_left=picture.unseen)
        start_ms, end_ms = end_ms, min(end_ms + picture.duration_ms, _TIME_MAX_MS)
        canonical = canonical_hash(picture)
        if isinstance(canonical, LowQuality):
            featureless, shown = featureless or canonical, None
            continue
        earlier = [fingerprints[0].hash for fingerprints in kept]
        near = place_near(canonical[0], earlier, distinct_bits)
        if near is not None:
            shown = near if near == shown else None
        elif len(kept) == MAX_FRAMES:
            return None
        else:
            shown = len(kept)
            stamped = plain_fingerprints(picture, *canonical)
            kept.append(tuple(replace(fingerprint, start_ms=start_ms) for fingerprint in stamped))
        if shown is not None:
            kept[shown] = tuple(replace(fingerprint, end_ms=end_ms) for fingerprint in kept[shown])
    if featureless and not kept:
        return featureless
    every = tuple(fingerprint for fingerprints in kept for fingerprint in fingerprints)
    return ImageFingerprints(every[0].quality, every, kind)


def _registered(picture: Picture) -> ImageFingerprints | LowQuality:
    luma = canonical_luma(picture)
    canonical = single(hash_luma(luma), shape_bits=REGISTERED_SHAPE_BITS)
    if isinstance(canonical, LowQuality):
        return canonical
    own = plain_fingerprints(picture, *canonical)
    return ImageFingerprints(canonical[1], (*own, *variants(luma, picture.aspect, own)))


def plain_fingerprints(
    picture: Picture, canonical: PdqHash, quality: int
) -> tuple[Fingerprint, ...]:
    """Fingerprint a picture in variant plan 0; its canonical hash, ``canonical``, comes first."""
    fingerprints = [Fingerprint(canonical, quality, Profile.PDQ_512)]
    full = single(hash_rgb(picture.rgb, picture.width_px, picture.height_px, picture.orientation))
    # Where nothing was reduced, an equal hash adds nothing. A larger picture keeps both
    # even when they happen to be equal, so that readers who search one profile find it.
    reduced = max(picture.width_px, picture.height_px) > SIDE_PX
    if not isinstance(full, LowQuality) and (reduced or full[0] != canonical):
        fingerprints.append(Fingerprint(*full, Profile.PDQ_FULL))
    if not reduced:
        enlarged = single(_reduced(picture))
        if not isinstance(enlarged, LowQuality) and enlarged[0] != canonical:
            ordinal = PLANS[0].index(ENLARGED)
            fingerprints.append(Fingerprint(*enlarged, Profile.PDQ_512, ordinal=ordinal))
    return tuple(fingerprints)


def canonical_hash(picture: Picture) -> tuple[PdqHash, int] | LowQuality:
    """Return hash and quality of a picture in the canonical profile, if it is to be registered."""
    return single(hash_luma(canonical_luma(picture)), shape_bits=REGISTERED_SHAPE_BITS)


def _reduced(picture: Picture) -> Hashed:
    return hash_reduced(picture.luma, picture.width_px, picture.height_px, picture.orientation)
