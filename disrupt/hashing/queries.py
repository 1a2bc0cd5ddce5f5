"""Picture files to what is looked up of them: hashes of many versions, each with its transform."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.core.transforms import ENLARGED, IDENTITY, Dihedral, Transform
from disrupt.hashing.decode import DEFAULT_LIMITS, ImageLimits, decode_frames
from disrupt.hashing.images import MAX_FRAMES, place_near, single, usable
from disrupt.hashing.luma import SIDE_PX, canonical_luma
from disrupt.hashing.pdq import (
    Hashed,
    hash_dihedral,
    hash_luma,
    hash_reduced,
    hash_reduced_dihedral,
)
from disrupt.hashing.pixels import Picture


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """What is looked up of a picture: hashes, each with its version, and the picture's quality.

    ``frames_skipped`` are frames of an animation that were not looked at.
    """

    quality: int
    hashes: tuple[tuple[PdqHash, Transform], ...]
    frames_skipped: int = 0


def hash_image(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS, effort: Effort = Effort.STANDARD
) -> ImageQuery | LowQuality:
    """Hashes of a picture file for a lookup, in the canonical profile, no two alike.

    FAST: of the picture itself, and where it has at most 512 px a side, of it ENLARGED. Other
    efforts: of these in their eight turned and mirrored versions.

    JPEG files are decoded at a smaller scale, see ``decode``, and the average over 512x512 cells is
    not rounded: within 8 bits of the registered hash. Each distinct frame of an animation has its
    own hashes, in as many frames as ``limits.frames_cpu_s`` allows, up to MAX_FRAMES; those of low
    quality are left out as long as there are others. Thread-safe. Errors as of ``decode``.
    """
    quality = skipped = 0
    frames: list[PdqHash] = []
    hashes: dict[PdqHash, Transform] = {}
    featureless: LowQuality | None = None
    for picture in _in_time(decode_frames(data, limits, scaled=True), limits.frames_cpu_s):
        skipped = picture.frames_left
        found = list(_versions(picture, effort))
        _, itself = found[0]
        canonical = single(itself)
        if isinstance(canonical, LowQuality):
            featureless = featureless or canonical
        elif place_near(canonical[0], frames) is None:
            quality = quality if frames else canonical[1]
            frames.append(canonical[0])
            for transform, one in found:
                if usable(one):
                    hashes.setdefault(PdqHash(one.hashes.tobytes()), transform)
            if len(frames) == MAX_FRAMES:
                break
    if featureless and not frames:
        return replace(featureless, frames_skipped=skipped)
    return ImageQuery(quality, tuple(hashes.items()), skipped)


def _versions(picture: Picture, effort: Effort) -> Iterator[tuple[Transform, Hashed]]:
    """Versions to look up, the most likely ones first: the first is the picture itself."""
    size = picture.width_px, picture.height_px
    small = max(size) <= SIDE_PX
    if effort == Effort.FAST:
        if small:
            yield IDENTITY, hash_luma(canonical_luma(picture))
        reduced = hash_reduced(picture.luma, *size, picture.orientation)
        yield (ENLARGED if small else IDENTITY), reduced
        return
    if small:
        yield from _turned(hash_dihedral(canonical_luma(picture)), IDENTITY)
    reduced = hash_reduced_dihedral(picture.luma, *size, picture.orientation)
    yield from _turned(reduced, ENLARGED if small else IDENTITY)


def _turned(hashed: Hashed, upright: Transform) -> Iterator[tuple[Transform, Hashed]]:
    """Hashes (8, 32) of the turned versions of what ``upright`` gives."""
    for turn in Dihedral:
        one = Hashed(hashed.hashes[turn], hashed.qualities[turn], hashed.undecided_bits[turn])
        yield replace(upright, dihedral=turn), one


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
