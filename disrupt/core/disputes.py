"""Narrow the versions of an item, by its disputes, to the distances at which they are answered."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from disrupt.core.lookups import WHOLE_PERMILLE
from disrupt.core.outcomes import DisputeSummary, Settlement
from disrupt.core.transforms import areas_permille

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from disrupt.core.outcomes import Dispute, NarrowingPolicy

Version = tuple[int, int]
"""Plan and ordinal."""

_NEAR_TENTHS = 8
"""Tenths of the versions that may fall silent, from which on staff have to look."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """Narrowed versions of an item: each is answered only at distances below these, in bits.

    ``is_settled``: staff have decided on every dispute.
    """

    below_bits: Mapping[Version, int]
    summary: DisputeSummary
    is_settled: bool


def narrowing(
    versions: frozenset[Version],
    disputes: Iterable[Dispute],
    policy: NarrowingPolicy,
    *,
    is_minors: bool,
) -> Narrowing | None:
    """Return what disputes make of an item with these versions; None if none of them counts.

    ``disputes`` are those of organisations with a valid key; any that staff have widened count for
    nothing. Of versions that show only a part, those that are disputed nearest fall silent first.
    """
    counted = [each for each in disputes if each.settlement != Settlement.WIDENED]
    if not counted:
        return None
    shows_whole = _shows_whole(frozenset(each.version[:2] for each in counted))
    agreed_bits = _agreed_bits(counted, policy.organisations)
    upheld = [each for each in counted if each.settlement == Settlement.UPHELD]
    upheld_bits = _agreed_bits(upheld, policy.organisations)
    beyond_floor = policy.floor_bits + 1
    least_bits = {
        version: beyond_floor
        if version in shows_whole
        else min(upheld_bits.get(version, beyond_floor), beyond_floor)
        for version in agreed_bits.keys() & versions
    }
    falling = sorted(
        (agreed_bits[version], version)
        for version, bits in least_bits.items()
        if agreed_bits[version] < bits and version not in shows_whole
    )
    may_fall = len(versions) * policy.silent_permille // 1000
    least_bits |= {version: bits for bits, version in falling[:may_fall]}
    below_bits = {version: max(agreed_bits[version], bits) for version, bits in least_bits.items()}
    open_ones = [each for each in counted if each.settlement is None]
    reasons = {
        "within_floor": any(
            each.version[:2] in shows_whole and each.version.distance_bits <= policy.floor_bits
            for each in open_ones
        ),
        "minor": is_minors and bool(open_ones),
        "near_tenth": bool(falling) and 10 * len(falling) >= _NEAR_TENTHS * may_fall,
    }
    summary = DisputeSummary(
        len({each.organisation for each in counted}),
        len(below_bits),
        sum(bits <= policy.floor_bits for bits in below_bits.values()),
        frozenset(reason for reason, is_given in reasons.items() if is_given),
    )
    return Narrowing(below_bits, summary, not open_ones)


def _agreed_bits(disputes: Iterable[Dispute], organisations: int) -> dict[Version, int]:
    """Return the least distance that so many organisations dispute, of versions where they do."""
    nearest = defaultdict[Version, dict[str, int]](dict)
    for dispute in disputes:
        bits = nearest[dispute.version[:2]]
        of_organisation = bits.get(dispute.organisation, dispute.version.distance_bits)
        bits[dispute.organisation] = min(of_organisation, dispute.version.distance_bits)
    return {
        version: sorted(bits.values())[organisations - 1]
        for version, bits in nearest.items()
        if len(bits) >= organisations
    }


def _shows_whole(versions: frozenset[Version]) -> frozenset[Version]:
    """Return the versions that show nearly all of the item; what is not known counts as such."""
    ordered = list(versions)
    plans, ordinals = np.array(ordered, np.uint16).reshape(-1, 2).T
    areas = areas_permille(plans, ordinals)
    is_whole = (areas == 0) | (areas >= WHOLE_PERMILLE)
    return frozenset(version for version, whole in zip(ordered, is_whole, strict=True) if whole)
