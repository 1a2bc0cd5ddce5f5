"""Lists of hashes that partners hand out, as the registry keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from disrupt.core.media import MediaKind
    from disrupt.core.outcomes import MatchOutcome

ENTRIES_AT_ONCE = 500
"""Most entries in one transaction: some tens of milliseconds, in which nobody else writes."""

SOURCE_ID_BYTES_MAX = 200
SOURCE_BYTES_MAX = 4000


class Skipped(StrEnum):
    """Reason why an entry of a list is not registered, as status and metrics name it."""

    MALFORMED = "malformed"
    """No id, hash or time that can be read, or not the shape of one picture or video."""
    UNKNOWN_STATUS = "unknown_status"
    """Neither added nor withdrawn: what its status means is not known."""
    UNSUPPORTED = "unsupported"
    """A hash of another kind, such as MD5."""
    STALE = "stale"
    """Older than what is stored, or than what was asked for."""
    INDISTINCT = "indistinct"
    """The hash of a blank or regular picture, which lookups never answer, or of low quality."""


@dataclass(frozen=True, slots=True, eq=False)
class ListEntry:
    """One picture or video of a list, or that it was withdrawn: then ``fingerprints`` is None.

    ``source_id`` has 1-200 bytes, and names the entry at its source. ``changed_s`` is when the
    source changed it, in seconds since 1970 (UTC). ``fingerprints`` has dtype FINGERPRINT, shape
    (n,), n ≥ 1.
    """

    source_id: bytes
    changed_s: int
    kind: MediaKind
    fingerprints: NDArray[np.void] | None = None


@dataclass(frozen=True, slots=True)
class PartnerList:
    """A list as stored. Times are in seconds since 1970 (UTC), 0: never.

    ``source`` is JSON, see ``disrupt.lists.sources``; ``checkpoint`` is how far it was read, in its
    own words. ``read_s`` is when a run ended well, ``tried_s`` when one ended; ``failure`` is why
    the last one failed, empty if it did not, and ``failures`` how many did since one ended well.
    ``skipped`` counts the entries that the last run did not register, by Skipped.
    """

    name: str
    source: str
    checkpoint: str
    entries: int
    added_s: int
    read_s: int
    tried_s: int
    failure: str
    failures: int
    skipped: Mapping[str, int]
    is_removed: bool = False


@dataclass(frozen=True, slots=True)
class ListFeedback:
    """What platforms did with matches of an entry; ``hash`` is the first of its item, 32 bytes."""

    source_id: bytes
    hash: bytes
    outcome: MatchOutcome
