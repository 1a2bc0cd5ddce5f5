"""Registering a picture or video again in the same case."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from disrupt.core.media import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from disrupt.core.media import MediaKind

_IDENTITY_BYTES = 16
_OWN = ["ordinal", "hash", "start_ms", "end_ms"]
_SEARCHED = ["hash", "profile", "plan", "ordinal", "start_ms", "end_ms"]


def identity_of(kind: MediaKind, fingerprints: NDArray[np.void]) -> bytes:
    """Return 16 bytes that all registrations of one picture or video have in common.

    They are made of its kind, and of the ordinals, hashes and times of its fingerprints (dtype
    FINGERPRINT) of plan 0, in any order. Empty where there are none of these: then nothing shows
    which picture it is.
    """
    own = fingerprints[fingerprints["plan"] == 0]
    if not len(own):
        return b""
    rows = b"".join(sorted(_rows(own, _OWN)))
    return hashlib.sha256(bytes([kind]) + rows).digest()[:_IDENTITY_BYTES]


def stays(stored: NDArray[np.void], brought: NDArray[np.void]) -> bool:
    """Tell whether the stored fingerprints of an item stay when others of it are brought.

    They do if they hold all that is brought, whatever its quality, or have a higher plan: a device
    that knows fewer plans takes nothing away. Both have dtype FINGERPRINT, shape (n,), n ≥ 1.
    """
    if brought["plan"].max() < stored["plan"].max():
        return True
    return _rows(brought, _SEARCHED) <= _rows(stored, _SEARCHED)


def new_hashes(stored: Iterable[NDArray[np.void]], brought: NDArray[np.void]) -> int:
    """Count the fingerprints of an item that none of the stored ones equals."""
    known = set[bytes]().union(*(_rows(fingerprints, _SEARCHED) for fingerprints in stored))
    return len(_rows(brought, _SEARCHED) - known)


def _rows(fingerprints: NDArray[np.void], fields: list[str]) -> set[bytes]:
    return set(rows_of(fingerprints, fields).tolist())
