"""Reads from the registry: each function runs in one transaction of its caller."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, literal, select, true
from sqlalchemy import case as when

from disrupt.core import media
from disrupt.core.case_erasures import CaseErasure
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import Addition, Change, Cursor, Removal, StateChange
from disrupt.core.media import (
    Assurance,
    ItemState,
    MediaKind,
    StateReason,
    StateRecord,
    StoredItem,
    StoredItems,
)
from disrupt.core.organisations import Kind, Organisation
from disrupt.core.outcomes import Outcome as MatchOutcome
from disrupt.core.policy import ApiKey, Right
from disrupt.core.registrations import Outcome
from disrupt.core.waiting import BY_CALLERS
from disrupt.errors import CursorExpiredError, DataDirectoryError, NotFoundError
from disrupt.registry import schema
from disrupt.registry.contract import (
    BYTES_AT_ONCE,
    CHANGES_AT_ONCE,
    CaseItem,
    CaseRecord,
    Place,
    Registered,
)
from disrupt.registry.journal import PACKED, Record, Removed, Revoked

_ERASED_AT_ONCE = 1 << 10

STATE: ColumnElement[int] = func.coalesce(schema.states.c.state, ItemState.LIVE.value)
"""State of an item, where ``states`` is outer-joined to it."""

CHANGED_ON: ColumnElement[str] = func.coalesce(schema.states.c.changed_on, "")
"""Day of an item's newest change of state, empty if there was none; joined as for ``STATE``."""

_BANK: ColumnElement[int] = func.coalesce(schema.changes.c.bank, schema.items.c.bank)
"""Bank that a change is of: that which its item left with it, or else that which it is in."""

_SHOWN = and_(
    STATE == ItemState.LIVE,
    func.coalesce(schema.states.c.sequence, schema.changes.c.sequence) == schema.changes.c.sequence,
)
"""Whether a change shows its item, if that is not erased; joined as for ``STATE``."""


def head(connection: Connection) -> Cursor:
    """Return the cursor of the newest change."""
    epoch, sequence = position(connection)
    return Cursor(epoch, sequence, _mark(connection, sequence))


def position(connection: Connection) -> tuple[bytes, int]:
    """Return epoch and sequence of the newest change; of a registry of any schema revision."""
    newest = select(func.coalesce(func.max(schema.changes.c.sequence), 0)).scalar_subquery()
    epoch, sequence = connection.execute(select(schema.registry.c.epoch, newest)).one()
    return epoch, sequence


def pepper_check(connection: Connection) -> bytes | None:
    """Return the check value of the pepper that PINs are hashed with; None if it is not known."""
    check: bytes | None = connection.execute(select(schema.registry.c.pepper_check)).scalar_one()
    return check


def knows(connection: Connection, cursor: Cursor) -> bool:
    """Tell whether the cursor is a point of this registry's history, in its present epoch."""
    epoch, newest = position(connection)
    return (
        cursor.epoch == epoch
        and 0 <= cursor.sequence <= newest
        and cursor.mark == _mark(connection, cursor.sequence)
    )


def _mark(connection: Connection, sequence: int) -> bytes:
    """Return the mark of a change; empty where it has none, or no change has this sequence."""
    query = select(schema.changes.c.mark).where(schema.changes.c.sequence == sequence)
    return connection.execute(query).scalar_one_or_none() or b""


def changes(
    connection: Connection, after: Cursor, limit: int, banks: Collection[int] | None
) -> tuple[Sequence[Change], Cursor]:
    """Return a page of changes, and the cursor of its end."""
    _check_known(connection, after)
    _, end = position(connection)
    changes, items = schema.changes.c, schema.items.c
    query = (
        select(
            *(changes.sequence, changes.mark, changes.kind.label("change")),
            *(items.number, items.item_id, _BANK.label("bank"), items.kind, items.assurance),
            when((_SHOWN, items.fingerprints)).label("fingerprints"),
        )
        .join_from(schema.changes, schema.items)
        .outerjoin(schema.states, schema.states.c.item == items.number)
        .where(changes.sequence > after.sequence)
        .order_by(changes.sequence)
    )
    if banks is not None:
        end = min(end, after.sequence + CHANGES_AT_ONCE)
        query = query.where(_BANK.in_(banks), changes.sequence <= end)
    rows, cut_off = _read(connection, query, limit)
    page = list(map(_change, rows))
    if cut_off:
        end = page[-1].sequence
    return page, Cursor(after.epoch, end, _mark(connection, end))


