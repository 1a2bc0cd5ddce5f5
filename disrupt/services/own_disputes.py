"""Mark matches that the caller's organisation disputes, and answer them last.

So a query's matches are first those that are neither disputed nor common, then common ones, then
disputed ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.lookups import (
    MATCHED_VERSIONS_MAX,
    MAX_MATCHES,
    NO_VERSION,
    Matches,
    answered_places,
)
from disrupt.core.media import is_answered
from disrupt.core.outcomes import MatchedVersion
from disrupt.core.own_disputes import OwnDisputes, undisputed
from disrupt.core.policy import MINORS, Scope
from disrupt.distinctiveness.limits import are_within
from disrupt.index.flat import FlatIndex
from disrupt.index.live import LiveIndex
from disrupt.services.common_pictures import common_bits, holds_common
from disrupt.services.matching import Allowance, Steps, joined

_MORE = 4
"""Factor by which more matches are asked for where disputed ones leave others out."""

_EVERY = slice(None)

Ask: TypeAlias = Callable[[NDArray[np.intp] | slice, int], Steps[Matches]]
"""Find matches of some queries, by their places, at most so many of each."""


def disputed_last(
    ask: Ask,
    own: OwnDisputes,
    index: LiveIndex,
    hashes_of: Callable[[int], NDArray[np.uint8]],
    queries: int,
    scope: Scope,
    max_matches: int,
    allowance: Allowance,
) -> Steps[Matches]:
    """Find matches of so many ``queries``, those that ``own`` disputes marked and last.

    A match is disputed if every stored version within reach of the query is, at the distance that
    it has; if the match is not common, every one that is not. What is disputed hides nothing:
    further matches are searched for in its place, up to MAX_MATCHES. The match id of a match that
    is not disputed names versions that are not yet.

    ``hashes_of`` returns the hashes, uint8 (n, 32), of a query.
    """
    if not own:
        return (yield from ask(_EVERY, max_matches))
    parts, rows, most = [], np.arange(queries), max_matches
    while len(rows):
        answer = yield from ask(rows, most)
        query, truncated = (
            rows[column].astype(np.uint32) for column in (answer.query, answer.truncated)
        )
        matches = replace(answer, query=query, truncated=truncated)
        matches = yield from _marked(matches, own, index, hashes_of, scope, allowance)
        answered = _cut(matches, max_matches)
        again = np.empty(0, np.intp)
        if most < MAX_MATCHES:
            again = np.intersect1d(truncated, _wanting(matches, answered, scope, max_matches))
        parts.append(answered.take(np.flatnonzero(~np.isin(answered.query, again))))
        rows, most = again.astype(np.intp), min(_MORE * most, MAX_MATCHES)
    matches = joined(parts)
    order = np.lexsort(
        (
            matches.bank != MINORS.number,
            matches.distance_bits,
            matches.is_common,
            matches.is_disputed,
            matches.query,
        )
    )
    return replace(matches.take(order), truncated=np.unique(matches.truncated))


def _marked(
    matches: Matches,
    own: OwnDisputes,
    index: LiveIndex,
    hashes_of: Callable[[int], NDArray[np.uint8]],
    scope: Scope,
    allowance: Allowance,
) -> Steps[Matches]:
    """Mark the matches that are disputed; pause before each that may be."""
    item_ids = [item_id.tobytes() for item_id in matches.item_ids]
    is_disputed = matches.is_disputed.copy()
    versions = np.full((len(matches), MATCHED_VERSIONS_MAX, 3), NO_VERSION, np.uint16)
    versions[:, : matches.versions.shape[1]] = matches.versions
    for at in (at for at, item_id in enumerate(item_ids) if item_id in own):
        yield
        allowance.check()
        hashes = hashes_of(int(matches.query[at]))
        near = _near(index, matches, at, hashes, scope)
        left = undisputed(near, own[item_ids[at]])
        is_disputed[at] = bool(near) and not left
        if left:
            named = left[:MATCHED_VERSIONS_MAX]
            versions[at] = NO_VERSION
            versions[at, : len(named)] = named
    return replace(matches, is_disputed=is_disputed, versions=versions)


def _near(
    index: LiveIndex, matches: Matches, at: int, hashes: NDArray[np.uint8], scope: Scope
) -> list[MatchedVersion]:
    """Return the stored versions of a match within reach of any of ``hashes``, nearest first.

    Common ones only if the match is.
    """
    columns, bank = index.find(int(matches.number[at])), int(matches.bank[at])
    if columns is None:  # withdrawn meanwhile
        return []
    pairs = FlatIndex.of(columns.codes).neighbours(hashes, scope.limits[bank])
    entries = columns.entries[pairs.entry]
    kept = is_answered(pairs.distance, entries["below_bits"])
    if not matches.is_common[at] and holds_common(index):
        kept &= pairs.distance < common_bits(index, hashes)[pairs.query]
    if len(kept) and scope.radius_bits <= MAX_DISTANCE_BITS:
        kept &= are_within(hashes, pairs.query, pairs.distance, compiled=index.compiled)
    nearest: dict[tuple[int, int], int] = {}
    rows = zip(
        *(entries[kept][name].tolist() for name in ("plan", "ordinal")),
        pairs.distance[kept].tolist(),
        strict=True,
    )
    for plan, ordinal, bits in sorted(rows, key=lambda row: row[2]):
        nearest.setdefault((plan, ordinal), bits)
    return [MatchedVersion(*place, bits) for place, bits in nearest.items()]


def _cut(matches: Matches, max_matches: int) -> Matches:
    """Return what is answered of each query, disputed matches last."""
    if not matches.is_disputed.any():
        return matches
    # as a search cuts: among equals by number
    order = np.lexsort(
        (
            matches.number,
            matches.distance_bits,
            matches.is_common,
            matches.is_disputed,
            matches.query,
        )
    )
    begins = np.flatnonzero(np.diff(matches.query[order])) + 1
    of_queries = np.split(order, begins)
    return matches.take(
        np.concatenate(
            [places[answered_places(matches.bank[places], max_matches)] for places in of_queries]
        )
    )


def _wanting(
    matches: Matches, answered: Matches, scope: Scope, max_matches: int
) -> NDArray[np.uint32]:
    """Return the queries where disputed matches may leave out others that were not found."""
    disputed, undisputed = matches.query[matches.is_disputed], matches.query[~matches.is_disputed]
    if not len(disputed):
        return disputed
    few = np.bincount(undisputed, minlength=int(disputed.max()) + 1)[disputed]
    # the nearest of each bank are found however far they are
    few_found = disputed[few < max_matches + len(scope.limits)]
    return np.concatenate([few_found, answered.query[answered.is_disputed]])
