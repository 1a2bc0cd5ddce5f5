"""Records that callers hand to the registry, and that it returns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from disrupt.audit.entries import LeafId
from disrupt.core.acts import Act
from disrupt.core.case_erasures import CaseErasure
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Cursor
from disrupt.core.disputes import Version
from disrupt.core.lists import ListEntry
from disrupt.core.media import Assurance, MediaKind
from disrupt.core.outcomes import (
    Dispute,
    MatchOutcome,
)
from disrupt.core.registrations import Outcome, WithdrawnItem
from disrupt.core.review import ReviewedItem
from disrupt.core.states import ItemState, WaitReason
from disrupt.core.tallies import Statement

Access = Mapping[str, Sequence[Mapping[str, Any]]]
"""Who may do what: rows of each table, as JSON has them, bytes in hex, without internal ids."""

NUMBERS_AT_ONCE = 5_000
"""Most items that a read of items for review looks at: some tens of milliseconds."""

DISPUTED_MATCHES = 64
"""Most matches of one item that an organisation disputes; a further one takes the place of the
farthest."""

REPORTS_KEPT = 100_000
"""Reported outcomes of an organisation that are remembered, so that a repeated report counts once:
what one holder of a key can make the registry keep."""
REPORTS_KEPT_DAYS = 30

RELEASED_AT_ONCE = 500
"""Most items that one call releases: some tens of milliseconds, in which nobody else writes."""

ITEMS_OF_ACT_MAX = 100_000
"""Most items that conditions may name for an act: some seconds, in which nobody else writes."""

BYTES_AT_ONCE = 2 * 2**20
"""Most bytes of fingerprints in one read, unless one item has more: under six of the largest."""

CHANGES_AT_ONCE = 50_000
"""Most changes that a read of some banks' changes scans: a tenth of a second or two."""


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case to open: its number (canonical form) and the encoded hash of its PIN."""

    number: str
    pin_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class NewItem:
    """A media item to add.

    ``item_id`` are 16 random bytes; ``fingerprints`` has dtype FINGERPRINT, shape (n,), n ≥ 1.
    ``is_unlike_a_picture``, ``is_common``: for that reason its hashes do not go live at once.
    """

    item_id: bytes
    kind: MediaKind
    fingerprints: NDArray[np.void]
    is_unlike_a_picture: bool = False
    is_common: bool = False


@dataclass(frozen=True, slots=True)
class Registration:
    """One registration, into a new case or into an existing one (its canonical number).

    ``request_id`` are 16 bytes made by the device, ``request_digest`` 32 bytes over all that the
    request says but its PIN. ``bank`` is the number of the bank that its items go to; with
    ``keeps_banks``, only that of items which the case does not have yet. At least one item.

    ``key_id`` is the key with which it came, ``origin`` the token of the widest network of who sent
    it, of which only a tag is stored; both may be empty. ``live_pictures`` is how many pictures may
    go live at once, by ``core.plausibility.pictures``. Of its items that wait for their turns,
    ``paid_pictures`` have them before others: the first that are worth no more. ``act`` is noted on
    each item that is added. ``statement`` is what it is counted as; None: in no tally, as it is of
    no person.
    """

    request_id: bytes
    request_digest: bytes
    case: NewCase | str
    bank: int
    assurance: Assurance
    items: tuple[NewItem, ...]
    keeps_banks: bool = False
    key_id: str = ""
    origin: bytes = b""
    live_pictures: float = math.inf
    paid_pictures: float = 0.0
    act: Act | None = None
    statement: Statement | None = None


@dataclass(frozen=True, slots=True)
class ListPart:
    """A part of a partner's list: at most ENTRIES_AT_ONCE entries, of each id one that counts.

    ``items`` has the item of each of ``entries``, None of one that was withdrawn. ``checkpoint`` is
    how far the list is read with them; None: as before. Entries that changed before
    ``withdrawn_before_s`` are withdrawn, too.
    """

    name: str
    entries: Sequence[ListEntry]
    items: Sequence[NewItem | None]
    checkpoint: str | None = None
    withdrawn_before_s: int = 0


class ListApplied(NamedTuple):
    """The result of a part: how many entries were stale, and whether more is to be withdrawn."""

    stale: int
    is_more: bool


class HeldItem(NamedTuple):
    """The stored item that answers for an item of a registration, with its number of hashes.

    ``number`` is its number in the case, from 1. ``state`` is the one that it has now.
    ``wait_reason`` is None unless that is WAITING, and where staff have made it wait.
    """

    item_id: bytes
    hashes: int
    number: int
    outcome: Outcome = Outcome.ADDED
    state: ItemState = ItemState.LIVE
    wait_reason: WaitReason | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """The result of a registration.

    ``items`` are in the order of the request. ``cursor`` includes them. ``live_pictures`` is how
    many of those that may go live at once it took, ``paid_pictures`` how many of those that are
    paid for; 0 for a repeated request.
    """

    case_number: str
    status: CaseStatus
    items: tuple[HeldItem, ...]
    cursor: Cursor
    live_pictures: float = field(default=0.0, compare=False)
    paid_pictures: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class CaseItem:
    """One item of a case that is not withdrawn; ``bank`` is the number of its bank.

    ``number`` counts the items of the case from 1, in the order of their first registration; a
    renewal keeps it and the day (ISO, UTC), and it is never given again. ``identity`` is that of
    ``core.renewals``.
    """

    item_id: bytes
    bank: int
    kind: MediaKind
    hashes: int
    number: int
    registered_on: str
    identity: bytes
    state: ItemState
    state_since_s: int | None = None
    """When the state was set, in seconds since 1970 (UTC); None: at the registration."""
    wait_reason: WaitReason | None = None
    """Why it waits; None if it does not, or if staff have made it wait."""


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case as stored.

    Days are ISO dates (UTC); ``closed_on`` is empty while open. ``items`` are those not withdrawn,
    by number. ``numbers_given`` is the newest number of an item, 0 once the case is withdrawn.
    ``erased_on`` is the day on which it is erased, as its PIN is lost; empty if it is not.
    """

    number: str
    pin_hash: str
    status: CaseStatus
    opened_on: str
    closed_on: str
    items: tuple[CaseItem, ...]
    numbers_given: int
    erased_on: str


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The result of a withdrawal: the items that it removed, and a cursor that includes it.

    ``receipt`` is its leaf in the audit log; None where it removed nothing.
    """

    items: tuple[WithdrawnItem, ...]
    cursor: Cursor
    receipt: LeafId | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """An item that was withdrawn or replaced: its internal number, and the 16 bytes known outside.

    ``successor`` is the id of the item that took its place; empty if it was withdrawn.
    """

    number: int
    item_id: bytes
    successor: bytes = b""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A key that was revoked, by its public id of up to 16 ASCII characters."""

    key_id: str


