"""Select the hashes and the frames of a file that are worth storing or looking up."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MAX_DISTANCE_BITS, MIN_QUALITY, PdqHash
from disrupt.core.media import LowQuality
from disrupt.distinctiveness.shape_distance import SHAPE_BITS, are_degenerate
from disrupt.hashing.decoding.pixels import Picture
from disrupt.hashing.pdq.linear import Hashed

MAX_UNDECIDED_BITS = 2 * MAX_DISTANCE_BITS + 1
"""Most bits that chance may decide: half of them differ in a copy, which must still match."""

MAX_FRAMES = 256
"""Most distinct frames of an animation that one lookup names, or one item holds."""

LOOKUP_DISTINCT_BITS = 16
"""Frames of a lookup, and parts of them, nearer than this to an earlier one count as equal."""

_TOO_REGULAR = (
    "The picture is too regular, as stripes or plain areas are: its hash would match neither all of"
    " its copies nor only them. Use a version that shows more of the scene."
)


def in_time(frames: Iterator[Picture], cpu_s: float) -> Iterator[Picture]:
    """Yield the first frame, and later ones as long as ``cpu_s`` of this thread suffice."""
    began_s = before_s = time.thread_time()
    longest_s = 0.0
    for picture in frames:
        yield picture
        now_s = time.thread_time()
        longest_s, before_s = max(longest_s, now_s - before_s), now_s
        if now_s + longest_s > began_s + cpu_s:
            return


def place_near(pdq_hash: PdqHash, candidates: list[PdqHash], distinct_bits: int) -> int | None:
    """Return the place of the first candidate nearer than ``distinct_bits``, or None."""
    distances = (pdq_hash.distance_bits(candidate) for candidate in candidates)
    return next((at for at, bits in enumerate(distances) if bits < distinct_bits), None)


def single(
    hashed: Hashed, least: int = MIN_QUALITY, shape_bits: int = SHAPE_BITS
) -> tuple[PdqHash, int] | LowQuality:
    """Return the only hash and its quality, unless it is too featureless or not distinctive."""
    quality = int(hashed.qualities)
    if quality < least:
        return LowQuality(quality, least)
    if not distinctive(hashed, least, shape_bits):
        return LowQuality(quality, least, _TOO_REGULAR)
    return PdqHash(hashed.hashes.tobytes()), quality


def usable(hashed: Hashed, least: int = MIN_QUALITY) -> NDArray[np.bool]:
    """Tell which hashes are neither featureless nor decided by noise."""
    return (hashed.qualities >= least) & (hashed.undecided_bits <= MAX_UNDECIDED_BITS)


def distinctive(
    hashed: Hashed, least: int = MIN_QUALITY, shape_bits: int = SHAPE_BITS
) -> NDArray[np.bool]:
    """Tell which hashes are usable and not of a shape, as those of a single line or disc are.

    A tenth of a ms for each. Degenerate hashes of parts need not be left out: nothing matches them.
    """
    are_distinctive = usable(hashed, least)
    if are_distinctive.any():
        are_distinctive &= ~are_degenerate(hashed.hashes, shape_bits)
    return are_distinctive


def first_usable(versions: Hashed, least: int) -> Hashed:
    """Return the first usable version of a picture, or the first of all."""
    return versions[int(usable(versions, least).argmax())]
