"""Lookups: from everything within the radius to complete answers per media item."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Matches
from disrupt.core.policy import Scope
from disrupt.errors import DeadlineExceededError, LimitExceededError
from disrupt.index.columns import Hits
from disrupt.index.live import LiveIndex

BLOCK_QUERIES = 64
"""Queries searched at once: all that is near them takes memory before it is cut."""


def match_hashes(
    index: LiveIndex,
    queries: NDArray[np.uint8],
    scope: Scope,
    max_matches: int,
    *,
    most_matches: int,
    until_s: float,
) -> Matches:
    """Media items near each of ``queries``, uint8 (n, 32).

    LimitExceededError once there are more than ``most_matches`` in all, DeadlineExceededError after
    ``until_s`` of time.monotonic.
    """
    found, count = [], 0
    for start in range(0, len(queries), BLOCK_QUERIES):
        if time.monotonic() > until_s:
            raise DeadlineExceededError(
                "The lookup took longer than the call may. Send fewer hashes in one call."
            )
        hits = index.search(queries[start : start + BLOCK_QUERIES], scope.radius_bits)
        if not len(hits):
            continue
        hits = replace(hits, query=hits.query + np.uint32(start))
        found.append(nearest_items(hits, scope, max_matches, hits.query))
        count += len(found[-1])
        if count > most_matches:
            raise LimitExceededError(
                f"The answer would hold more than {most_matches} matches. Send fewer hashes in one"
                " call, or ask for a smaller max_matches.",
                limit=str(most_matches),
            )
    return _joined(found) if found else NO_MATCHES


def match_picture(
    index: LiveIndex, versions: NDArray[np.uint8], scope: Scope, max_matches: int
) -> Matches:
    """Media items near one picture, of which ``versions``, uint8 (n, 32), are the hashes.

    All matches are of query 0; ``Matches.version`` says which version was nearest.
    """
    hits = index.search(versions, scope.radius_bits)
    if not len(hits):
        return NO_MATCHES
    return nearest_items(hits, scope, max_matches, np.zeros_like(hits.query))


def nearest_items(hits: Hits, scope: Scope, max_matches: int, query: NDArray[np.uint32]) -> Matches:
    """Of each item its nearest hit, and of each query its nearest items.

    ``query`` u32, one per hit, says what belongs together in place of ``hits.query``. Hits outside
    the scope are dropped first, so that they take no place. Equally near hits of one item: the
    lowest version, plan, ordinal, start.
    """
    within = np.zeros(len(hits), np.bool_)
    for bank, max_distance_bits in scope.limits.items():
        within |= (hits.bank == bank) & (hits.distance <= max_distance_bits)
    kept = np.flatnonzero(within)
    best_first = np.lexsort(
        (
            hits.start_ms[kept],
            hits.ordinal[kept],
            hits.plan[kept],
            hits.query[kept],
            hits.distance[kept],
            hits.number[kept],
            query[kept],
        )
    )
    kept = kept[best_first]
    first_of_item = _starts(query[kept], hits.number[kept])
    best = kept[first_of_item]
    best = best[np.lexsort((hits.number[best], hits.distance[best], query[best]))]
    first_of_query = np.flatnonzero(_starts(query[best]))
    items = np.diff(first_of_query, append=len(best))
    rank = np.arange(len(best)) - np.repeat(first_of_query, items)
    answered = best[rank < max_matches]
    return Matches(
        query=query[answered],
        version=hits.query[answered],
        distance_bits=hits.distance[answered],
        item_ids=hits.item_id[answered],
        bank=hits.bank[answered],
        kind=hits.kind[answered],
        assurance=hits.assurance[answered],
        plan=hits.plan[answered],
        ordinal=hits.ordinal[answered],
        truncated=query[best[first_of_query[items > max_matches]]],
    )


def _joined(parts: Sequence[Matches]) -> Matches:
    return Matches(
        **{
            one.name: np.concatenate([getattr(part, one.name) for part in parts])
            for one in fields(Matches)
        }
    )


def _starts(*keys: NDArray[np.generic]) -> NDArray[np.bool_]:
    """True where a run of equal keys begins."""
    starts = np.ones(len(keys[0]), np.bool_)
    starts[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return starts


NO_MATCHES = Matches(
    query=np.empty(0, np.uint32),
    version=np.empty(0, np.uint32),
    distance_bits=np.empty(0, np.uint16),
    item_ids=np.empty((0, 16), np.uint8),
    bank=np.empty(0, np.uint16),
    kind=np.empty(0, np.uint8),
    assurance=np.empty(0, np.uint8),
    plan=np.empty(0, np.uint16),
    ordinal=np.empty(0, np.uint16),
    truncated=np.empty(0, np.uint32),
)
"""The answer to nearly every lookup."""
