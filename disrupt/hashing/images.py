"""Picture files to fingerprints: what is registered, and what is looked up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from disrupt.core.hashes import MAX_DISTANCE_BITS, MIN_QUALITY, PdqHash
from disrupt.core.media import Fingerprint, LowQuality, MediaKind, Profile
from disrupt.core.transforms import ENLARGED, IDENTITY, PLANS, Transform
from disrupt.hashing.decode import (
    DEFAULT_LIMITS,
    ImageLimits,
    decode,
    decode_frames,
    refused,
)
from disrupt.hashing.luma import SIDE_PX, canonical_luma
from disrupt.hashing.pdq import Hashed, hash_luma, hash_reduced, hash_rgb
from disrupt.hashing.pixels import Picture

MAX_UNDECIDED_BITS = 2 * MAX_DISTANCE_BITS + 1
"""Most bits that chance may decide: in a copy half of them differ, which must stay a match."""

MAX_FRAMES = 256
"""Most distinct frames of an animation that one lookup names, or one item holds."""

_DISTINCT_BITS = 16
"""Frames nearer than this to one before are taken for it: what is near to one is near to both."""

_TIME_MAX_MS = 2**32 - 1

_TOO_REGULAR = (
    "The picture is too regular, as stripes or plain areas are: its hash would match neither all of"
    " its copies nor only them. Use a version that shows more of the scene."
)


@dataclass(frozen=True, slots=True)
class ImageFingerprints:
    """What is registered of a picture: fingerprints, the canonical one first, and its quality.

    An animation registered by its frames is a VIDEO: each fingerprint has its interval.
    """

    quality: int
    fingerprints: tuple[Fingerprint, ...]
    kind: MediaKind = MediaKind.IMAGE


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """What is looked up of a picture: hashes, each with its version, and the picture's quality.

    ``frames_skipped`` are frames of an animation that were not looked at.
    """

    quality: int
    hashes: tuple[tuple[PdqHash, Transform], ...]
    frames_skipped: int = 0


def fingerprint_image(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS
) -> ImageFingerprints | LowQuality:
    """Fingerprints of a picture file for registration, variant plan 0.

    PDQ_512 and PDQ_FULL, and of a picture of at most 512 px a side also PDQ_512 of it enlarged: PDQ
    samples points whose places depend on the size, so that copies of other sizes are 7 to 20 bits
    away without. Full-size and enlarged hashes of low quality are left out. Of an animation, the
    first frame. Thread-safe. Errors as of ``decode``.
    """
    picture = decode(data, limits)
    canonical = _canonical(picture)
    if isinstance(canonical, LowQuality):
        return canonical
    return ImageFingerprints(canonical[1], _fingerprints(picture, *canonical))


def fingerprint_frames(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS
) -> ImageFingerprints | LowQuality:
    """As ``fingerprint_image``, but of every distinct frame of an animation.

    A frame near to one before is left out; where it follows that one, it lengthens its interval.
    InvalidMediaError also for more than MAX_FRAMES: some would be registered as if they were all.
    """
    kept: list[tuple[Fingerprint, ...]] = []
    shown: int | None = None  # which of them is on the page
    featureless: LowQuality | None = None
    kind, end_ms = MediaKind.IMAGE, 0
    for picture in decode_frames(data, limits):
        if picture.frames_left:
            kind = MediaKind.VIDEO
        duration_ms = picture.duration_ms if kind == MediaKind.VIDEO else 0
        start_ms, end_ms = end_ms, min(end_ms + duration_ms, _TIME_MAX_MS)
        canonical = _canonical(picture)
        if isinstance(canonical, LowQuality):
            featureless, shown = featureless or canonical, None
            continue
        near = _near(canonical[0], [fingerprints[0].hash for fingerprints in kept])
        if near is not None:
            shown = near if near == shown else None
        elif len(kept) == MAX_FRAMES:
            raise refused(
                f"the animation has more than {MAX_FRAMES} different frames; register the frames"
                " that matter as pictures, or the first alone",
                cause="TOO_MANY_FRAMES",
            )
        else:
            shown = len(kept)
            stamped = _fingerprints(picture, *canonical)
            kept.append(tuple(replace(one, start_ms=start_ms) for one in stamped))
        if shown is not None:
            kept[shown] = tuple(replace(one, end_ms=end_ms) for one in kept[shown])
    if featureless and not kept:
        return featureless
    every = tuple(one for fingerprints in kept for one in fingerprints)
    return ImageFingerprints(every[0].quality, every, kind)


def hash_image(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> ImageQuery | LowQuality:
    """Hashes of a picture file for a lookup, in the canonical profile.

    JPEG files are decoded at a smaller scale, see ``decode``, and the average over 512x512 cells is
    not rounded: within 8 bits of the registered hash. A picture of at most 512 px a side has two
    hashes, of itself and ENLARGED. Each distinct frame of an animation has its own, in as many
    frames as ``limits.frames_cpu_s`` allows, up to MAX_FRAMES; those of low quality are left out as
    long as there are others. Thread-safe. Errors as of ``decode``.
    """
    quality = skipped = 0
    frames: list[PdqHash] = []
    hashes: list[tuple[PdqHash, Transform]] = []
    featureless: LowQuality | None = None
    for picture in _in_time(decode_frames(data, limits, scaled=True), limits.frames_cpu_s):
        skipped = picture.frames_left
        small = max(picture.width_px, picture.height_px) <= SIDE_PX
        canonical = _canonical(picture) if small else _single(_reduced(picture))
        if isinstance(canonical, LowQuality):
            featureless = featureless or canonical
        elif _near(canonical[0], frames) is None:
            quality = quality if frames else canonical[1]
            frames.append(canonical[0])
            hashes.append((canonical[0], IDENTITY))
            enlarged = _single(_reduced(picture)) if small else canonical
            if not isinstance(enlarged, LowQuality) and enlarged[0] != canonical[0]:
                hashes.append((enlarged[0], ENLARGED))
            if len(frames) == MAX_FRAMES:
                break
    if featureless and not frames:
        return replace(featureless, frames_skipped=skipped)
    return ImageQuery(quality, tuple(hashes), skipped)


def _in_time(frames: Iterator[Picture], cpu_s: float) -> Iterator[Picture]:
    """The first one, and those after it that this thread can decode and hash within ``cpu_s``."""
    began_s = before_s = time.thread_time()
    longest_s = 0.0
    for picture in frames:
        yield picture
        now_s = time.thread_time()
        longest_s, before_s = max(longest_s, now_s - before_s), now_s
        if now_s + longest_s > began_s + cpu_s:
            return


def _near(one: PdqHash, others: list[PdqHash]) -> int | None:
    """Place of the first of ``others`` that shows the same."""
    distances = (one.distance_bits(other) for other in others)
    return next((at for at, bits in enumerate(distances) if bits < _DISTINCT_BITS), None)


def _fingerprints(picture: Picture, one: PdqHash, quality: int) -> tuple[Fingerprint, ...]:
    """Of a picture whose canonical hash is ``one``, which comes first."""
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
    return tuple(fingerprints)


def _canonical(picture: Picture) -> tuple[PdqHash, int] | LowQuality:
    return _single(hash_luma(canonical_luma(picture)))


def _reduced(picture: Picture) -> Hashed:
    return hash_reduced(picture.luma, picture.width_px, picture.height_px, picture.orientation)


def _single(hashed: Hashed) -> tuple[PdqHash, int] | LowQuality:
    quality = int(hashed.qualities)
    if quality < MIN_QUALITY:
        return LowQuality(quality)
    if hashed.undecided_bits > MAX_UNDECIDED_BITS:
        return LowQuality(quality, advice=_TOO_REGULAR)
    return PdqHash(hashed.hashes.tobytes()), quality
