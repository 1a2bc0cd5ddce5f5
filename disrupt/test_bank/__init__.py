"""The test bank: published pictures with which platforms try their integration.

``scripts/test_bank`` drew the pictures, and computed the hashes that a device would register. A
worker searches them only when a lookup names the bank; the registry does not have them.
"""

from __future__ import annotations

import io
from functools import lru_cache
from importlib import resources

import numpy as np

from disrupt.core.media import ITEM_ID_BYTES, Assurance, MediaKind, StoredItem
from disrupt.core.policy import TEST

PICTURES = ("amber", "coral", "indigo", "olive")
"""Names of the pictures in the bank; its item number n, from 1, is of the n-th."""

UNREGISTERED = "slate"
"""Name of a picture beside them that is not in the bank, and matches none of these."""

HASHES = "hashes.npz"
"""File with ``fingerprints`` (dtype FINGERPRINT) of all pictures, and their ``lengths``."""

_ID_PREFIX = b"disrupt-test"
"""96 bits: no item of a registry, whose id is random, begins so."""


def picture(name: str) -> bytes:
    """Return the PNG file of a picture."""
    return resources.files(__name__).joinpath(f"{name}.png").read_bytes()


def item_id(number: int) -> bytes:
    """Return the id of an item of the bank, by its number."""
    return _ID_PREFIX + number.to_bytes(ITEM_ID_BYTES - len(_ID_PREFIX))


def has(item_id: bytes) -> bool:
    """Tell whether an item is of the bank."""
    return item_id.startswith(_ID_PREFIX)


@lru_cache(maxsize=1)
def items() -> tuple[StoredItem, ...]:
    """Return the items of the bank."""
    file = resources.files(__name__).joinpath(HASHES).read_bytes()
    with np.load(io.BytesIO(file)) as stored:
        fingerprints, lengths = stored["fingerprints"], stored["lengths"]
    return tuple(
        StoredItem(
            number, item_id(number), TEST.number, MediaKind.IMAGE, Assurance.SELF_REPORTED, rows
        )
        for number, rows in enumerate(np.split(fingerprints, np.cumsum(lengths)[:-1]), start=1)
    )
