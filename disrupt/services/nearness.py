"""Which of what is near a hash is near enough: nearer than elsewhere where the hash says little."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

import numpy as np
from numpy.typing import NDArray

from disrupt.core.circles import circles
from disrupt.core.concentration import CONCENTRATED_BITS, LEAST_BITS, most_bits
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import MediaKind
from disrupt.core.policy import Scope
from disrupt.index.columns import NOTHING_NEAR, Hits, NearestHits
from disrupt.index.flat import FlatIndex

_CIRCLE_BITS = 60
"""Distance from a circle at which a hash is of one, for the most part. Of photographs' parts, 4 of
1000 are as near; half are farther than 90."""


def near_enough(
    near: NearestHits, queries: NDArray[np.uint8], scope: Scope, spared: MediaKind | None = None
) -> NearestHits:
    """What is as near to each of ``queries``, uint8 (n, 32), as it has to be to match.

    That is, within ``most_bits``, or 12 bits where the query is a circle. All where an operator
    looks beyond 31 bits, and all items of the kind that is ``spared``.
    """
    if near is NOTHING_NEAR or scope.radius_bits > MAX_DISTANCE_BITS:
        return near
    query = near.hits.query
    asked, place = np.unique(query, return_inverse=True)
    kept = near.hits.distance <= limits_of(queries[asked])[place]
    if spared is not None:
        kept |= near.hits.kind == spared
    if kept.all():
        return near
    # the nearest of each query come first: where some are too far, so is what was cut off
    hits = Hits(*(getattr(near.hits, one.name)[kept] for one in fields(Hits)))
    return NearestHits(hits, np.setdiff1d(near.truncated, query[~kept]))


def limits_of(hashes: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Largest distances at which hashes, shape (n, 32), match, shape (n,)."""
    limits = most_bits(hashes)
    outlined = np.flatnonzero(limits <= CONCENTRATED_BITS)  # others are no circle
    limits[outlined[_are_circles(hashes[outlined])]] = LEAST_BITS
    return limits


def _are_circles(hashes: NDArray[np.uint8]) -> NDArray[np.bool]:
    """Which hashes, shape (n, 32), are nearly those of a circle, or its negative, shape (n,)."""
    found = circle_index().search(np.concatenate([hashes, ~hashes]), _CIRCLE_BITS)
    near = np.zeros((2, len(hashes)), np.bool)
    near.flat[found.query] = True
    return np.asarray(near[0] | near[1])


@cache
def circle_index() -> FlatIndex:
    """Hashes of circles. The first call takes a tenth of a second."""
    return FlatIndex.of(circles())
