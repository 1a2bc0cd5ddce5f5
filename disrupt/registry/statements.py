"""Writes to the registry: each function runs in one transaction of its caller."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    and_,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from disrupt.core import media
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import EPOCH_BYTES, MARK_BYTES
from disrupt.core.media import ItemState, StateReason
from disrupt.core.outcomes import Report
from disrupt.core.policy import FIRST_BANKS
from disrupt.core.registrations import Outcome
from disrupt.core.waiting import AT_THE_DOOR
from disrupt.errors import (
    CaseClosedError,
    ErasurePendingError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    RequestIdReusedError,
    Violation,
)
from disrupt.registry import banks, queries, schema, states, waits
from disrupt.registry.arrangement import Arrangement, arrange, note_identities
from disrupt.registry.contract import (
    NewCase,
    Place,
    Registered,
    Registration,
)
from disrupt.registry.journal import Removed

_BATCH_IDS = 500


def seed(connection: Connection) -> None:
    """Give a new registry its epoch and first banks; do nothing to one that has them."""
    if connection.execute(select(schema.registry)).first() is not None:
        return
    connection.execute(insert(schema.registry).values(id=1, epoch=secrets.token_bytes(EPOCH_BYTES)))
    banks.insert_all(connection, FIRST_BANKS)


def register(
    connection: Connection, registration: Registration, day: str, items_per_case: int | None
) -> tuple[Registered, list[Removed]]:
    """Add items, or answer as before; return also the items that it replaced, which it erased."""
    if not registration.items:
        raise InvalidRequestError.of(Violation("items", "at least one is needed"))
    known = queries.registered(connection, registration.request_id)
    if known is not None and known[0] == registration.request_digest:
        return known[1], []
    if _is_taken(connection, registration.request_id):
        raise RequestIdReusedError(
            "This request id was used before: with other content, or for items of which some were"
            " withdrawn or replaced since. Nothing was registered. Use a new request id to register"
            " more."
        )
    case = _open_case(connection, registration.case, day)
    arranged = arrange(connection, case.id, _waiting(connection, registration), day)
    if items_per_case is not None:
        _check_room(connection, case.id, arranged.growth, items_per_case)
    numbers = _add_items(connection, registration, case, arranged, day)
    mark = secrets.token_bytes(MARK_BYTES)
    states.add_changes(connection, numbers, schema.ChangeKind.ADDITION, mark)
    stated = zip(numbers, arranged.states, strict=True)
    states.change_states(
        connection,
        [(number, *state) for number, state in stated if state[0] != ItemState.LIVE],
        mark,
    )
    _note_waits(connection, numbers, arranged, registration)
    # Removals come second: between the two, a lookup finds both rather than neither.
    replaced = [Removed(row.number, row.item_id) for row in arranged.replaced]
    _erase(connection, [item.number for item in replaced], mark)
    head = queries.head(connection)
    connection.execute(
        insert(schema.requests).values(
            request_id=registration.request_id,
            digest=registration.request_digest,
            sequence=head.sequence,
        )
    )
    _note_places(connection, registration.request_id, arranged.places)
    return Registered(case.number, CaseStatus.ACTIVE, tuple(arranged.places), head), replaced


def _waiting(connection: Connection, registration: Registration) -> Registration:
    """Let all items of a registration wait if its bank says so."""
    if not banks.waits(connection, registration.bank):
        return registration
    items = (replace(item, waits=item.waits or StateReason.BANK) for item in registration.items)
    return replace(registration, items=tuple(items))


def _note_waits(
    connection: Connection,
    numbers: Sequence[int],
    arranged: Arrangement,
    registration: Registration,
) -> None:
    """Note of added items, by number, by which rules they wait, or waited before.

    In a bank that is waiting they wait until somebody has reviewed them, whatever else says so.
    """
    stated = zip(numbers, arranged.replacing, arranged.states, strict=True)
    for number, replaced, (state, *_) in stated:
        if replaced:
            is_waiting = state == ItemState.WAITING
            waits.carry_over(connection, replaced, number, waiting=is_waiting)
    if banks.waits(connection, registration.bank):
        return
    for rule in AT_THE_DOOR:
        added = zip(numbers, arranged.added, arranged.waits, strict=True)
        waiting = [number for number, item, begins in added if begins and item.waits == rule]
        waits.begin(connection, waiting, rule, registration.at_s)


def _is_taken(connection: Connection, request_id: bytes) -> bool:
    query = select(schema.requests.c.request_id).where(schema.requests.c.request_id == request_id)
    return connection.execute(query).first() is not None


def _open_case(connection: Connection, case: NewCase | str, day: str) -> Row[Any]:
    """Return the row of the case, new or not, that is ACTIVE now."""
    if isinstance(case, NewCase):
        connection.execute(
            insert(schema.cases).values(
                number=case.number,
                pin_hash=case.pin_hash,
                status=CaseStatus.RECEIVED,
                opened_on=day,
                closed_on="",
            )
        )
    row = _case(connection, case.number if isinstance(case, NewCase) else case)
    if row.status == CaseStatus.REJECTED:  # Staff open it again, and nobody else.
        raise CaseClosedError("The case was rejected; nothing can be added to it.")
    if row.status != CaseStatus.ACTIVE:
        states.set_status(connection, row, CaseStatus.ACTIVE)
    _check_no_erasure(connection, row)
    return row


def _check_no_erasure(connection: Connection, case: Row[Any]) -> None:
    """Raise ErasurePendingError if staff are to erase the case, whose items are off until then."""
    erasure = queries.case_erasure(connection, case.id)
    if erasure is not None and erasure.is_pending:
        raise ErasurePendingError(
            "Staff were asked to erase this case, without its PIN; nothing was registered. Keep the"
            " case with its PIN, then register again."
        )


def _case(connection: Connection, number: str) -> Row[Any]:
    row = connection.execute(select(schema.cases).where(schema.cases.c.number == number)).first()
    if row is None:
        raise NotFoundError("There is no case of this number.")
    return row


def _check_room(connection: Connection, case_id: int, growth: int, items_per_case: int) -> None:
    held = connection.execute(
        select(func.count()).where(schema.items.c.case_id == case_id)
    ).scalar_one()
    if growth > 0 and held + growth > items_per_case:
        raise LimitExceededError(
            f"At most {items_per_case} items in one case. Send fewer.", limit=str(items_per_case)
        )


def _add_items(
    connection: Connection,
    registration: Registration,
    case: Row[Any],
    arranged: Arrangement,
    day: str,
) -> Sequence[int]:
    """Store the items to add; return their numbers, ascending in the order of the request."""
    items = arranged.added
    if not items:
        return []
    rows = [
        {
            "item_id": item.item_id,
            "bank": bank,
            "case_id": case.id,
            "request_id": registration.request_id,
            "kind": item.kind,
            "assurance": registration.assurance,
            "hashes": len(item.fingerprints),
            "fingerprints": media.pack(item.fingerprints),
            "registered_on": day,
        }
        for item, bank in zip(items, arranged.banks, strict=True)
    ]
    add = insert(schema.items).returning(schema.items.c.number, sort_by_parameter_order=True)
    numbers = connection.scalars(add, rows).all()
    stored = zip(numbers, items, strict=True)
    note_identities(
        connection, case.id, ((number, item.kind, item.fingerprints) for number, item in stored)
    )
    return numbers


def _note_places(connection: Connection, request_id: bytes, places: Sequence[Place]) -> None:
    """Store what the answer names, unless these are the items of the request, in their order."""
    if all(place.outcome == Outcome.ADDED for place in places):
        return
    items = schema.items.c
    ids = {place.item_id for place in places}
    rows = connection.execute(select(items.item_id, items.number).where(items.item_id.in_(ids)))
    numbers = {row.item_id: row.number for row in rows}
    connection.execute(
        insert(schema.places),
        [
            {
                "request_id": request_id,
                "place": at,
                "item": numbers[place.item_id],
                "outcome": place.outcome,
            }
            for at, place in enumerate(places)
        ],
    )


def withdraw(
    connection: Connection, number: str, item_ids: Sequence[bytes] | None, day: str
) -> list[Removed]:
    """Erase items of a case, all for None; return those that it erased."""
    case = _case(connection, number)
    linked = connection.execute(
        select(schema.items.c.number, schema.items.c.item_id)
        .where(schema.items.c.case_id == case.id)
        .order_by(schema.items.c.number)
    ).all()
    wanted = {row.item_id for row in linked} if item_ids is None else set(item_ids)
    erased = [row for row in linked if row.item_id in wanted]
    _check_erased(connection, wanted.difference(row.item_id for row in erased))
    _erase(connection, [row.number for row in erased], secrets.token_bytes(MARK_BYTES))
    if len(erased) == len(linked) and case.status != CaseStatus.WITHDRAWN:
        _close(connection, case, day)
    elif erased:
        own = select(schema.cases.c.id).where(schema.cases.c.id == case.id)
        states.settle_cases(connection, own, day)  # what is left may all be rejected
    return [Removed(row.number, row.item_id) for row in erased]


def erase_again(connection: Connection, item_ids: Sequence[bytes], day: str) -> bool:
    """Erase items, of whatever case, that were withdrawn before; tell whether any was there."""
    erased_any = False
    for at in range(0, len(item_ids), _BATCH_IDS):
        rows = connection.execute(
            select(schema.items.c.number)
            .where(
                schema.items.c.item_id.in_(item_ids[at : at + _BATCH_IDS]),
                schema.items.c.case_id.is_not(None),
            )
            .order_by(schema.items.c.number)
        ).all()
        _erase(connection, [row.number for row in rows], secrets.token_bytes(MARK_BYTES))
        erased_any = erased_any or bool(rows)
    if erased_any:
        _close_empty_cases(connection, day)
    return erased_any


def _close_empty_cases(connection: Connection, day: str) -> None:
    """Mark cases without items as withdrawn."""
    is_empty = ~exists().where(schema.items.c.case_id == schema.cases.c.id)
    empty = connection.execute(
        select(schema.cases).where(schema.cases.c.status != CaseStatus.WITHDRAWN, is_empty)
    ).all()
    for case in empty:
        _close(connection, case, day)


def _close(connection: Connection, case: Row[Any], day: str) -> None:
    """Mark a case without items as withdrawn, and forget that staff were asked to erase it."""
    states.set_status(connection, case, CaseStatus.WITHDRAWN, closed_on=day)
    erasures = schema.case_erasures
    connection.execute(delete(erasures).where(erasures.c.case_id == case.id))


def begin_epoch(connection: Connection) -> None:
    """Refuse every cursor given out before from now on, and let no pending erasure be due.

    The registry may be an older copy, so that the person has stopped the erasure since.
    """
    connection.execute(update(schema.registry).values(epoch=secrets.token_bytes(EPOCH_BYTES)))
    pending = schema.case_erasures.c.erased_on == ""
    connection.execute(update(schema.case_erasures).where(pending).values(due_at_s=None))


def note_pepper(connection: Connection, check: bytes) -> None:
    """Note the check value of the pepper that PINs are hashed with, unless there is one."""
    missing = schema.registry.c.pepper_check.is_(None)
    connection.execute(update(schema.registry).where(missing).values(pepper_check=check))


def _check_erased(connection: Connection, item_ids: set[bytes]) -> None:
    """Raise NotFoundError unless all are ids of erased items, whose case is erased too."""
    rows = connection.execute(
        select(schema.items.c.number).where(
            schema.items.c.item_id.in_(item_ids), schema.items.c.case_id.is_(None)
        )
    ).all()
    if len(rows) != len(item_ids):
        raise NotFoundError(
            "The case has no item of this id; nothing was withdrawn. The case lists its items."
        )


def _erase(connection: Connection, numbers: Sequence[int], mark: bytes) -> None:
    """Clear from items, and from requests whose answers name them, what tells of hashes or case."""
    if not numbers:
        return
    items, places = schema.items.c, schema.places.c
    own = select(items.request_id).where(items.number.in_(numbers), items.request_id.is_not(None))
    named = select(places.request_id).where(places.item.in_(numbers))
    # They may be more than a statement has variables, so each looks them up again. In this order:
    # a request that has places is among those that they name.
    requests = own.union(named)
    connection.execute(
        update(schema.requests)
        .where(schema.requests.c.request_id.in_(requests))
        .values(digest=None, sequence=None)
    )
    connection.execute(
        update(schema.items).where(items.request_id.in_(requests)).values(request_id=None)
    )
    connection.execute(delete(schema.places).where(places.request_id.in_(named)))
    connection.execute(delete(schema.outcomes).where(schema.outcomes.c.item.in_(numbers)))
    connection.execute(delete(schema.identities).where(schema.identities.c.item.in_(numbers)))
    before = schema.case_erasure_items
    connection.execute(delete(before).where(before.c.item.in_(numbers)))
    states.delete_states(connection, numbers)
    waits.erase(connection, numbers)
    connection.execute(
        update(schema.items)
        .where(items.number.in_(numbers))
        .values(
            case_id=None,
            kind=None,
            assurance=None,
            hashes=None,
            fingerprints=None,
            registered_on=None,
        )
    )
    states.add_changes(connection, numbers, schema.ChangeKind.REMOVAL, mark)


def report(connection: Connection, report: Report, day: str, reports_per_item: int | None) -> None:
    """Store the outcome of a match, or correct it."""
    items, outcomes = schema.items.c, schema.outcomes.c
    item = connection.execute(
        select(items.number).where(items.item_id == report.item_id, items.case_id.is_not(None))
    ).scalar_one_or_none()
    if item is None:
        raise NotFoundError(
            "What this match is of is not registered any more; nothing was recorded. Do not report"
            " this match again."
        )
    own = and_(
        outcomes.item == item,
        outcomes.reporter == report.reporter,
        outcomes.match_digest == report.match_digest,
    )
    stored = connection.execute(select(schema.outcomes).where(own)).first()
    if stored is None:
        if reports_per_item is not None:
            _check_reports(connection, item, report.reporter, reports_per_item)
        connection.execute(
            insert(schema.outcomes).values(
                match_digest=report.match_digest,
                item=item,
                reporter=report.reporter,
                outcome=report.outcome,
                reported_on=day,
                counts=report.is_far,
            )
        )
    elif stored.outcome != report.outcome:
        correction: dict[str, Any] = {"outcome": report.outcome}
        if stored.reported_on < day:
            correction |= {"reported_on": day, "earlier": stored.outcome}
        connection.execute(update(schema.outcomes).where(own).values(correction))


def _check_reports(connection: Connection, item: int, reporter: str, reports_per_item: int) -> None:
    outcomes = schema.outcomes.c
    held = connection.execute(
        select(func.count()).where(outcomes.item == item, outcomes.reporter == reporter)
    ).scalar_one()
    if held >= reports_per_item:
        raise LimitExceededError(
            f"You have reported {reports_per_item} matches of this item already; nothing was"
            " recorded, and the hotline needs no more of it. Outcomes that you have reported can"
            " still be corrected.",
            limit=str(reports_per_item),
        )
