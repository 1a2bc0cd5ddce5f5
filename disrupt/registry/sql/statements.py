"""Writes to the registry: each function runs in one transaction of its caller."""

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Row, delete, exists, func, insert, select, update

from disrupt.audit import entries
from disrupt.core import media
from disrupt.core.acts import Act
from disrupt.core.cases import CaseStatus, advance
from disrupt.core.changes import EPOCH_BYTES, MARK_BYTES
from disrupt.core.policy import COMMON, FIRST_BANKS, age_of
from disrupt.core.registrations import Outcome, WithdrawnItem
from disrupt.core.tallies import Closing, Tally
from disrupt.errors import (
    CaseErasingError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    RequestIdReusedError,
    Violation,
)
from disrupt.registry.records import HeldItem, NewCase, Registered, Registration, Removed
from disrupt.registry.sql import (
    acts,
    audit,
    banks,
    case_erasures,
    disputes,
    origins,
    outcomes,
    queries,
    schema,
    states,
    tags,
    tallies,
)
from disrupt.registry.sql.renewals import CaseUpdate, note_identities, plan_update

MakeRoom = Callable[[Connection, Sequence[int]], None]

_BATCH_IDS = 500

_ERASED = (
    *("case_id", "state", "state_since_s", "state_sequence", "new_on"),
    *("kind", "assurance", "hashes", "number_in_case", "registered_on"),
    *("key_id", "origin_tag", "wait_reason", "is_paid"),
)
"""Columns of an item that are cleared when it is erased."""


def seed(connection: Connection, timeline: int = 0) -> None:
    """Give a new registry its epoch and first banks; do nothing to one that has them."""
    if connection.execute(select(schema.registry)).first() is not None:
        return
    epoch = secrets.token_bytes(EPOCH_BYTES)
    connection.execute(insert(schema.registry).values(id=1, epoch=epoch, timeline=timeline))
    for bank in (*FIRST_BANKS, COMMON):
        banks.insert_bank(connection, bank)


def register(
    connection: Connection,
    registration: Registration,
    day: str,
    items_per_case: int | None,
    make_room: MakeRoom,
) -> tuple[Registered, list[Removed]]:
    """Add items, or answer as before; return also the items that it replaced, which it erased.

    ``make_room`` prepares the table of fingerprints for items of new numbers.
    """
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
    case = open_case(connection, registration.case, day)
    changed = plan_update(connection, case, registration, day)
    if items_per_case is not None:
        _check_room(connection, case.id, changed.growth, items_per_case)
    if changed.added:
        tags.of_case(connection, case.id, day)
    numbers = add_items(connection, registration, case, changed, make_room, day)
    if registration.act is not None:
        for number in numbers:
            acts.note(connection, registration.act, item=number, bank=registration.bank)
    mark = secrets.token_bytes(MARK_BYTES)
    add_changes(connection, numbers, schema.ChangeKind.ADDITION, mark)
    # Removals come second: between the two, a lookup finds both rather than neither.
    replaced = replace(connection, changed.replaced, mark, day)
    if numbers:
        counts = {"items": len(numbers), "replaced": len(replaced), "day": day}
        audit.append(connection, {"kind": entries.REGISTRATION, **counts})
    head = queries.head(connection)
    connection.execute(
        insert(schema.requests).values(
            request_id=registration.request_id,
            digest=registration.request_digest,
            sequence=head.sequence,
        )
    )
    _note_answer(connection, registration.request_id, changed.held)
    _tally(connection, registration, changed, day)
    pictures = (changed.live_pictures, changed.paid_pictures)
    held = tuple(changed.held)
    return Registered(case.number, CaseStatus.ACTIVE, held, head, *pictures), replaced


def _tally(
    connection: Connection, registration: Registration, changed: CaseUpdate, day: str
) -> None:
    """Count what is new: an item that the case had before was counted then."""
    if registration.statement is None:
        return
    new = {item.item_id for item in changed.held if item.outcome == Outcome.ADDED}
    kinds = [added.item.kind for added in changed.added if added.item.item_id in new]
    opens = isinstance(registration.case, NewCase)
    tallies.registered(connection, registration.statement, kinds, day, opens=opens)


def _is_taken(connection: Connection, request_id: bytes) -> bool:
    query = select(schema.requests.c.request_id).where(schema.requests.c.request_id == request_id)
    return connection.execute(query).first() is not None


