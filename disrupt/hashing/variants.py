"""Variant plans 1 and 2: crops, parts and turns of a picture, hashed for registration."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MIN_QUALITY, PdqHash, distances_bits, stack
from disrupt.core.media import Fingerprint, Profile
from disrupt.core.transforms import Crop, variants_of
from disrupt.hashing.pdq.linear import hash_samples
from disrupt.hashing.pdq.luma import SIDE_PX
from disrupt.hashing.regions.crops import MAX_PLAIN_SHARE, plain_shares, sample_crops
from disrupt.hashing.regions.rotation import turned

PLANS = (1, 2)
"""Plans of versions, in the order in which they are registered."""

NEAR_BITS = 6
"""Distance of a variant from a kept hash within which it is left out: that matches its copies."""

MAX_UNDECIDED_BITS = 48
"""Most undecided bits of a part; fewer than of a picture, as a part whose copy hashes
differently matches nothing."""


def variants(luma: NDArray[Any], aspect: float, kept: Sequence[Fingerprint]) -> list[Fingerprint]:
    """Fingerprint an upright picture in PLANS; ``kept`` are stored already.

    ``luma`` (height, width), also if it was reduced to a square; ``aspect`` is the picture's width
    over its height. In the plans' order; left out are parts of low quality, parts whose hash noise
    decides, shapes on plain pages, and what is within NEAR_BITS of a hash before it.
    """
    by_turn: dict[int, list[tuple[int, int, Crop]]] = defaultdict(list)
    for plan in PLANS:
        for ordinal, transform in variants_of(plan, aspect):
            by_turn[transform.rotation_millidegrees].append((plan, ordinal, transform.crop))
    candidates: list[tuple[int, int, NDArray[np.uint8], int]] = []
    coarse = _coarse(luma)
    for millidegrees, some in by_turn.items():
        shown = turned(coarse, millidegrees / 1000, aspect) if millidegrees else luma
        samples = sample_crops(shown, [crop for *_, crop in some])
        hashed = hash_samples(samples)
        good = (
            (hashed.qualities >= MIN_QUALITY)
            & (hashed.undecided_bits <= MAX_UNDECIDED_BITS)
            & (plain_shares(samples) <= MAX_PLAIN_SHARE)
        )
        candidates += [
            (*some[at][:2], hashed.hashes[at], int(hashed.qualities[at]))
            for at in np.flatnonzero(good)
        ]
    hashes = stack(fingerprint.hash for fingerprint in kept)
    chosen = []
    for plan, ordinal, code, quality in sorted(candidates, key=lambda candidate: candidate[:2]):
        if distances_bits(code, hashes).min(initial=256) > NEAR_BITS:
            hashes = np.concatenate([hashes, code[None]])
            pdq_hash = PdqHash(code.tobytes())
            chosen.append(Fingerprint(pdq_hash, quality, Profile.PDQ_512, plan, ordinal))
    return chosen


def _coarse(luma: NDArray[Any]) -> NDArray[Any]:
    """Halve the canonical square, so that turning takes a quarter of the time."""
    if luma.shape != (SIDE_PX, SIDE_PX):
        return luma
    half = SIDE_PX // 2
    halved: NDArray[np.float32] = luma.reshape(half, 2, half, 2).mean(axis=(1, 3), dtype=np.float32)
    return halved
