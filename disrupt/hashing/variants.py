"""Variant plan 1: anchored regions, crops and turns of a picture, hashed for registration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MIN_QUALITY, PdqHash, distances_bits, stack
from disrupt.core.media import Fingerprint, Profile
from disrupt.core.transforms import (
    ANCHORED_WIDTHS,
    PARTS_PLAN,
    REGISTERED_MOST,
    Crop,
    anchored_ordinals,
    crops_of,
)
from disrupt.hashing.anchors.hashes import hash_anchors
from disrupt.hashing.pdq.linear import Hashed, hash_samples
from disrupt.hashing.pdq.luma import SIDE_PX
from disrupt.hashing.regions.crops import MAX_PLAIN_SHARE, plain_shares, sample_crops
from disrupt.hashing.regions.rotation import turned

NEAR_BITS = 6
"""Distance of a variant from a kept hash within which it is left out: that matches its copies."""

MAX_UNDECIDED_BITS = 48
"""Most undecided bits of a part; fewer than of a picture, as a part whose copy hashes
differently matches nothing."""


def variants(luma: NDArray[Any], aspect: float, kept: Sequence[Fingerprint]) -> list[Fingerprint]:
    """Fingerprint an upright picture in PARTS_PLAN; ``kept`` are stored already.

    ``luma`` (height, width), also if it was reduced to a square; ``aspect`` is the picture's width
    over its height. In the plan's order, until the picture has REGISTERED_MOST hashes; left out
    are parts of low quality, parts whose hash noise decides, shapes on plain pages, and what is
    within NEAR_BITS of a hash before it.
    """
    hashes = stack(fingerprint.hash for fingerprint in kept)
    chosen: list[Fingerprint] = []
    for ordinal, code, quality in (*_anchored(luma, aspect), *_cropped(luma, aspect)):
        if len(hashes) == REGISTERED_MOST:
            break
        if distances_bits(code, hashes).min(initial=256) > NEAR_BITS:
            hashes = np.concatenate([hashes, code[None]])
            pdq_hash = PdqHash(code.tobytes())
            chosen.append(Fingerprint(pdq_hash, quality, Profile.PDQ_512, PARTS_PLAN, ordinal))
    return chosen


_Part = tuple[int, NDArray[np.uint8], int]
"""Ordinal, hash and quality of a part."""


def _anchored(luma: NDArray[Any], aspect: float) -> Iterator[_Part]:
    """Yield the anchored regions of a picture at each width."""
    for width, ordinals in zip(ANCHORED_WIDTHS, anchored_ordinals(), strict=True):
        _, hashed = hash_anchors(luma, width * aspect, len(ordinals), MIN_QUALITY)
        yield from _parts(ordinals, hashed[:, 0])


def _cropped(luma: NDArray[Any], aspect: float) -> Iterator[_Part]:
    """Yield the good crops and turns of a picture, in the plan's order."""
    by_turn: dict[int, list[tuple[int, Crop]]] = defaultdict(list)
    for ordinal, transform in crops_of(aspect):
        by_turn[transform.rotation_millidegrees].append((ordinal, transform.crop))
    parts: list[_Part] = []
    coarse = _coarse(luma)
    for millidegrees, some in by_turn.items():
        shown = turned(coarse, millidegrees / 1000, aspect) if millidegrees else luma
        samples = sample_crops(shown, [crop for _, crop in some])
        hashed = hash_samples(samples)
        good = np.flatnonzero(
            (hashed.qualities >= MIN_QUALITY)
            & (hashed.undecided_bits <= MAX_UNDECIDED_BITS)
            & (plain_shares(samples) <= MAX_PLAIN_SHARE)
        )
        parts += _parts([some[at][0] for at in good], hashed[good])
    yield from sorted(parts, key=lambda part: part[0])


def _parts(ordinals: Sequence[int], hashed: Hashed) -> Iterator[_Part]:
    return zip(ordinals, hashed.hashes, hashed.qualities.tolist(), strict=False)


def _coarse(luma: NDArray[Any]) -> NDArray[Any]:
    """Halve the canonical square, so that turning takes a quarter of the time."""
    if luma.shape != (SIDE_PX, SIDE_PX):
        return luma
    half = SIDE_PX // 2
    halved: NDArray[np.float32] = luma.reshape(half, 2, half, 2).mean(axis=(1, 3), dtype=np.float32)
    return halved
