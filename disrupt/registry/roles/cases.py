"""The role of cases: what people register, look at and withdraw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from disrupt.core.case_erasures import CaseErasure
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Cursor
from disrupt.core.media import Assurance, ItemState, MediaKind, StateReason
from disrupt.core.outcomes import Outcome as MatchOutcome
from disrupt.core.outcomes import Report
from disrupt.core.registrations import Outcome
from disrupt.core.waiting import ReportPolicy


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case to open: its number (canonical form) and the encoded hash of its PIN."""

    number: str
    pin_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class NewItem:
    """A media item to add.

    ``item_id`` are 16 random bytes; ``fingerprints`` has dtype FINGERPRINT, shape (n,), n ≥ 1.
    ``waits`` says why it waits for review; None where it goes live at once.
    """

    item_id: bytes
    kind: MediaKind
    fingerprints: NDArray[np.void]
    waits: StateReason | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """One registration, into a new case or into an existing one (its canonical number).

    ``request_id`` are 16 bytes made by the device, ``request_digest`` 32 bytes over all that the
    request says but its PIN. ``bank`` is the number of the bank that its items go to. At least one
    item. ``at_s`` is the time, in seconds since 1970, at which items begin to wait, if any do.
    """

    request_id: bytes
    request_digest: bytes
    case: NewCase | str
    bank: int
    assurance: Assurance
    items: tuple[NewItem, ...]
    at_s: int = 0


class Place(NamedTuple):
    """What the case holds for one item of a registration: an item and its number of hashes.

    ``state`` is the item's state now, also in an answer that is given again.
    """

    item_id: bytes
    hashes: int
    outcome: Outcome = Outcome.ADDED
    state: ItemState = ItemState.LIVE


@dataclass(frozen=True, slots=True)
class Registered:
    """The result of a registration.

    ``items`` are in the order of the request. ``cursor`` includes them.
    """

    case_number: str
    status: CaseStatus
    items: tuple[Place, ...]
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class CaseItem:
    """One item of a case that is not withdrawn; ``bank`` is the number of its bank.

    ``hidden_on`` is the ISO date (UTC) since which it waits for what callers looked up or reported,
    empty if it does not.
    """

    item_id: bytes
    bank: int
    kind: MediaKind
    hashes: int
    state: ItemState = ItemState.LIVE
    hidden_on: str = ""


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A case as stored.

    Days are ISO dates (UTC); ``closed_on`` is empty while open. ``items`` are those not withdrawn,
    oldest first. ``erasure`` is that which staff requested without the PIN, if any.
    """

    number: str
    pin_hash: str
    status: CaseStatus
    opened_on: str
    closed_on: str
    items: tuple[CaseItem, ...]
    erasure: CaseErasure | None = None


class CaseReader(Protocol):
    """Read cases, as those see them who have the PIN."""

    def takes_pepper(self, check: bytes) -> bool:
        """Tell whether PINs are hashed with the pepper that ``check``, its check value, is of.

        True too where no writer has noted a pepper yet.
        """

    def case(self, number: str) -> CaseRecord | None:
        """Return the case, or None."""

    def case_id(self, number: str) -> int | None:
        """Return the number, never reused, by which the registry knows a case; None if unknown."""

    def pin_hash(self, number: str) -> str | None:
        """Return the PIN hash of a case, or None, in a time that does not depend on its items."""

    def outcomes(self, number: str, *, before: str) -> Mapping[bytes, frozenset[MatchOutcome]]:
        """Return the outcomes of a case's items as they were reported before a day, by item id.

        Those of the last report of each match. An item of which nothing was reported is left out.
        """

    def registered(self, request_id: bytes) -> tuple[bytes, Registered] | None:
        """Return digest and result of an earlier registration by its request id, or None.

        None also once any of its items was withdrawn or replaced: the digest, made from hashes, is
        erased too.
        """


class CaseWriter(Protocol):
    """Register and withdraw items, and store what came of their matches."""

    def note_pepper(self, check: bytes) -> None:
        """Note a pepper's check value, unless one is noted."""

    def register(
        self, registration: Registration, *, day: str, items_per_case: int | None = None
    ) -> Registered:
        """Add items. The same request id with the same digest gives the first result again.

        A case has each picture or video once: items of one identity (``core.renewals``) are the
        same. The case keeps the stored item if its fingerprints stay and its bank is that of the
        registration. Otherwise the new item takes its place, in the bank of the registration, with
        the stored fingerprints where these stay, else with its own: then the old item is removed
        in the same transaction, after the addition, as ``withdraw`` removes it, and the new item
        has its state: registering again brings nothing back. Items in a bank that is none of
        FIRST_BANKS were moved there, and stay there. Of one registration the same holds, from the
        first item to the last.

        A new item that ``waits`` is WAITING from the same transaction on, if the state that it
        takes over is LIVE; in a bank that is waiting every item waits, for the reason BANK if it
        has no other. One that takes the place of an item of this bank does not wait for that
        reason: a bank that begins to wait lets go of nothing. Nor does one wait that takes the
        place of an item that has waited for the same reason.

        A new case becomes ACTIVE with its first item. Raises NotFoundError (no such case),
        CaseClosedError (withdrawn or rejected), LimitExceededError (the case would grow, to more
        than ``items_per_case``), UnavailableError (a new case's number or an item id is taken: draw
        again), and RequestIdReusedError (other digest, or any item of that answer was withdrawn or
        replaced since: a late retry never brings back what was withdrawn).

        ErasurePendingError while staff are to erase the case, see ``confirm_erasure``.

        UnavailableError also where an item was replaced and that cannot be kept outside the
        database, see ``withdraw``: calling again completes it.
        """

    def withdraw(self, number: str, item_ids: Sequence[bytes] | None, *, day: str) -> Cursor:
        """Remove some items of a case, or with None all of them, and their fingerprints at once.

        Idempotent. A case without items left is WITHDRAWN, and an erasure that was requested is
        forgotten. NotFoundError if there is no such case or an id is no item of it; then nothing is
        withdrawn. Ids of erased items pass for any case: which case they were of is erased too.

        A withdrawn case keeps its number, PIN hash, status and days; an erased item its number, id
        and bank, unlinked from the case; its request the id. What was erased is
        overwritten in the database, and in its log by ``checkpoint``, which this method calls
        without insisting on success. That an item was withdrawn is kept outside the database too,
        so that a restored backup does not bring it back; where that fails (StorageFullError,
        UnavailableError) the items are withdrawn, and calling again completes it.
        """

    def report(
        self,
        report: Report,
        *,
        day: str,
        reports_per_item: int | None = None,
        policy: ReportPolicy | None = None,
        at_s: int = 0,
    ) -> bool:
        """Store what came of a match. A later report of the same match takes its place.

        With a ``policy``, the item waits for review from the same transaction on, at ``at_s``, if
        it is LIVE, may be hidden (``core.waiting``), and enough organisations have reported false
        positives of far matches since ``set_states``, ``move_items``, ``confirm_items`` or
        ``release`` changed it. Matches that were reported before that do not count any more,
        corrected or not. An item that has waited for reports does not again before ``set_states``.
        Returns True if the item began to wait, which is an act of the server. A correction does not
        bring it back.

        The same outcome again changes nothing. A digest belongs to one item and one reporter. The
        withdrawal of the item erases it. NotFoundError for an item that is erased or not there;
        LimitExceededError where the reporter has reported ``reports_per_item`` other matches of the
        item.
        """
