"""Fingerprints as rows of text, which the page's and Python's are compared by."""

from __future__ import annotations

from collections.abc import Iterable

from disrupt.hashing import ImageFingerprints


def rows_of(outcome: ImageFingerprints) -> list[str]:
    """Return a row for each fingerprint, as ``rowOf`` in tests/web/hashing/comparison.js does."""
    return [
        f"{fingerprint.profile.value} {fingerprint.plan} {fingerprint.ordinal}"
        f" {fingerprint.quality} {fingerprint.hash.hex()}"
        for fingerprint in outcome.fingerprints
    ]


def hashes_of(rows: Iterable[str]) -> dict[tuple[int, int, int], int]:
    """Return the hashes of rows as numbers, by profile, plan and ordinal."""
    hashes = {}
    for row in rows:
        profile, plan, ordinal, _, digits = row.split()
        hashes[int(profile), int(plan), int(ordinal)] = int(digits, 16)
    return hashes
