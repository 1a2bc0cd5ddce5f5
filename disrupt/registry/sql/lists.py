"""Partners' lists. Each function runs in one transaction of its caller.

The items of a list are those of one case, of which nobody has the PIN.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from disrupt.core.acts import Act
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import MARK_BYTES
from disrupt.core.lists import ENTRIES_AT_ONCE, ListEntry, ListFeedback, PartnerList
from disrupt.core.media import Assurance
from disrupt.core.outcomes import MatchOutcome
from disrupt.errors import InvalidRequestError, NotFoundError, Violation
from disrupt.registry.records import (
    ListApplied,
    ListPart,
    NewCase,
    NewItem,
    Registration,
    Removed,
)
from disrupt.registry.sql import acts, queries, schema, statements
from disrupt.registry.sql.renewals import plan_update

_TOLD = (MatchOutcome.BLOCKED, MatchOutcome.NOT_BLOCKED, MatchOutcome.PENDING_REVIEW)
"""Outcomes that a source is told of, by number the strongest first."""


def add_list(
    connection: Connection, name: str, source: str, bank: int, case: NewCase, *, act: Act, day: str
) -> None:
    """Add a list, whose items go to the bank of this number and are of a new case.

    InvalidRequestError if there is a list of that name or bank.
    """
    lists = schema.lists.c
    taken = select(lists.number).where(or_(lists.name == name, lists.bank == bank))
    if connection.execute(taken).first() is not None:
        raise InvalidRequestError.of(Violation("name", f"there is a list {name!r} already"))
    row = statements.open_case(connection, case, day)
    values = {"name": name, "bank": bank, "case_id": row.id, "source": source, "checkpoint": ""}
    times = {"added_s": act.at_s, "read_s": 0, "tried_s": 0}
    runs = {"failure": "", "failures": 0, "skipped": {}, "is_removed": False}
    connection.execute(insert(schema.lists).values(values | times | runs))
    acts.note(connection, act, bank=bank)


def lists(connection: Connection) -> tuple[PartnerList, ...]:
    """Return all lists, by name."""
    columns, entries = schema.lists.c, schema.list_entries.c
    count = select(func.count()).where(entries["list"] == columns.number).scalar_subquery()
    rows = connection.execute(select(schema.lists, count.label("entries")).order_by(columns.name))
    return tuple(
        PartnerList(
            *(row.name, row.source, row.checkpoint, row.entries, row.added_s, row.read_s),
            *(row.tried_s, row.failure, row.failures, row.skipped, row.is_removed),
        )
        for row in rows
    )


def apply_list(
    connection: Connection, part: ListPart, day: str, make_room: statements.MakeRoom
) -> tuple[ListApplied, list[Removed]]:
    """Apply a part of a list; return also the items that it erased, which no entry names any more.

    An entry takes the place of the one stored of its id, unless that changed later. The checkpoint
    is noted once nothing more is to be withdrawn. NotFoundError for a list that is not there, or is
    being removed.
    """
    row = _list(connection, part.name)
    if row.is_removed:
        raise _not_found(part.name)
    stored = _stored(connection, row.number, [entry.source_id for entry in part.entries])
    fresh, stale = dict[bytes, tuple[ListEntry, NewItem | None]](), 0
    for entry, item in zip(part.entries, part.items, strict=True):
        known, before = stored.get(entry.source_id), fresh.get(entry.source_id)
        changed_s = [known.changed_s] if known else []
        changed_s += [before[0].changed_s] if before else []
        if entry.changed_s < max(changed_s, default=0):
            stale += 1
        else:
            fresh[entry.source_id] = (entry, item)
    numbers, removed = _add(connection, row, fresh, day, make_room)
    freed = {
        stored[source_id].item
        for source_id in fresh
        if source_id in stored and numbers.get(source_id) != stored[source_id].item
    }
    _note_entries(connection, row.number, fresh, numbers, stored)
    dropped = _drop(connection, row.number, before_s=part.withdrawn_before_s)
    removed += _erase_unnamed(connection, row.case_id, freed | set(dropped))
    is_more = len(dropped) == ENTRIES_AT_ONCE
    if part.checkpoint is not None and not is_more:
        _change(connection, row.number, checkpoint=part.checkpoint)
    return ListApplied(stale, is_more), removed


def _add(
    connection: Connection,
    row: Row[Any],
    fresh: Mapping[bytes, tuple[ListEntry, NewItem | None]],
    day: str,
    make_room: statements.MakeRoom,
) -> tuple[dict[bytes, int], list[Removed]]:
    """Register items; return the number of each by source id, and the items they replaced."""
    brought = {source_id: item for source_id, (_, item) in fresh.items() if item is not None}
    if not brought:
        return {}, []
    cases, items = schema.cases.c, schema.items.c
    case = connection.execute(select(schema.cases).where(cases.id == row.case_id)).one()
    registration = Registration(
        *(b"", b"", case.number, row.bank, Assurance.IMPORTED, tuple(brought.values())),
        keeps_banks=True,
    )
    changed = plan_update(connection, case, registration, day)
    added = statements.add_items(connection, registration, case, changed, make_room, day)
    mark = secrets.token_bytes(MARK_BYTES)
    statements.add_changes(connection, added, schema.ChangeKind.ADDITION, mark)
    removed = statements.replace(connection, changed.replaced, mark, day)
    ids = [held.item_id for held in changed.held]
    held = connection.execute(select(items.item_id, items.number).where(items.item_id.in_(ids)))
    numbers = {item.item_id: item.number for item in held}
    return {source_id: numbers[held] for source_id, held in zip(brought, ids, strict=True)}, removed


def _note_entries(
    connection: Connection,
    number: int,
    fresh: Mapping[bytes, tuple[ListEntry, NewItem | None]],
    numbers: Mapping[bytes, int],
    stored: Mapping[bytes, Row[Any]],
) -> None:
    """Note what entries are registered as; those of another item than before, or of none, go."""
    table, entries = schema.list_entries, schema.list_entries.c
    kept = {
        source_id
        for source_id, item in numbers.items()
        if source_id in stored and stored[source_id].item == item
    }
    later = [
        {"id": source_id, "changed": fresh[source_id][0].changed_s}
        for source_id in kept
        if fresh[source_id][0].changed_s != stored[source_id].changed_s
    ]
    if later:
        of_id = (entries["list"] == number, entries.source_id == bindparam("id"))
        change = update(table).where(*of_id).values(changed_s=bindparam("changed"))
        connection.execute(change, later)
    gone = [source_id for source_id in fresh if source_id in stored and source_id not in kept]
    _delete(connection, number, gone)
    rows = [
        {"list": number, "source_id": source_id, "item": item, "changed_s": changed_s}
        for source_id, item in numbers.items()
        if source_id not in kept
        for changed_s in [fresh[source_id][0].changed_s]
    ]
    if rows:
        connection.execute(insert(table), rows)


def _drop(connection: Connection, number: int, *, before_s: int | None) -> list[int]:
    """Drop up to ENTRIES_AT_ONCE entries that changed before a time, any for None.

    Returns their items, an item for each entry.
    """
    if before_s == 0:
        return []
    entries = schema.list_entries.c
    query = select(entries.source_id, entries.item).where(entries["list"] == number)
    if before_s is not None:
        query = query.where(entries.changed_s < before_s)
    rows = connection.execute(query.limit(ENTRIES_AT_ONCE)).all()
    _delete(connection, number, [row.source_id for row in rows])
    return [row.item for row in rows]


def _erase_unnamed(connection: Connection, case_id: int, numbers: Collection[int]) -> list[Removed]:
    """Erase those living items of a list that no entry of it names any more; return them."""
    items, entries = schema.items.c, schema.list_entries.c
    named = select(entries.item).where(entries.item == items.number).exists()
    rows = connection.execute(
        select(items.number, items.item_id)
        .where(items.number.in_(numbers), items.case_id == case_id, ~named)
        .order_by(items.number)
    ).all()
    statements.erase_items(
        connection, [row.number for row in rows], secrets.token_bytes(MARK_BYTES)
    )
    return [Removed(row.number, row.item_id) for row in rows]


def note_list_run(
    connection: Connection, name: str, failure: str, skipped: Mapping[str, int], at_s: int
) -> None:
    """Note how a run ended: well where ``failure`` is empty."""
    row = _list(connection, name)
    ended = {"failures": row.failures + 1} if failure else {"failures": 0, "read_s": at_s}
    _change(connection, row.number, tried_s=at_s, failure=failure, skipped=dict(skipped), **ended)


def remove_some(
    connection: Connection, name: str, *, act: Act, day: str
) -> tuple[bool, list[Removed]]:
    """Withdraw up to ENTRIES_AT_ONCE entries of a list, which is read no more from then on.

    Tells whether nothing is left of it, and returns the items that it erased. The act is noted at
    the first call.
    """
    row = _list(connection, name)
    if not row.is_removed:
        acts.note(connection, act, bank=row.bank)
        _change(connection, row.number, is_removed=True)
    dropped = _drop(connection, row.number, before_s=None)
    if dropped:
        return False, _erase_unnamed(connection, row.case_id, set(dropped))
    case = connection.execute(select(schema.cases).where(schema.cases.c.id == row.case_id)).one()
    connection.execute(delete(schema.lists).where(schema.lists.c.number == row.number))
    statements.set_status(connection, case, CaseStatus.WITHDRAWN, closed_on=day)
    return True, []


def list_feedback(
    connection: Connection, name: str, told: Sequence[ListFeedback]
) -> list[ListFeedback]:
    """Note what the source of a list was told; return what it was not, at most ENTRIES_AT_ONCE.

    Of an item that several organisations reported the strongest outcome counts, and no false
    positives, which are about somebody else's upload.
    """
    row, entries = _list(connection, name), schema.list_entries.c
    if told:
        of_id = (entries["list"] == row.number, entries.source_id == bindparam("id"))
        noted = update(schema.list_entries).where(*of_id).values(told=bindparam("outcome"))
        pairs = [{"id": feedback.source_id, "outcome": feedback.outcome} for feedback in told]
        connection.execute(noted, pairs)
    outcomes, stored = schema.outcomes.c, schema.fingerprints.c
    strongest = func.min(outcomes.outcome)
    waiting = connection.execute(
        select(entries.source_id, entries.item, strongest.label("outcome"))
        .join_from(schema.outcomes, schema.list_entries, outcomes.item == entries.item)
        .where(entries["list"] == row.number, outcomes.outcome.in_(_TOLD))
        .group_by(entries.source_id, entries.item, entries.told)
        .having(or_(entries.told.is_(None), entries.told != strongest))
        .limit(ENTRIES_AT_ONCE)
    ).all()
    blobs = connection.execute(
        select(stored.number, stored.fingerprints).where(
            stored.number.in_({entry.item for entry in waiting})
        )
    )
    hashes = {
        blob.number: queries.unpacked(blob.number, blob.fingerprints)["hash"][0].tobytes()
        for blob in blobs
    }
    return [
        ListFeedback(entry.source_id, hashes[entry.item], MatchOutcome(entry.outcome))
        for entry in waiting
    ]


def _list(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(schema.lists).where(schema.lists.c.name == name)).first()
    if row is None:
        raise _not_found(name)
    return row


def _not_found(name: str) -> NotFoundError:
    return NotFoundError(f"There is no list {name!r}. `disrupt lists status` shows all.")


def _change(connection: Connection, number: int, **values: object) -> None:
    connection.execute(update(schema.lists).where(schema.lists.c.number == number).values(**values))


def _stored(
    connection: Connection, number: int, source_ids: Collection[bytes]
) -> Mapping[bytes, Row[Any]]:
    entries = schema.list_entries.c
    rows = connection.execute(
        select(entries.source_id, entries.item, entries.changed_s).where(
            entries["list"] == number, entries.source_id.in_(source_ids)
        )
    ).all()
    return dict(zip((row.source_id for row in rows), rows, strict=True))


def _delete(connection: Connection, number: int, source_ids: Collection[bytes]) -> None:
    entries = schema.list_entries
    if source_ids:
        connection.execute(
            delete(entries).where(entries.c["list"] == number, entries.c.source_id.in_(source_ids))
        )
