"""Drop matches that are farther than the distinctiveness of their hash allows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import MediaKind
from disrupt.core.policy import Scope
from disrupt.distinctiveness.limits import are_within
from disrupt.index.columns import NearestHits


def near_enough(
    near: NearestHits,
    queries: NDArray[np.uint8],
    scope: Scope,
    spared: MediaKind | None = None,
    *,
    compiled: bool,
) -> NearestHits:
    """Drop hits that are farther from their query, of ``queries`` uint8 (n, 32), than its limit.

    Nothing is dropped if the scope searches any bank beyond 31 bits, because an operator asks for
    that or because the bank allows it, and no item of the kind ``spared``. Queries that lost hits
    leave ``truncated``: of these only spared items were cut off. ``compiled`` is that of
    ``are_within``.
    """
    if not len(near.hits) or scope.radius_bits > MAX_DISTANCE_BITS:
        return near
    query = near.hits.query
    kept = are_within(queries, query, near.hits.distance, compiled=compiled)
    if spared is not None:
        kept |= near.hits.kind == spared
    if kept.all():
        return near
    # Hits are sorted by distance: where some are too far, so is everything that was cut off.
    truncated = np.setdiff1d(near.truncated, query[~kept])
    return NearestHits(near.hits.take(kept), truncated, near.left)