def open_case(connection: Connection, case: NewCase | str, day: str) -> Row[Any]:
    """Return the row of the case, new or not, that is ACTIVE now."""
    if isinstance(case, NewCase):
        connection.execute(
            insert(schema.cases).values(
                number=case.number,
                pin_hash=case.pin_hash,
                status=CaseStatus.RECEIVED,
                opened_on=day,
                closed_on="",
                numbers_given=0,
            )
        )
    row = _case(connection, case.number if isinstance(case, NewCase) else case)
    if case_erasures.is_due(connection, row.id):
        raise CaseErasingError(
            "The case is about to be erased, since somebody said that its PIN is lost. Keep it"
            " first. Nothing was registered."
        )
    if row.status != CaseStatus.ACTIVE:
        set_status(connection, row, CaseStatus.ACTIVE)
    return row


def _case(connection: Connection, number: str) -> Row[Any]:
    row = connection.execute(select(schema.cases).where(schema.cases.c.number == number)).first()
    if row is None:
        raise NotFoundError("There is no case of this number.")
    return row


def set_status(connection: Connection, case: Row[Any], to: CaseStatus, closed_on: str = "") -> None:
    """Set the status of a case. Raises CaseClosedError where that step is not allowed."""
    status = advance(CaseStatus(case.status), to)
    if to == CaseStatus.WITHDRAWN:
        case_erasures.forget(connection, case.id)
    connection.execute(
        update(schema.cases)
        .where(schema.cases.c.id == case.id)
        .values(
            status=status,
            closed_on=closed_on,
            numbers_given=0 if to == CaseStatus.WITHDRAWN else case.numbers_given,
        )
    )


def replace(
    connection: Connection, replaced: Mapping[bytes, Sequence[Row[Any]]], mark: bytes, day: str
) -> list[Removed]:
    """Erase stored items whose place others take, and note which; return the erased ones."""
    erased = [
        Removed(row.number, row.item_id, successor)
        for successor, rows in replaced.items()
        for row in rows
    ]
    # An erased item is named by no other: items replaced earlier come to name the new item first.
    _name_successors(connection, replaced, schema.items.c.replaced_by)
    for successor, rows in replaced.items():
        outcomes.hand_over(connection, [row.number for row in rows], successor)
        disputes.hand_over(connection, rows, successor, day=day)
        _hand_over_entries(connection, [row.number for row in rows], successor)
    erase_items(connection, [item.number for item in erased], mark)
    _name_successors(connection, replaced, schema.items.c.number)
    return erased


def _hand_over_entries(connection: Connection, numbers: Sequence[int], item_id: bytes) -> None:
    """Let an item stand for the entries of lists for which those stood that it replaces."""
    item = select(schema.items.c.number).where(schema.items.c.item_id == item_id).scalar_subquery()
    entries = schema.list_entries
    connection.execute(update(entries).where(entries.c.item.in_(numbers)).values(item=item))


def _name_successors(
    connection: Connection, replaced: Mapping[bytes, Sequence[Row[Any]]], column: Column[int]
) -> None:
    """Note the new item as successor of the items whose ``column`` has a replaced item's number."""
    items = schema.items.c
    for item_id, rows in replaced.items():
        successor = select(items.number).where(items.item_id == item_id).scalar_subquery()
        numbers = [row.number for row in rows]
        connection.execute(
            update(schema.items).where(column.in_(numbers)).values(replaced_by=successor)
        )


def _check_room(connection: Connection, case_id: int, growth: int, items_per_case: int) -> None:
    held = connection.execute(
        select(func.count()).where(schema.items.c.case_id == case_id)
    ).scalar_one()
    if growth > 0 and held + growth > items_per_case:
        raise LimitExceededError(
            f"At most {items_per_case} items in one case. Send fewer.", limit=str(items_per_case)
        )


def add_items(
    connection: Connection,
    registration: Registration,
    case: Row[Any],
    changed: CaseUpdate,
    make_room: MakeRoom,
    day: str,
) -> Sequence[int]:
    """Store the new items; return their numbers, ascending in the order of the request."""
    if not changed.added:
        return []
    connection.execute(
        update(schema.cases)
        .where(schema.cases.c.id == case.id)
        .values(numbers_given=changed.numbers_given)
    )
    items = [added.item for added in changed.added]
    origin_tag = origins.tag(connection, registration.origin, day)
    rows = [
        {
            "item_id": added.item.item_id,
            "bank": added.bank,
            "case_id": case.id,
            "request_id": registration.request_id or None,
            "state": added.standing.state,
            "state_since_s": added.standing.since_s,
            "wait_reason": added.standing.wait_reason,
            "is_paid": added.standing.is_paid,
            "key_id": registration.key_id or None,
            "origin_tag": origin_tag,
            "kind": added.item.kind,
            "assurance": registration.assurance,
            "hashes": len(added.item.fingerprints),
            "number_in_case": added.number,
            "registered_on": added.registered_on,
            "new_on": day,
        }
        for added in changed.added
    ]
    add = insert(schema.items).returning(schema.items.c.number, sort_by_parameter_order=True)
    numbers = connection.scalars(add, rows).all()
    make_room(connection, numbers)
    stored = list(zip(numbers, items, strict=True))
    connection.execute(
        insert(schema.fingerprints),
        [
            {"number": number, "fingerprints": media.pack(item.fingerprints)}
            for number, item in stored
        ],
    )
    note_identities(
        connection, case.id, ((number, item.kind, item.fingerprints) for number, item in stored)
    )
    return numbers


