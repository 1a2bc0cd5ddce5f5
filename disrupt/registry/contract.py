"""The contract of every registry backend.

The conformance suite in tests/registry holds each backend to it.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from disrupt.core.acts import Act
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Change, Cursor
from disrupt.core.media import Assurance, MediaKind, StoredItems
from disrupt.core.registrations import Outcome, WithdrawnItem
from disrupt.core.states import ItemState, WaitReason
from disrupt.registry.banks import BankReader, BankWriter
from disrupt.registry.bulk import BulkReader, BulkWriter
from disrupt.registry.case_erasures import ErasureWriter
from disrupt.registry.keys import KeyReader, KeyWriter
from disrupt.registry.outcomes import OutcomeReader, OutcomeWriter
from disrupt.registry.review import ReviewReader, ReviewWriter
from disrupt.registry.turns import TurnReader, TurnWriter

CHANGES_AT_ONCE = 50_000
"""Most changes that a read of some banks' changes scans: a tenth of a second or two."""

BYTES_AT_ONCE = 2 * 2**20
"""Most bytes of fingerprints in one read, unless one item has more: under six of the largest."""


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
    each item that is added.
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
    """The result of a withdrawal: the items that it removed, and a cursor that includes it."""

    items: tuple[WithdrawnItem, ...]
    cursor: Cursor


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


class RegistryReader(
    BankReader, KeyReader, OutcomeReader, ReviewReader, BulkReader, TurnReader, Protocol
):
    """Reading: any number of processes and threads at once, in short transactions.

    Every method, here and in RegistryWriter, raises UnavailableError when the store cannot be
    reached now, and DataDirectoryError when what it holds is damaged.
    """

    def head(self) -> Cursor:
        """Return the cursor of the newest change; sequence 0 in an empty registry."""

    def knows(self, cursor: Cursor) -> bool:
        """Tell whether the cursor is a point of this registry's history, in its present epoch.

        A copy of the registry that was made before that change does not know it, also when it has
        grown since to the same sequence.
        """

    def takes_pepper(self, check: bytes) -> bool:
        """Tell whether PINs are hashed with the pepper that ``check``, its check value, is of.

        True too where no writer has noted a pepper yet.
        """

    def lacks(self) -> Cursor | None:
        """Return the head noted beside the registry, if the registry does not know it; else None.

        A registry that does not know it is an older copy of the one that noted it.
        """

    def accept_head(self) -> None:
        """Note the head as the newest that this registry ever had, whatever was noted before."""

    def note_head(self) -> None:
        """Note the head, unless a newer change is noted; does not raise."""

    def changes(
        self, after: Cursor, limit: int, banks: Collection[int] | None = None
    ) -> tuple[Sequence[Change], Cursor]:
        """Return up to ``limit`` (≥ 1) changes after a cursor, oldest first, and the next cursor.

        Fewer where they have more than ``BYTES_AT_ONCE``. With ``banks``, those of items in these
        banks, of the next ``CHANGES_AT_ONCE`` changes.

        No reader sees change n before every change ≤ n is visible. Numbers of items ascend with
        their additions. A change of an item that was erased since comes as a removal. Only the
        newest change of an item that is matched now shows it, see ``StateChange``.
        CursorExpiredError for a cursor that this registry does not know.
        """

    def matched_items(self, after: int, until: Cursor, limit: int) -> StoredItems:
        """Return up to ``limit`` (≥ 1) items that lookups find as of a cursor, ascending by number.

        Of those with numbers over ``after``; none after the last. Left out is also what was erased
        or hidden after the cursor, and what is shown by a change after it. Bounded by
        ``BYTES_AT_ONCE``, and CursorExpiredError, as for ``changes``.
        """

    def removed_since(self, cursor: Cursor, banks: Collection[int] | None = None) -> int:
        """Count the items of ``banks`` (None: all) that were there at a cursor and removed since.

        An index as of that cursor still holds so many, but for those that were hidden then.
        CursorExpiredError as for ``changes``.
        """

    def hashes_since(self, cursor: Cursor) -> int:
        """Count the hashes that changes since a cursor show, and one for each other change.

        This estimates the cost of the changes to an index as of that cursor. CursorExpiredError as
        for ``changes``.
        """

    def timeline(self) -> int:
        """Return the database's timeline as of the begin of this epoch: promotions raise it.

        0 for a database that has none. A lower one than before is that of a replaced primary.
        """

    def journaled(self, since: Cursor | None = None) -> list[Removed | Revoked]:
        """List what the journal of removals has to hold: removed items, then keys revoked.

        With ``since``, of items those that were removed after that cursor; CursorExpiredError as
        for ``changes``. The successor of a replaced item is the living one, and empty once that was
        withdrawn.
        """

    def living(self, item_ids: Collection[bytes]) -> set[bytes]:
        """Return those of the ids that are of items neither withdrawn nor replaced."""

    def case(self, number: str) -> CaseRecord | None:
        """Return the case, or None."""

    def common_hashes(self) -> NDArray[np.uint8]:
        """Return the hashes of the items of the bank ``policy.COMMON``, shape (n, 32)."""

    def pin_hash(self, number: str) -> str | None:
        """Return the PIN hash of a case, or None, in a time that does not depend on its items."""

    def registered(self, request_id: bytes) -> tuple[bytes, Registered] | None:
        """Return digest and result of an earlier registration by its request id, or None.

        None also once any of its items was withdrawn or replaced: the digest, made from hashes, is
        erased too.
        """


