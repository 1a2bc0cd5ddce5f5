"""Results of a submission, and cases with their items, as the person's device knows them."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.core.media import ItemState, MediaKind
from disrupt.core.outcomes import Outcome as MatchOutcome
from disrupt.core.outcomes import shown
from disrupt.core.registrations import Outcome
from disrupt.v1 import registration_pb2

NOT_SENT = "NOT_SENT"
"""Cause of files whose registration no answer confirms, because something failed before."""


@dataclass(frozen=True, slots=True)
class Registered:
    """One file that is registered: its item id, 32 hex digits, and how many hashes are stored.

    ``outcome`` says whether the case had it before. ``incomplete``: only a part was, of a video
    that ends early, is broken or is not alone. ``first_frame_only``: other frames of an
    animation were not, see ``every_frame``, or other pages and pictures of a TIFF or HEIC file.
    ``state`` says whether platforms' lookups find it; None where this version does not know.
    """

    source: str
    item_id: str
    hashes: int
    incomplete: bool = False
    first_frame_only: bool = False
    outcome: Outcome = Outcome.ADDED
    state: ItemState | None = ItemState.LIVE


@dataclass(frozen=True, slots=True)
class Rejected:
    """One file that was not registered. ``quality`` is its PDQ quality if that was the reason.

    ``cause``, if not empty, is more precise than ``reason``.
    """

    source: str
    reason: str
    message: str
    quality: int | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of files. ``case_number`` is empty when all were rejected and no case opened.

    ``pin`` is empty where the service has not confirmed it: for an existing case to which nothing
    was added. For ``unknown`` files no answer came: of those sent together, all are registered or
    none.
    """

    case_number: str
    pin: str
    registered: tuple[Registered, ...]
    rejected: tuple[Rejected, ...]
    unknown: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseItem:
    """One item of a case that is not withdrawn; ``item_id`` is 32 hex digits.

    ``age`` is how it is treated: ADULT, MINOR, or None where its bank says none. ``outcomes`` are
    what platforms did with copies of it, as they said until yesterday (UTC); those that this
    version does not know are left out. ``state`` says whether platforms' lookups find it; None
    where this version does not know.
    """

    item_id: str
    kind: MediaKind | None
    hashes: int
    age: AgeBand | None
    outcomes: tuple[MatchOutcome, ...] = ()
    state: ItemState | None = ItemState.LIVE


@dataclass(frozen=True, slots=True)
class Erasure:
    """The erasure of a case that staff were asked for without its PIN. Days are ISO dates (UTC).

    Empty are ``confirmed_on`` and ``due_on`` until it is confirmed, which has switched the items
    off, and ``erased_on`` until the case is erased.
    """

    requested_on: str
    confirmed_on: str = ""
    due_on: str = ""
    erased_on: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A case. Days are ISO dates (UTC), ``closed_on`` empty while open.

    ``erasure`` is None where staff were not asked to erase it without its PIN.

    ``status``, a kind and an age are None where this version does not know the value, or the server
    does not say it.
    """

    number: str
    status: CaseStatus | None
    opened_on: str
    closed_on: str
    items: tuple[CaseItem, ...]
    erasure: Erasure | None = None


def outcome(value: int) -> Outcome:
    """Return the outcome of a message; ADDED where this version does not know or the server say."""
    return Outcome(value) if value in set(Outcome) else Outcome.ADDED


def state(value: int) -> ItemState | None:
    """Return the state of a message; LIVE where the server does not say, None if not known here."""
    if value in set(ItemState):
        return ItemState(value)
    return None if value else ItemState.LIVE


def case(message: registration_pb2.Case) -> Case:
    """Convert a message to a case."""
    statuses = {status.value: status for status in CaseStatus}
    kinds = {kind.value: kind for kind in MediaKind}
    outcomes = {outcome.value: outcome for outcome in MatchOutcome}
    ages = {age.value: age for age in (AgeBand.ADULT, AgeBand.MINOR)}
    return Case(
        number=message.case_number,
        status=statuses.get(message.status),
        opened_on=message.opened_on,
        closed_on=message.closed_on,
        items=tuple(
            CaseItem(
                item.item_id.hex(),
                kinds.get(item.kind),
                item.hashes,
                ages.get(item.age_band),
                shown([outcomes[value] for value in item.outcomes if value in outcomes]),
                state(item.state),
            )
            for item in message.items
        ),
        erasure=_erasure(message.erasure) if message.HasField("erasure") else None,
    )


def _erasure(message: registration_pb2.CaseErasure) -> Erasure:
    return Erasure(message.requested_on, message.confirmed_on, message.due_on, message.erased_on)
