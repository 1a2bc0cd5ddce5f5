"""Registrations: the requests of a person's device, and the answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from disrupt.core.case_erasures import CaseErasure
from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.core.changes import Cursor
from disrupt.core.media import ItemState, LowQuality, MediaKind
from disrupt.core.outcomes import Outcome as MatchOutcome

REQUEST_ID_BYTES = 16
ORIGIN_TOKEN_BYTES_MAX = 64


@dataclass(frozen=True, slots=True)
class CaseAccess:
    """Credentials of a case: its canonical number and its PIN.

    ``origin_token`` identifies who asks, at most 64 bytes; empty: the key does.
    """

    case_number: str
    pin: str = field(repr=False)
    origin_token: bytes = b""


@dataclass(frozen=True, slots=True, eq=False)
class MediaItem:
    """One picture or video to register.

    ``fingerprints`` has dtype FINGERPRINT, shape (n,), n ≥ 1; of any quality.
    """

    kind: MediaKind
    fingerprints: NDArray[np.void]


@dataclass(frozen=True, slots=True, eq=False)
class RegistrationRequest:
    """A registration, into a new case where ``access.case_number`` is empty.

    ``request_id`` are 16 bytes made by the device; at least one item.
    """

    request_id: bytes
    access: CaseAccess
    age_band: AgeBand
    items: tuple[MediaItem, ...]


class Outcome(IntEnum):
    """Outcome of registering one item; the numbers are those of proto/ and stored columns.

    RENEWED: its case had it, and the new item took the place of the old one. KEPT: its case has it,
    and nothing was stored.
    """

    ADDED = 1
    RENEWED = 2
    KEPT = 3


@dataclass(frozen=True, slots=True)
class RegisteredItem:
    """One item that is registered: its place in the request, its id, and hashes that are stored.

    ``state`` is the item's state now, also in a receipt that is given again.
    """

    index: int
    item_id: bytes
    hashes: int
    outcome: Outcome = Outcome.ADDED
    state: ItemState = ItemState.LIVE


@dataclass(frozen=True, slots=True)
class RejectedItem:
    """One item that was not registered: the best quality among its hashes."""

    index: int
    low_quality: LowQuality


@dataclass(frozen=True, slots=True)
class Receipt:
    """The outcome of a registration.

    ``case_number`` is empty and ``status`` None where every item was rejected and no case was
    opened; ``cursor`` is None where nothing was stored.
    """

    case_number: str
    status: CaseStatus | None
    items: tuple[RegisteredItem, ...]
    rejected: tuple[RejectedItem, ...]
    cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class ShownItem:
    """One item of a case that is not withdrawn; ``age_band`` is that which its bank says.

    ``outcomes`` are those of its matches that the person sees (``core.outcomes.shown``).
    """

    item_id: bytes
    kind: MediaKind
    hashes: int
    age_band: AgeBand
    outcomes: tuple[MatchOutcome, ...] = ()
    state: ItemState = ItemState.LIVE


@dataclass(frozen=True, slots=True)
class ShownCase:
    """A case as the person sees it. Days are ISO dates (UTC); ``closed_on`` is empty while open.

    ``erasure`` is that which staff were asked for without the PIN, if any.
    """

    number: str
    status: CaseStatus
    opened_on: str
    closed_on: str
    items: tuple[ShownItem, ...]
    erasure: CaseErasure | None = None