class ErasurePage(NamedTuple):
    """A page of erasures; ``before`` is where the next one goes on, 0 at the end."""

    erasures: Sequence[CaseErasure]
    before: int


class ReviewPage(NamedTuple):
    """A page of items; ``before`` is where the next one goes on, 0 at the end."""

    items: Sequence[ReviewedItem]
    before: int


@dataclass(frozen=True, slots=True)
class StatesSet:
    """The result of a change by staff: the items that it changed, and a cursor that has it."""

    item_ids: tuple[bytes, ...]
    cursor: Cursor


class ReportedOutcome(NamedTuple):
    """The latest outcome that an organisation reported of an item, and its day (ISO, UTC)."""

    organisation: str
    outcome: MatchOutcome
    day: str


@dataclass(frozen=True, slots=True)
class ItemReports:
    """Reports about an item by organisation, including those without a valid key.

    ``disputes`` have those that staff have settled, too. ``below_bits`` are the distances below
    which alone narrowed versions are answered.
    """

    item_id: bytes
    outcomes: Sequence[ReportedOutcome]
    disputes: Sequence[Dispute]
    below_bits: Mapping[Version, int]


class TurnQueue(NamedTuple):
    """A queue: the tag of an origin, else None and the id of a key.

    ``day`` (ISO, UTC) is that on which the newest of its ``items`` was registered.
    """

    origin_tag: bytes | None
    key_id: str
    day: str
    items: int


class Turn(NamedTuple):
    """An item that is to go live: its internal number, and how many hashes it has."""

    number: int
    hashes: int
