"""Disputes of the calling organisation: it gets such matches marked, and last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from disrupt.core.hashes import HASH_BITS
from disrupt.core.outcomes import Dispute, MatchedVersion

Distances: TypeAlias = Mapping[tuple[int, int], int]
"""Least distance in bits at which an organisation disputes a version, by plan and ordinal."""

OwnDisputes: TypeAlias = Mapping[bytes, Distances]
"""Disputes of one organisation, by item id."""


def by_organisation(disputes: Iterable[Dispute]) -> Mapping[str, OwnDisputes]:
    """Return what each organisation disputes."""
    own = defaultdict[str, defaultdict[bytes, dict[tuple[int, int], int]]](
        lambda: defaultdict(dict)
    )
    for dispute in disputes:
        distances, place = own[dispute.organisation][dispute.item_id], dispute.version[:2]
        bits = dispute.version.distance_bits
        distances[place] = min(bits, distances.get(place, bits))
    return {organisation: dict(of_items) for organisation, of_items in own.items()}


def undisputed(
    versions: Iterable[MatchedVersion], distances: Distances
) -> tuple[MatchedVersion, ...]:
    """Return the versions that are nearer than from where on they are disputed, if they are."""
    return tuple(
        version
        for version in versions
        if version.distance_bits < distances.get(version[:2], HASH_BITS + 1)
    )