def additions(
    connection: Connection, after: Cursor, until: Cursor, limit: int
) -> tuple[StoredItems, Cursor]:
    """Return a page of LIVE items, and the cursor of its end."""
    _check_known(connection, after)
    items = schema.items.c
    query = (
        select(
            *(schema.changes.c.sequence, items.number, items.item_id, items.bank, items.kind),
            *(items.assurance, items.fingerprints, schema.changes.c.mark),
        )
        .join_from(schema.changes, schema.items)
        .outerjoin(schema.states, schema.states.c.item == items.number)
        .where(
            STATE == ItemState.LIVE,
            schema.changes.c.sequence > after.sequence,
            schema.changes.c.sequence <= until.sequence,
            schema.changes.c.kind == schema.ChangeKind.ADDITION,
            items.fingerprints.is_not(None),
        )
        .order_by(schema.changes.c.sequence)
    )
    rows, cut_off = _read(connection, query, limit)
    sequences, *plain, marks = zip(*rows, strict=True) if rows else [()] * 8
    try:
        page = StoredItems.of(*plain)
    except ValueError:
        for row in rows:
            unpacked(row.number, row.fingerprints)
        raise
    if not cut_off:
        return page, until
    return page, Cursor(after.epoch, sequences[-1], marks[-1] or b"")


