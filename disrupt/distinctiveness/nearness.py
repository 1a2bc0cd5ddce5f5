"""Which hits are near enough to match: the limit is lower where a hash is not distinctive."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import MediaKind
from disrupt.core.policy import Scope
from disrupt.distinctiveness.circles import circles, mirrored
from disrupt.distinctiveness.concentration import LEAST_BITS, draw_outlines, most_bits
from disrupt.index.columns import NOTHING_NEAR, NearestHits
from disrupt.index.flat import FlatIndex

_CIRCLE_BITS = 60
"""Distance from a circle at which a hash is of one, for the most part. Of photographs' parts, 12 of
1000 are as near; half are farther than 83."""


def near_enough(
    near: NearestHits, queries: NDArray[np.uint8], scope: Scope, spared: MediaKind | None = None
) -> NearestHits:
    """Drop hits that are too far from their query, of ``queries`` uint8 (n, 32), to match.

    The limit is ``most_bits``, or 12 bits where the query is a circle. Nothing is dropped if the
    scope searches any bank beyond 31 bits, because an operator asks for that or because the bank
    allows it, and no item of the kind ``spared``. Queries that lost hits leave ``truncated``: of
    these only spared items were cut off.
    """
    if near is NOTHING_NEAR or scope.radius_bits > MAX_DISTANCE_BITS:
        return near
    query, distance = near.hits.query, near.hits.distance
    spare = distance <= LEAST_BITS
    if spared is not None:
        spare |= near.hits.kind == spared
    if spare.all():
        return near
    asked, place = np.unique(query, return_inverse=True)
    kept = spare | (distance <= most_bits(queries[asked])[place])
    doubted = np.unique(place[kept & ~spare])
    outlines = doubted[are_circles(queries[asked[doubted]])]
    kept &= spare | ~np.isin(place, outlines)
    if kept.all():
        return near
    # Hits are sorted by distance: where some are too far, so is everything that was cut off.
    truncated = np.setdiff1d(near.truncated, query[~kept])
    return NearestHits(near.hits.take(kept), truncated, near.left)


def are_circles(hashes: NDArray[np.uint8]) -> NDArray[np.bool]:
    """Tell which hashes, shape (n, 32), are nearly those of a circle or its negative, shape (n,).

    Takes 2 ms of processor time for each that may be of an outline.
    """
    circular = draw_outlines(hashes)
    versions = mirrored(hashes[circular])
    both = np.concatenate([versions, ~versions]).swapaxes(0, 1)
    circular[circular] = [
        len(circle_index().search(hash_versions, _CIRCLE_BITS).entry) > 0 for hash_versions in both
    ]
    return circular


@cache
def circle_index() -> FlatIndex:
    """Return the index of hashes of circles. The first call takes half a second."""
    return FlatIndex.of(circles())
