"""The rule of disputes as it is said, distance by distance."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from disrupt.core.disputes import Version
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.outcomes import Dispute, NarrowingPolicy, Settlement
from disrupt.core.transforms import transform_of


def shows_whole(version: Version) -> bool:
    """Tell whether a version shows nearly all of the picture."""
    transform = transform_of(*version)
    return transform is None or transform.area_permille >= 750


def is_disputed(disputes: Collection[Dispute], bits: int, organisations: int) -> bool:
    """Tell whether enough organisations say that a match at a distance is wrong."""
    disputing = {each.organisation for each in disputes if each.version.distance_bits <= bits}
    return len(disputing) >= organisations


def not_answered(
    versions: Collection[Version], disputes: Collection[Dispute], policy: NarrowingPolicy
) -> set[tuple[Version, int]]:
    """Return the versions of an item and the distances at which they are not answered."""
    silent, undecided = set[tuple[Version, int]](), list[tuple[int, Version]]()
    for version in versions:
        counted = [
            each
            for each in disputes
            if each.version[:2] == version and each.settlement != Settlement.WIDENED
        ]
        upheld = [each for each in counted if each.settlement == Settlement.UPHELD]
        wrong = [
            bits
            for bits in range(MAX_DISTANCE_BITS + 1 if counted else 0)
            if is_disputed(counted, bits, policy.organisations)
        ]
        for bits in wrong:
            if bits > policy.floor_bits or (
                not shows_whole(version) and is_disputed(upheld, bits, policy.organisations)
            ):
                silent.add((version, bits))
        if wrong and (version, wrong[0]) not in silent and not shows_whole(version):
            undecided.append((wrong[0], version))
    may_fall = len(versions) * policy.silent_permille // 1000
    for first, version in sorted(undecided)[:may_fall]:
        silent |= {(version, bits) for bits in range(first, MAX_DISTANCE_BITS + 1)}
    return silent


def silenced(below_bits: Mapping[Version, int]) -> set[tuple[Version, int]]:
    """Return the same of versions that are answered only below these distances."""
    return {
        (version, bits)
        for version, below in below_bits.items()
        for bits in range(below, MAX_DISTANCE_BITS + 1)
    }