def removed_since(connection: Connection, cursor: Cursor) -> int:
    """Count the items added up to a cursor and removed after it."""
    _check_known(connection, cursor)
    changes = schema.changes.c
    # Item numbers ascend in the feed.
    newest = (
        select(changes.item)
        .where(changes.sequence <= cursor.sequence, changes.kind == schema.ChangeKind.ADDITION)
        .order_by(changes.sequence.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = select(func.count()).where(
        changes.sequence > cursor.sequence,
        changes.kind == schema.ChangeKind.REMOVAL,
        changes.item <= newest,
    )
    return int(connection.execute(query).scalar_one())


def hashes_since(connection: Connection, cursor: Cursor) -> int:
    """Count the hashes of items that changes after a cursor show, and one for each other change."""
    _check_known(connection, cursor)
    changes, items = schema.changes.c, schema.items.c
    query = (
        select(func.coalesce(func.sum(func.coalesce(when((_SHOWN, items.hashes)), 1)), 0))
        .join_from(schema.changes, schema.items)
        .outerjoin(schema.states, schema.states.c.item == items.number)
        .where(changes.sequence > cursor.sequence)
    )
    return int(connection.execute(query).scalar_one())


def _read(connection: Connection, query: Select[Any], limit: int) -> tuple[list[Row[Any]], bool]:
    """Return rows with fingerprints, as many as one read may bring, and whether more may follow."""
    rows = list[Row[Any]]()
    read_bytes = 0
    with closing(connection.execute(query.limit(limit))) as result:
        for row in result:  # SQLite reads a row when it is asked for
            read_bytes += len(row.fingerprints or b"")
            if rows and read_bytes > BYTES_AT_ONCE:
                return rows, True
            rows.append(row)
    return rows, len(rows) == limit


def _check_known(connection: Connection, cursor: Cursor) -> None:
    """Raise CursorExpiredError unless the cursor is a point of this registry's history."""
    if not knows(connection, cursor):
        raise CursorExpiredError(
            "The registry does not know this cursor: it was restored since. Start over from the"
            " beginning."
        )


def _change(row: Row[Any]) -> Change:
    item = None if row.fingerprints is None else _item(row)
    what = (row.sequence, row.number, row.item_id, row.bank)
    if row.change == schema.ChangeKind.STATE:
        return StateChange(*what, item, row.mark or b"")
    if item is None:
        return Removal(*what, row.mark or b"")
    return Addition(row.sequence, item, row.mark or b"")


def _item(row: Row[Any]) -> StoredItem:
    return StoredItem(
        row.number,
        row.item_id,
        row.bank,
        MediaKind(row.kind),
        Assurance(row.assurance),
        unpacked(row.number, row.fingerprints),
    )


def unpacked(number: int, blob: bytes) -> NDArray[np.void]:
    """Return the fingerprints of a media item; DataDirectoryError where they are damaged."""
    try:
        return media.unpack(blob)
    except ValueError as error:
        raise DataDirectoryError(
            f"Media item {number} of the registry is damaged, or of a newer version of Disrupt."
        ) from error


def keys(connection: Connection, key_id: str | None = None) -> tuple[ApiKey, ...]:
    """Return all keys, or the one of this id, oldest first."""
    query = select(schema.keys).order_by(schema.keys.c.id)
    if key_id is not None:
        query = query.where(schema.keys.c.key_id == key_id)
    return tuple(
        ApiKey(
            row.key_id,
            row.name,
            row.secret_sha256,
            frozenset(map(Right, row.rights)),
            frozenset(row.banks),
            row.created_on,
            row.revoked_on,
            row.organisation,
            row.expires_on,
            row.used_on,
        )
        for row in connection.execute(query)
    )


def organisations(connection: Connection) -> tuple[Organisation, ...]:
    """Return the organisations that have something of their own, by name."""
    rows = connection.execute(select(schema.organisations).order_by(schema.organisations.c.name))
    return tuple(
        Organisation(
            row["name"],
            {kind: row[kind.value] for kind in Kind if row[kind.value] is not None},
            row["certificate"],
        )
        for row in rows.mappings()
    )


def states(connection: Connection, item_ids: Collection[bytes]) -> dict[int, StateRecord]:
    """Return the states of items by number, ascending; NotFoundError if one is missing."""
    items = schema.items.c
    rows = connection.execute(
        select(items.number, items.item_id, items.bank)
        .add_columns(STATE.label("state"), CHANGED_ON.label("changed_on"), schema.states.c.reason)
        .join_from(schema.items, schema.states, isouter=True)
        .where(items.item_id.in_(item_ids), items.case_id.is_not(None))
        .order_by(items.number)
    ).all()
    for unknown in sorted(set(item_ids).difference(row.item_id for row in rows)):
        raise NotFoundError(f"There is no item {unknown.hex()}, or it was withdrawn.")
    return {
        row.number: StateRecord(
            row.item_id, row.bank, ItemState(row.state), row.changed_on, reason(row)
        )
        for row in rows
    }


def count_states(connection: Connection) -> dict[ItemState, int]:
    """Return how many items are in each state but LIVE."""
    state = schema.states.c.state
    rows = connection.execute(
        select(state, func.count()).where(state != ItemState.LIVE).group_by(state)
    )
    return {ItemState(number): count for number, count in rows}


def reason(row: Row[Any]) -> StateReason | None:
    """Return why an item has its state, from its row of ``states``."""
    return None if row.reason is None else StateReason(row.reason)


def _is_hidden(row: Row[Any]) -> bool:
    return row.state == ItemState.WAITING and row.reason in BY_CALLERS


def case(connection: Connection, number: str) -> CaseRecord | None:
    """Return the case with its remaining items, oldest first."""
    row = connection.execute(select(schema.cases).where(schema.cases.c.number == number)).first()
    if row is None:
        return None
    items = connection.execute(
        _items().where(schema.items.c.case_id == row.id).order_by(schema.items.c.number)
    )
    return CaseRecord(
        row.number,
        row.pin_hash,
        CaseStatus(row.status),
        row.opened_on,
        row.closed_on,
        tuple(
            CaseItem(
                *(item.item_id, item.bank, MediaKind(item.kind), item.hashes),
                ItemState(item.state),
                item.changed_on if _is_hidden(item) else "",
            )
            for item in items
        ),
        case_erasure(connection, row.id),
    )


def case_erasure(connection: Connection, case_id: int) -> CaseErasure | None:
    """Return the erasure of a case without its PIN, None where nobody requested it."""
    query = select(schema.case_erasures).where(schema.case_erasures.c.case_id == case_id)
    row = connection.execute(query).first()
    return None if row is None else case_erasure_of(row)


def case_erasure_of(row: Row[Any]) -> CaseErasure:
    """Return the erasure that a row with the columns of ``case_erasures`` says."""
    return CaseErasure(
        row.requested_by,
        row.requested_at_s,
        row.confirmed_by,
        row.confirmed_at_s,
        row.due_at_s,
        row.erased_on,
    )


def outcomes(
    connection: Connection, number: str, before: str
) -> Mapping[bytes, frozenset[MatchOutcome]]:
    """Return the outcomes of the items of a case as they were before a day, by item id."""
    reports = schema.outcomes.c
    reported = when((reports.reported_on < before, reports.outcome), else_=reports.earlier)
    rows = connection.execute(
        select(schema.items.c.item_id, reported.label("outcome"))
        .join_from(schema.outcomes, schema.items)
        .join(schema.cases)
        .where(schema.cases.c.number == number, reported.is_not(None))
        .distinct()
    )
    by_item = defaultdict[bytes, set[MatchOutcome]](set)
    for row in rows:
        by_item[row.item_id].add(MatchOutcome(row.outcome))
    return {item_id: frozenset(outcomes) for item_id, outcomes in by_item.items()}


def case_id(connection: Connection, number: str) -> int | None:
    """Return the registry's own number of a case, or None."""
    query = select(schema.cases.c.id).where(schema.cases.c.number == number)
    stored: int | None = connection.execute(query).scalar()
    return stored


def pin_hash(connection: Connection, number: str) -> str | None:
    """Return the PIN hash of a case, or None."""
    query = select(schema.cases.c.pin_hash).where(schema.cases.c.number == number)
    stored: str | None = connection.execute(query).scalar()
    return stored


def registered(connection: Connection, request_id: bytes) -> tuple[bytes, Registered] | None:
    """Return digest and result of a request of whose answer nothing was erased."""
    request = connection.execute(
        select(schema.requests, schema.registry.c.epoch)
        .join_from(schema.requests, schema.registry, true())
        .where(schema.requests.c.request_id == request_id, schema.requests.c.digest.is_not(None))
    ).first()
    if request is None:
        return None
    places, items = schema.places.c, schema.items.c
    named = _answer(places.outcome).join(schema.places, places.item == items.number)
    rows = connection.execute(
        named.where(places.request_id == request_id).order_by(places.place)
    ).all()
    if not rows:
        own = _answer(literal(Outcome.ADDED.value).label("outcome"))
        rows = connection.execute(
            own.where(items.request_id == request_id).order_by(items.number)
        ).all()
    return request.digest, Registered(
        rows[0].case_number,
        CaseStatus(rows[0].status),
        tuple(
            Place(row.item_id, row.hashes, Outcome(row.outcome), ItemState(row.state))
            for row in rows
        ),
        Cursor(request.epoch, request.sequence, _mark(connection, request.sequence)),
    )


def _answer(outcome: ColumnElement[int]) -> Select[Any]:
    """Select what an answer says of items and their case."""
    case = (schema.cases.c.number.label("case_number"), schema.cases.c.status)
    return (
        select(schema.items.c.item_id, schema.items.c.hashes, outcome, *case)
        .add_columns(STATE.label("state"))
        .select_from(schema.items)
        .join(schema.cases)
        .outerjoin(schema.states, schema.states.c.item == schema.items.c.number)
    )


def journaled(connection: Connection) -> list[Record]:
    """List all erased items, by number, then all revoked keys, oldest first."""
    rows = connection.execute(
        select(schema.items.c.number, schema.items.c.item_id)
        .where(schema.items.c.case_id.is_(None))
        .order_by(schema.items.c.number)
    )
    erased = [Removed(row.number, row.item_id) for row in rows]
    return [*erased, *(Revoked(key.key_id) for key in keys(connection) if key.revoked_on)]


def erased(connection: Connection) -> NDArray[np.uint64]:
    """Return all erased items, by number, as the journal has them but for the checks."""
    rows = connection.execute(
        select(schema.items.c.number, schema.items.c.item_id)
        .where(schema.items.c.case_id.is_(None))
        .order_by(schema.items.c.number)
    )
    batches = [np.empty((0, 3), PACKED)]
    for batch in rows.partitions(_ERASED_AT_ONCE):
        numbers = np.array([number for number, _ in batch], PACKED)
        ids = np.frombuffer(b"".join([item_id for _, item_id in batch]), PACKED).reshape(-1, 2)
        batches.append(np.column_stack((numbers, ids)))
    return np.concatenate(batches)


def _items() -> Select[Any]:
    # Leave out the fingerprints, which are large.
    items = schema.items.c
    return select(
        *(items.number, items.item_id, items.bank, items.kind, items.hashes),
        *(STATE.label("state"), CHANGED_ON.label("changed_on"), schema.states.c.reason),
    ).join_from(schema.items, schema.states, isouter=True)