def _note_answer(connection: Connection, request_id: bytes, held: Sequence[HeldItem]) -> None:
    """Store what the answer names, unless these are the items of the request, in their order."""
    if all(item.outcome == Outcome.ADDED for item in held):
        return
    items = schema.items.c
    ids = {item.item_id for item in held}
    rows = connection.execute(select(items.item_id, items.number).where(items.item_id.in_(ids)))
    numbers = {row.item_id: row.number for row in rows}
    connection.execute(
        insert(schema.answers),
        [
            {
                "request_id": request_id,
                "position": position,
                "item": numbers[item.item_id],
                "outcome": item.outcome,
            }
            for position, item in enumerate(held)
        ],
    )


def add_changes(
    connection: Connection, numbers: Sequence[int], kind: schema.ChangeKind, mark: bytes
) -> None:
    """Store one change per item."""
    if numbers:
        rows = [{"item": number, "kind": kind, "mark": mark} for number in numbers]
        connection.execute(insert(schema.changes), rows)


def withdraw(
    connection: Connection,
    number: str,
    item_ids: Sequence[bytes] | None,
    numbers: Sequence[int],
    day: str,
    closing: Closing = Closing.WITHDRAWN,
) -> tuple[list[tuple[Removed, WithdrawnItem]], entries.LeafId | None]:
    """Erase items of a case, all for None; return those that it erased, and the leaf of that.

    Nothing stored links the leaf to the case: whose withdrawal it tells of, only the person knows.
    """
    case = _case(connection, number)
    items = schema.items.c
    columns = [items.number, items.item_id, items.number_in_case, items.kind, items.bank]
    linked = connection.execute(
        select(*columns).where(items.case_id == case.id).order_by(items.number)
    ).all()
    living = {row.number for row in linked}
    if item_ids is None:
        wanted, older = living, dict[int, list[bytes]]()
    else:
        if case.status != CaseStatus.WITHDRAWN and max(numbers, default=0) > case.numbers_given:
            raise _not_found()
        wanted, older = _named(connection, set(item_ids))
        wanted |= {row.number for row in linked if row.number_in_case in set(numbers)}
    if not wanted <= living:
        raise _not_found()
    erased = [row for row in linked if row.number in wanted]
    erase_items(connection, [row.number for row in erased], secrets.token_bytes(MARK_BYTES))
    _tally_erased(connection, erased, day, closing)
    leaf = None
    if erased:
        leaf = audit.append(connection, _removal(entries.WITHDRAWAL, len(erased), day))
    if len(erased) == len(linked) and case.status != CaseStatus.WITHDRAWN:
        set_status(connection, case, CaseStatus.WITHDRAWN, closed_on=day)
        tallies.count(connection, day, Tally.CASES_CLOSED, closing)
    return [
        (
            Removed(row.number, row.item_id),
            WithdrawnItem(row.item_id, row.number_in_case, tuple(older.get(row.number, ()))),
        )
        for row in erased
    ], leaf


def _removal(kind: str, items: int, day: str) -> entries.Entry:
    return {"kind": kind, "items": items, "day": day}


def _tally_erased(
    connection: Connection, erased: Collection[Row[Any]], day: str, closing: Closing
) -> None:
    """Count erased items of persons, by the age as which their banks treat them."""
    tally = Tally.ITEMS_ERASED if closing == Closing.ERASED else Tally.ITEMS_WITHDRAWN
    tallies.items(connection, tally, [(row.kind, age_of(row.bank)) for row in erased], day)


def _named(
    connection: Connection, item_ids: Collection[bytes]
) -> tuple[set[int], dict[int, list[bytes]]]:
    """Return the numbers of the living items that ids name, and the older ids among these.

    Raises NotFoundError for an id of no item. That of a withdrawn item names none.
    """
    items = schema.items.c
    rows = connection.execute(
        select(items.item_id, items.number, items.replaced_by, items.case_id).where(
            items.item_id.in_(item_ids)
        )
    ).all()
    if len(rows) != len(item_ids):
        raise _not_found()
    living, older = set[int](), dict[int, list[bytes]]()
    for row in rows:
        if row.case_id is not None:
            living.add(row.number)
        elif row.replaced_by is not None:
            living.add(row.replaced_by)
            older.setdefault(row.replaced_by, []).append(row.item_id)
    return living, older


