"""Results of a submission, and cases with their items, as the person's device knows them."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.core.cases import AgeBand, CaseStatus
from disrupt.core.media import MediaKind
from disrupt.core.registrations import Outcome, ShownState
from disrupt.v1 import registration_pb2

NOT_SENT = "NOT_SENT"
"""Cause of files whose registration no answer confirms, because something failed before."""


@dataclass(frozen=True, slots=True)
class Registered:
    """One file that is registered: its item id, 32 hex digits, and how many hashes are stored.

    ``number`` is its number in the case. ``age`` is the age as which it is treated; UNSURE is
    minor, because no age was said. ``outcome`` says whether the case had it before. ``incomplete``:
    only a part was registered, of a video that ends early, is broken or is not alone.
    ``state`` says whether it is blocked now, also if the case had it before; None where this
    version does not know the value, or the server does not say it.
    ``first_frame_only``: other frames of an animation were not, see ``every_frame``, or other pages
    and pictures of a TIFF or HEIC file.
    """

    source: str
    item_id: str
    hashes: int
    incomplete: bool = False
    first_frame_only: bool = False
    outcome: Outcome = Outcome.ADDED
    number: int = 0
    age: AgeBand = AgeBand.UNSURE
    state: ShownState | None = None


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
    """The result of a submission. ``case_number`` is empty when no file opened a case.

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

    ``age`` is how it is treated: ADULT or MINOR. ``number`` counts the items of the case from 1, in
    the order of their first registration, on the day ``registered_on`` (ISO, UTC). ``identity`` is
    that of ``core.renewals``, empty where it is not known. ``blocked_on`` and ``left_up_on`` are
    the newest days on which a platform said that it blocked a copy, or left it up; empty: none did.
    """

    item_id: str
    kind: MediaKind | None
    hashes: int
    age: AgeBand | None
    number: int
    registered_on: str
    identity: bytes
    blocked_on: str
    left_up_on: str
    state: ShownState | None


@dataclass(frozen=True, slots=True)
class Case:
    """A case. Days are ISO dates (UTC), ``closed_on`` empty while open.

    ``withdrawn_numbers`` are those of items that were withdrawn, of an open case. ``erased_on`` is
    when it is erased, since somebody said that its PIN is lost; empty: it is not.

    ``status``, a kind, an age and a state are None where this version does not know the value, or
    the server does not say it.
    """

    number: str
    status: CaseStatus | None
    opened_on: str
    closed_on: str
    items: tuple[CaseItem, ...]
    withdrawn_numbers: tuple[int, ...]
    erased_on: str = ""


@dataclass(frozen=True, slots=True)
class WithdrawnItem:
    """An item that was withdrawn: its number in the case, and its id of 32 hex digits.

    ``by_older_id``: it was named by an id that it had before it was registered again.
    """

    number: int
    item_id: str
    by_older_id: bool


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A case after a withdrawal, the items that this one withdrew, and the code of its receipt.

    The code is empty where nothing was withdrawn.
    """

    case: Case
    items: tuple[WithdrawnItem, ...]
    receipt_code: str


@dataclass(frozen=True, slots=True)
class WithdrawalReceipt:
    """What the receipt of a withdrawal shows. ``document`` is for `disrupt audit receipt`.

    ``erased_on`` (ISO, UTC) is the day by which all files were free of it, also those of
    ``mirrors`` of platforms; empty: not yet. ``silent`` others may hold a copy and say nothing.
    """

    document: str
    erased_on: str
    mirrors: int
    silent: int


def outcome(value: int) -> Outcome:
    """Return the outcome of a message; ADDED where this version does not know or the server say."""
    return Outcome(value) if value in set(Outcome) else Outcome.ADDED


def state(value: int) -> ShownState | None:
    """Return the state of a message; None where this version does not know or the server say."""
    return ShownState(value) if value in set(ShownState) else None


def case(message: registration_pb2.Case) -> Case:
    """Convert a message to a case."""
    statuses = {status.value: status for status in CaseStatus}
    kinds = {kind.value: kind for kind in MediaKind}
    ages = {age.value: age for age in (AgeBand.ADULT, AgeBand.MINOR)}
    return Case(
        number=message.case_number,
        status=statuses.get(message.status),
        opened_on=message.opened_on,
        closed_on=message.closed_on,
        items=tuple(
            CaseItem(
                *(item.item_id.hex(), kinds.get(item.kind), item.hashes, ages.get(item.age_band)),
                *(item.number, item.registered_on, item.identity),
                *(item.blocked_on, item.left_up_on, state(item.state)),
            )
            for item in message.items
        ),
        withdrawn_numbers=tuple(message.withdrawn_numbers),
        erased_on=message.erased_on,
    )


def withdrawal(
    message: registration_pb2.WithdrawItemsResponse | registration_pb2.WithdrawCaseResponse,
) -> Withdrawal:
    """Convert the answer to a withdrawal."""
    return Withdrawal(
        case(message.case),
        tuple(
            WithdrawnItem(item.number, item.item_id.hex(), bool(item.replaced_ids))
            for item in sorted(message.withdrawn, key=lambda item: item.number)
        ),
        message.receipt_code,
    )


def withdrawal_receipt(message: registration_pb2.GetReceiptResponse) -> WithdrawalReceipt:
    """Convert the receipt of a withdrawal."""
    return WithdrawalReceipt(message.document, message.erased_on, message.mirrors, message.silent)