class RegistryWriter(
    RegistryReader,
    BankWriter,
    KeyWriter,
    OutcomeWriter,
    ReviewWriter,
    BulkWriter,
    TurnWriter,
    ErasureWriter,
    Protocol,
):
    """Writing: one process at a time. Every method returns only when its effect is durable.

    StorageFullError when the disk is full: nothing of the call is kept, but see ``withdraw``. Some
    space is reserved for that and ``revoke_key``, so that only a withdrawal larger than it fails.
    """

    def begin_epoch(self) -> None:
        """Expire every cursor given out before, after the registry was restored from a backup.

        Every erasure of a case that was asked for is stopped, as ``stop_erasure`` does.
        """

    def note_pepper(self, check: bytes) -> None:
        """Note a pepper's check value, unless one is noted."""

    def register(
        self, registration: Registration, *, day: str, items_per_case: int | None = None
    ) -> Registered:
        """Add items. The same request id with the same digest gives the first result again.

        A case has each picture or video once: items of one identity (``core.renewals``) are the
        same. The case keeps the stored item if its fingerprints stay and its bank is that of the
        registration, or is kept. Otherwise the new item takes its place, in that bank, with
        the stored fingerprints where these stay, else with its own. Then the old item is removed
        in the same transaction, after the addition, as ``withdraw`` removes it, and its id goes on
        naming the new one. Of one registration the same holds, from the first item to the last.

        What it adds is LIVE or, with a reason, WAITING: items of a bank whose registrations wait
        for a review, those that are unlike a picture or common, and those for which
        ``live_pictures`` has no room left. An item that takes another's place keeps its state where
        its hashes do; it stays hidden if that one was, and else is LIVE, and no longer ENABLED,
        where its new hashes go live at once. Where they would wait, the old item keeps its hashes,
        so that no picture goes that lookups found.

        A new case becomes ACTIVE with its first item. Raises NotFoundError (no such case),
        CaseClosedError (withdrawn or rejected), CaseErasingError (about to be erased, see
        ``ask_erasure``), LimitExceededError (the case would grow, to more
        than ``items_per_case``), UnavailableError (a new case's number or an item id is taken: draw
        again), and RequestIdReusedError (other digest, or any item of that answer was withdrawn or
        replaced since: a late retry never brings back what was withdrawn).

        UnavailableError also where an item was replaced and that cannot be kept outside the
        database, see ``withdraw``: calling again completes it.
        """

    def withdraw(
        self,
        number: str,
        item_ids: Sequence[bytes] | None,
        *,
        numbers: Sequence[int] = (),
        day: str,
    ) -> Withdrawn:
        """Remove some items of a case, or with None all of them, and their fingerprints at once.

        They are named by their ids, or by their numbers in the case. The id of an item that was
        replaced names what its picture is now. Idempotent. A case without items left is WITHDRAWN.
        NotFoundError if there is no such case or an id or number is no item of it; then nothing is
        withdrawn. Ids of withdrawn items pass for any case: which case they were of is erased too.
        So does every number pass in a withdrawn case.

        A withdrawn case keeps its number, PIN hash, status and days; an erased item its number, id
        and bank, unlinked from the case; its request the id. What was erased is
        overwritten in the database, and in its log by ``checkpoint``, which this method calls
        without insisting on success; in PostgreSQL by ``checkpoint`` alone. That an item was
        withdrawn is kept outside the database too, so that a restored backup does not bring it
        back; where that fails (StorageFullError, UnavailableError) the items are withdrawn, and
        calling again completes it.
        """

    def remove_common(self, item_ids: Collection[bytes], act: Act, *, day: str) -> Cursor:
        """Remove items of the bank ``policy.COMMON`` as ``withdraw`` does, with an act on each.

        Returns a cursor that includes it. NotFoundError if an id is unknown, withdrawn, or of an
        item of another bank; then nothing is removed.
        """

    def checkpoint(self) -> bool:
        """Clear the database's log, so that no file holds bytes erased before.

        False when a reader held it up: then call again. Call it from time to time, in case the
        checkpoint of a withdrawal could not finish. Takes milliseconds, at most about a second;
        with PostgreSQL seconds, for which registrations wait.
        """

    def uncleared_s(self) -> float:
        """Return a bound on the age of the oldest erased byte in PostgreSQL's files, in seconds.

        That is the time since the last ``checkpoint`` that was complete, where anything was erased
        since; else, and in SQLite, which clears with each withdrawal, 0.
        """

    def check_leadership(self) -> None:
        """Raise LeadershipLostError where this process can write no more. Waits for nothing."""

    def check_storage(self) -> None:
        """Write durably, as any call that changes something does, and change nothing.

        Also notes the head, see ``lacks``, where that is possible.
        """
