"""What a mirror must have: all that its hotline shows in the banks of its key, and nothing else."""

from __future__ import annotations

import numpy as np

from disrupt.registry.registry import RegistryReader
from disrupt.registry.walk import matched_items


def shown(registry: RegistryReader, names: set[str]) -> dict[bytes, tuple[object, ...]]:
    """Return all that lookups find in banks, by item id."""
    bank_names = {bank.number: bank.name for bank in registry.banks() if bank.name in names}
    found = dict[bytes, tuple[object, ...]]()
    for items in matched_items(registry, 0, registry.head()):
        ends = np.cumsum(items.lengths)
        for at in range(len(items)):
            own = slice(ends[at] - items.lengths[at], ends[at])
            if (bank := int(items.bank[at])) in bank_names:
                found[items.item_id[at].tobytes()] = (
                    bank_names[bank],
                    int(items.kind[at]),
                    int(items.assurance[at]),
                    items.fingerprints[own].tobytes(),
                    items.below_bits[own].tobytes(),
                )
    return found
