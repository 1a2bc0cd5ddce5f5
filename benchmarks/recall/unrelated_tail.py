"""Count distances of unrelated pictures' hashes from stored hashes, beyond the match distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.recall.unrelated_stored import Stored
from disrupt.core.transforms import PLANS

SAMPLED = 1000
"""Lookup hashes that are compared with every stored one."""

_CLASSES = ("whole", "crop", "part", "turned")


class Tail:
    """Distances of sampled lookup hashes from every stored hash.

    ``nearest_distances`` counts lookup hashes by the bits to their nearest stored hash; ``pairs``
    counts the pairs within so many bits, by what the stored hash is of.
    """

    def __init__(self, stored: Stored) -> None:
        every = np.concatenate(stored.items)
        self._codes = np.ascontiguousarray(every["hash"]).view(np.uint64)
        classes = {
            (plan, at): _class_of(plan, at)
            for plan, at in np.unique(every[["plan", "ordinal"]]).tolist()
        }
        self._classes = np.array([classes[place] for place in every[["plan", "ordinal"]].tolist()])
        self._nearest = np.zeros(257, np.int64)
        self._pairs = np.zeros(len(_CLASSES) * 257, np.int64)

    def add(self, code: NDArray[np.uint8]) -> None:
        """Compare one hash with all."""
        bits = np.bitwise_count(self._codes ^ code.view(np.uint64)).sum(axis=1, dtype=np.int64)
        self._nearest[bits.min()] += 1
        self._pairs += np.bincount(257 * self._classes + bits, minlength=len(self._pairs))

    def counts(self) -> dict[str, Any]:
        """Return the counts for the report."""
        pairs = self._pairs.reshape(len(_CLASSES), 257)
        return {
            "nearest_distances": {bits: int(n) for bits, n in enumerate(self._nearest) if n},
            "pairs": {
                name: {bits: int(pairs[at, : bits + 1].sum()) for bits in range(30, 94, 4)}
                | {"all": int(pairs[at].sum())}
                for at, name in enumerate(_CLASSES)
            },
        }


def _class_of(plan: int, ordinal: int) -> int:
    transform = PLANS[plan][ordinal]
    kept_share = (1000 - transform.crop[0] - transform.crop[2]) * (
        1000 - transform.crop[1] - transform.crop[3]
    )
    if not any(transform.crop):
        return 0
    return 3 if transform.rotation_millidegrees else 2 if kept_share < 300_000 else 1