def remove_common(
    connection: Connection, item_ids: Collection[bytes], act: Act, day: str
) -> list[Removed]:
    """Erase items of the bank COMMON, with an act for each; return them."""
    rows = states.named(connection, item_ids, {COMMON.number})
    for row in rows:
        acts.note(connection, act, item=row.number, bank=row.bank)
    erase_items(connection, [row.number for row in rows], secrets.token_bytes(MARK_BYTES))
    _close_empty_cases(connection, day)
    return [Removed(row.number, row.item_id) for row in rows]


def _not_found() -> NotFoundError:
    return NotFoundError(
        "The case has no item of this id or number; nothing was withdrawn. The case lists its"
        " items."
    )


def erase_again(connection: Connection, item_ids: Sequence[bytes], day: str) -> bool:
    """Erase items, of whatever case, that were withdrawn before; tell whether any was there.

    They are counted as withdrawn on this day: this copy of the registry has not counted them.
    """
    erased = list[Row[Any]]()
    for at in range(0, len(item_ids), _BATCH_IDS):
        rows = connection.execute(
            select(*(schema.items.c[name] for name in ("number", "case_id", "kind", "bank")))
            .where(
                schema.items.c.item_id.in_(item_ids[at : at + _BATCH_IDS]),
                schema.items.c.case_id.is_not(None),
            )
            .order_by(schema.items.c.number)
        ).all()
        erase_items(connection, [row.number for row in rows], secrets.token_bytes(MARK_BYTES))
        erased += rows
    if erased:
        audit.append(connection, _removal(entries.ERASURE, len(erased), day))
        closed = set(_close_empty_cases(connection, day))
        own = [row for row in erased if row.bank != COMMON.number]
        _tally_erased(connection, own, day, Closing.WITHDRAWN)
        cases = closed.intersection(row.case_id for row in own)
        tallies.count(connection, day, Tally.CASES_CLOSED, Closing.WITHDRAWN, by=len(cases))
    return bool(erased)


def _close_empty_cases(connection: Connection, day: str) -> Sequence[int]:
    """Mark cases without items as withdrawn; return their internal numbers.

    But for those of lists, which may get items again.
    """
    cases = schema.cases.c
    is_empty = ~exists().where(schema.items.c.case_id == cases.id)
    of_list = exists().where(schema.lists.c.case_id == cases.id)
    empty = connection.execute(
        select(schema.cases).where(cases.status != CaseStatus.WITHDRAWN, is_empty, ~of_list)
    ).all()
    for case in empty:
        set_status(connection, case, CaseStatus.WITHDRAWN, closed_on=day)
    return [case.id for case in empty]


def begin_epoch(connection: Connection, timeline: int) -> None:
    """Refuse every cursor given out before from now on."""
    epoch = secrets.token_bytes(EPOCH_BYTES)
    connection.execute(update(schema.registry).values(epoch=epoch, timeline=timeline))


def note_pepper(connection: Connection, check: bytes) -> None:
    """Note the check value of the pepper that PINs are hashed with, unless there is one."""
    missing = schema.registry.c.pepper_check.is_(None)
    connection.execute(update(schema.registry).where(missing).values(pepper_check=check))


def erase_items(connection: Connection, numbers: Sequence[int], mark: bytes) -> None:
    """Clear from items, and from requests whose answers name them, what tells of hashes or case.

    Of 5 000 items at most, as they are all named in a statement.
    """
    if not numbers:
        return
    items, answers = schema.items.c, schema.answers.c
    own = select(items.request_id).where(items.number.in_(numbers), items.request_id.is_not(None))
    named = select(answers.request_id).where(answers.item.in_(numbers))
    # They may be more than a statement has variables, so each looks them up again. In this order:
    # a request that has answers is among those that they name.
    requests = own.union(named)
    connection.execute(
        update(schema.requests)
        .where(schema.requests.c.request_id.in_(requests))
        .values(digest=None, sequence=None)
    )
    connection.execute(
        update(schema.items).where(items.request_id.in_(requests)).values(request_id=None)
    )
    connection.execute(delete(schema.answers).where(answers.request_id.in_(named)))
    connection.execute(delete(schema.identities).where(schema.identities.c.item.in_(numbers)))
    fingerprints = schema.fingerprints.c
    connection.execute(delete(schema.fingerprints).where(fingerprints.number.in_(numbers)))
    for about in (
        *(schema.outcomes, schema.disputes, schema.narrowings, schema.undoable),
        schema.list_entries,
    ):
        connection.execute(delete(about).where(about.c.item.in_(numbers)))
    connection.execute(
        update(schema.items).where(items.number.in_(numbers)).values(dict.fromkeys(_ERASED))
    )
    connection.execute(
        update(schema.items).where(items.replaced_by.in_(numbers)).values(replaced_by=None)
    )
    add_changes(connection, numbers, schema.ChangeKind.REMOVAL, mark)
