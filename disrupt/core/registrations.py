"""Registrations: the requests of a person's device, and the answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.core.changes import Cursor
from disrupt.core.hashes import MIN_QUALITY
from disrupt.core.media import LowQuality, MediaKind, folded
from disrupt.core.states import WaitReason
from disrupt.core.tallies import OTHER, Door

REQUEST_ID_BYTES = 16
ORIGIN_TOKEN_BYTES_MAX = 64
WIDER_ORIGINS_MAX = 2
PROOF_BYTES_MAX = 4096


@dataclass(frozen=True, slots=True)
class CaseAccess:
    """Credentials of a case: its canonical number and its PIN.

    ``origin_token`` identifies who asks, at most 64 bytes; empty: the key does.
    ``wider_origin_tokens`` identify the wider networks that it is part of, narrowest first.
    """

    case_number: str
    pin: str = field(repr=False)
    origin_token: bytes = b""
    wider_origin_tokens: tuple[bytes, ...] = ()

    @property
    def origins(self) -> tuple[bytes, ...]:
        """Tokens of all networks of the caller, narrowest first; none where the key asks."""
        return (self.origin_token, *self.wider_origin_tokens) if self.origin_token else ()

    @property
    def widest_origin(self) -> bytes:
        """Token of the widest network; empty where the key asks."""
        return self.origins[-1] if self.origins else b""


@dataclass(frozen=True, slots=True, eq=False)
class MediaItem:
    """One picture or video to register.

    ``fingerprints`` has dtype FINGERPRINT, shape (n,), n ≥ 1; of any quality.
    """

    kind: MediaKind
    fingerprints: NDArray[np.void]


def sufficient(item: MediaItem) -> MediaItem:
    """Return the item with the fingerprints that are stored of it, maybe none."""
    good = item.fingerprints[item.fingerprints["quality"] >= MIN_QUALITY]
    return MediaItem(item.kind, folded(good))


@dataclass(frozen=True, slots=True, eq=False)
class RegistrationRequest:
    """A registration, into a new case where ``access.case_number`` is empty.

    ``request_id`` are 16 bytes made by the device; at least one item. ``proof_of_work`` is the
    solution of a challenge, empty for none. ``door`` and ``language`` are counted, and no more.
    """

    request_id: bytes
    access: CaseAccess
    age_band: AgeBand
    items: tuple[MediaItem, ...]
    proof_of_work: str = ""
    door: Door = Door.OTHER
    language: str = OTHER


class Outcome(IntEnum):
    """Outcome of registering one item; the numbers are those of proto/ and stored columns.

    RENEWED: its case had it, and the new item took the place of the old one. KEPT: its case has it,
    and nothing was stored.
    """

    ADDED = 1
    RENEWED = 2
    KEPT = 3


class ShownState(IntEnum):
    """State of an item as the person is told; the numbers are those of proto/."""

    LIVE = 1
    WAITING = 2
    OFF = 3


@dataclass(frozen=True, slots=True)
class RegisteredItem:
    """One item that is registered: its place in the request, its id, and hashes that are stored.

    ``number`` is its number in the case, from 1. ``state`` is the one that it has now, also if the
    case had it before; ``wait_reason`` is None unless it waits.
    """

    index: int
    item_id: bytes
    hashes: int
    number: int
    outcome: Outcome = Outcome.ADDED
    state: ShownState = ShownState.LIVE
    wait_reason: WaitReason | None = None


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
class WithdrawnItem:
    """One item that a withdrawal removed, with its number in the case.

    ``replaced_ids`` are older ids of its picture, by which the withdrawal named it.
    """

    item_id: bytes
    number: int
    replaced_ids: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownItem:
    """One item of a case that is not withdrawn; ``age_band`` is ADULT or MINOR, by its bank.

    ``number`` is its number in the case, ``registered_on`` the ISO date (UTC) of its first
    registration, ``identity`` that of ``core.renewals``. ``blocked_on`` and ``left_up_on`` are the
    newest days on which a platform said that it blocked a copy, or left it up; empty: none did.
    """

    item_id: bytes
    kind: MediaKind
    hashes: int
    age_band: AgeBand
    number: int
    registered_on: str
    identity: bytes
    state: ShownState
    blocked_on: str = ""
    left_up_on: str = ""
    wait_reason: WaitReason | None = None


@dataclass(frozen=True, slots=True)
class ShownCase:
    """A case as the person sees it. Days are ISO dates (UTC); ``closed_on`` is empty while open.

    ``withdrawn_numbers`` are those of items that were withdrawn; empty in a withdrawn case.
    ``erased_on`` is when it is erased, as its PIN was said to be lost; empty if it is not.
    """

    number: str
    status: CaseStatus
    opened_on: str
    closed_on: str
    items: tuple[ShownItem, ...]
    withdrawn_numbers: tuple[int, ...]
    erased_on: str = ""
