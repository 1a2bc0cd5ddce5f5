"""Narrowings of items as stored: what lookups and staff are told of their disputes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from disrupt.core.media import NOT_NARROWED
from disrupt.core.outcomes import DisputeSummary

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Row

    from disrupt.core.disputes import Narrowing, Version

NARROWED = np.dtype([("plan", "<u2"), ("ordinal", "<u2"), ("below_bits", np.uint8)])
"""One narrowed version: 5 bytes, little-endian, no padding. Blobs are arrays of it, ascending."""

REASONS = ("within_floor", "minor", "near_tenth")
"""Reasons why staff have to decide, by the bit of the column ``needs_staff``."""


def values_of(made: Narrowing) -> dict[str, object]:
    """Return the columns of an item's row, but its number."""
    narrowed = [(*version, bits) for version, bits in sorted(made.below_bits.items())]
    return {
        "narrowed": np.array(narrowed, NARROWED).tobytes(),
        "organisations": made.summary.organisations,
        "silent": made.summary.silent,
        "needs_staff": sum(1 << REASONS.index(reason) for reason in made.summary.needs_staff),
        "is_settled": made.is_settled,
    }


def reasons_of(needs_staff: int) -> list[str]:
    """Return the reasons that a value of the column names."""
    return [reason for bit, reason in enumerate(REASONS) if needs_staff >> bit & 1]


def summary_of(row: Row[Any]) -> DisputeSummary:
    """Return what staff see of a row with the columns of an item's."""
    return DisputeSummary(
        row.organisations,
        len(row.narrowed) // NARROWED.itemsize,
        row.silent,
        frozenset(reasons_of(row.needs_staff)),
    )


def below_bits(narrowed: bytes) -> dict[Version, int]:
    """Return the narrowed versions of a blob. ValueError for one that is none."""
    return {(plan, ordinal): bits for plan, ordinal, bits in np.frombuffer(narrowed, NARROWED)}


def below_bits_of(fingerprints: NDArray[np.void], narrowed: bytes | None) -> NDArray[np.uint8]:
    """Return below which distance each fingerprint of an item is answered, uint8 (n,).

    ``narrowed`` is the blob of the item, None where it has none. ValueError for one that is none.
    """
    below = np.full(len(fingerprints), NOT_NARROWED, np.uint8)
    if narrowed:
        rows = np.frombuffer(narrowed, NARROWED)
        versions, own = _keys(rows), _keys(fingerprints)
        at = np.searchsorted(versions, own).clip(max=len(versions) - 1)
        is_narrowed = versions[at] == own
        below[is_narrowed] = rows["below_bits"][at[is_narrowed]]
    return below


def blob_of(fingerprints: NDArray[np.void], below_bits: NDArray[np.uint8]) -> bytes:
    """Invert ``below_bits_of``; of a version with several distances the least is taken."""
    keys = _keys(fingerprints)
    order = np.lexsort((below_bits, keys))
    keys, bits = keys[order], below_bits[order]
    least = np.append(True, keys[1:] != keys[:-1]) & (bits != NOT_NARROWED)
    rows = np.empty(int(least.sum()), NARROWED)
    rows["plan"], rows["ordinal"] = np.divmod(keys[least], 1 << 16)
    rows["below_bits"] = bits[least]
    return rows.tobytes()


def versions_of(fingerprints: NDArray[np.void]) -> frozenset[Version]:
    """Return the versions that an item has."""
    plans, ordinals = np.divmod(np.unique(_keys(fingerprints)), 1 << 16)
    return frozenset(zip(plans.tolist(), ordinals.tolist(), strict=True))


def _keys(rows: NDArray[np.void]) -> NDArray[np.uint32]:
    """Return a number for each version, which ascends as they do."""
    keys: NDArray[np.uint32] = rows["plan"].astype(np.uint32) << 16 | rows["ordinal"]
    return keys
