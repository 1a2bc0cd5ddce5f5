"""Reads from the registry: each function runs in one transaction of its caller."""

from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    and_,
    func,
    literal,
    select,
    true,
)
from sqlalchemy import case as when

from disrupt.core import media
from disrupt.core.case_erasures import day_of
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import NO_MARK, Addition, Change, Cursor, Removal, StateChange
from disrupt.core.hashes import HASH_BYTES
from disrupt.core.media import ITEM_ID_BYTES, Assurance, MediaKind, StoredItem, StoredItems
from disrupt.core.registrations import Outcome
from disrupt.core.states import SHOWN, ItemState, WaitReason
from disrupt.errors import CursorExpiredError, DataDirectoryError
from disrupt.registry.journal import PACKED
from disrupt.registry.records import (
    BYTES_AT_ONCE,
    CHANGES_AT_ONCE,
    CaseItem,
    CaseRecord,
    HeldItem,
    Registered,
    Removed,
    Revoked,
)
from disrupt.registry.sql import api_keys, narrowings, schema

_ITEMS_AT_ONCE = 1 << 10
_STREAMED = {"stream_results": True}
"""Options of a query whose rows the database keeps until they are asked for."""
_NO_ID = bytes(ITEM_ID_BYTES)


def head(connection: Connection) -> Cursor:
    """Return the cursor of the newest change; sequence 0 in an empty registry."""
    epoch, sequence = position(connection)
    return Cursor(epoch, sequence, _mark(connection, sequence))


def position(connection: Connection) -> tuple[bytes, int]:
    """Return epoch and sequence of the newest change."""
    newest = select(func.coalesce(func.max(schema.changes.c.sequence), 0)).scalar_subquery()
    epoch, sequence = connection.execute(select(schema.registry.c.epoch, newest)).one()
    return epoch, sequence


def timeline(connection: Connection) -> int:
    """Return the database's timeline as of the begin of this epoch: promotions raise it.

    0 for a database that has none. A lower one than before is that of a replaced primary.
    """
    noted: int = connection.execute(select(schema.registry.c.timeline)).scalar_one()
    return noted


def takes_pepper(connection: Connection, check: bytes) -> bool:
    """Tell whether PINs are hashed with the pepper that ``check``, its check value, is of.

    True too where no writer has noted a pepper yet.
    """
    return connection.execute(select(schema.registry.c.pepper_check)).scalar_one() in {None, check}


def knows(connection: Connection, cursor: Cursor) -> bool:
    """Tell whether the cursor is a point of this registry's history, in its present epoch.

    A copy of the registry that was made before that change does not know it, also when it has
    grown since to the same sequence.
    """
    epoch, newest = position(connection)
    return (
        cursor.epoch == epoch
        and 0 <= cursor.sequence <= newest
        and cursor.mark == _mark(connection, cursor.sequence)
    )


def _mark(connection: Connection, sequence: int) -> bytes:
    """Return the mark of a change; NO_MARK where no change has this sequence."""
    query = select(schema.changes.c.mark).where(schema.changes.c.sequence == sequence)
    return connection.execute(query).scalar_one_or_none() or NO_MARK


def changes(
    connection: Connection, after: Cursor, limit: int, banks: Collection[int] | None = None
) -> tuple[Sequence[Change], Cursor]:
    """Return up to ``limit`` (≥ 1) changes after a cursor, oldest first, and the next cursor.

    Fewer where they have more than ``BYTES_AT_ONCE``. With ``banks``, those of items in these
    banks, of the next ``CHANGES_AT_ONCE`` changes.

    No reader sees change n before every change ≤ n is visible. Numbers of items ascend with
    their additions. A change of an item that was erased since comes as a removal. Only the
    newest change of an item that is matched now shows it, see ``StateChange``.
    CursorExpiredError for a cursor that this registry does not know.
    """
    _check_known(connection, after)
    _, end = position(connection)
    changes, items, stored = schema.changes.c, schema.items.c, schema.fingerprints.c
    narrowed = schema.narrowings.c
    bank = func.coalesce(changes.bank, items.bank)
    query = (
        select(
            *(changes.sequence, changes.mark, changes.kind.label("change"), items.number),
            *(items.item_id, bank.label("bank"), items.state, items.kind, items.assurance),
            *(items.new_on, _shows().label("shows"), stored.fingerprints, narrowed.narrowed),
        )
        .join_from(schema.changes, schema.items)
        .join(schema.fingerprints, and_(stored.number == items.number, _shows()), isouter=True)
        .join(schema.narrowings, narrowed.item == items.number, isouter=True)
        .where(changes.sequence > after.sequence)
        .order_by(changes.sequence)
    )
    if banks is not None:
        end = min(end, after.sequence + CHANGES_AT_ONCE)
        query = query.where(bank.in_(banks), changes.sequence <= end)
    rows, cut_off = _read(connection, query, limit)
    page = list(map(_change, rows))
    if cut_off:
        end = page[-1].sequence
    return page, Cursor(after.epoch, end, _mark(connection, end))


def _shows() -> ColumnElement[bool]:
    """Tell of a change whether its item is matched from it on, and is still."""
    changes, items = schema.changes.c, schema.items.c
    newest = func.coalesce(items.state_sequence, changes.sequence)
    return and_(items.state.in_(SHOWN), changes.sequence == newest)


def matched_items(connection: Connection, after: int, until: Cursor, limit: int) -> StoredItems:
    """Return up to ``limit`` (≥ 1) items that lookups find as of a cursor, ascending by number.

    Of those with numbers over ``after``; none after the last. Left out is also what was erased
    or hidden after the cursor, and what is shown by a change after it. Bounded by
    ``BYTES_AT_ONCE``, and CursorExpiredError, as for ``changes``.
    """
    _check_known(connection, until)
    items, stored, narrowed = schema.items.c, schema.fingerprints.c, schema.narrowings.c
    # The second condition says which partitions of the table are read, where it has any.
    of_item = and_(stored.number == items.number, stored.number > after)
    query = (
        select(items.number, items.item_id, items.bank, items.kind, items.assurance)
        .add_columns(items.new_on, stored.fingerprints, narrowed.narrowed)
        .join_from(schema.items, schema.fingerprints, of_item, isouter=True)
        .join(schema.narrowings, narrowed.item == items.number, isouter=True)
        .where(
            items.number > after,
            items.number <= _newest_item(until),
            items.state.in_(SHOWN),
            func.coalesce(items.state_sequence, 0) <= until.sequence,
        )
        .order_by(items.number)
    )
    rows, _ = _read(connection, query, limit)
    *columns, days, packed, blobs = zip(*rows, strict=True) if rows else [()] * 8
    columns += [tuple(map(media.day_number, days)), packed]
    try:
        stored_items = StoredItems.of(*columns)
    except (TypeError, ValueError):
        for row in rows:
            unpacked(row.number, row.fingerprints)
        raise
    if any(blobs):
        _narrow(stored_items, blobs)
    return stored_items


def _narrow(items: StoredItems, narrowed: Sequence[bytes | None]) -> None:
    """Fill ``below_bits`` of items in from the blobs of their narrowings."""
    ends = np.cumsum(items.lengths)
    for blob, length, end in zip(narrowed, items.lengths, ends, strict=True):
        if blob:
            own = slice(end - length, end)
            items.below_bits[own] = narrowings.below_bits_of(items.fingerprints[own], blob)


def _newest_item(cursor: Cursor) -> ScalarSelect[int]:
    """Select the number of the newest item added up to a cursor: numbers ascend in the feed."""
    changes = schema.changes.c
    return (
        select(changes.item)
        .where(changes.sequence <= cursor.sequence, changes.kind == schema.ChangeKind.ADDITION)
        .order_by(changes.sequence.desc())
        .limit(1)
        .scalar_subquery()
    )


def removed_since(
    connection: Connection, cursor: Cursor, banks: Collection[int] | None = None
) -> int:
    """Count the items of ``banks`` (None: all) that were there at a cursor and removed since.

    An index as of that cursor still holds so many, but for those that were hidden then.
    CursorExpiredError as for ``changes``.
    """
    _check_known(connection, cursor)
    changes = schema.changes.c
    query = select(func.count()).where(
        changes.sequence > cursor.sequence,
        changes.kind == schema.ChangeKind.REMOVAL,
        changes.item <= _newest_item(cursor),
    )
    if banks is not None:
        query = query.join_from(schema.changes, schema.items).where(schema.items.c.bank.in_(banks))
    return int(connection.execute(query).scalar_one())


def hashes_since(connection: Connection, cursor: Cursor) -> int:
    """Count the hashes that changes since a cursor show, and one for each other change.

    This estimates the cost of the changes to an index as of that cursor. CursorExpiredError as
    for ``changes``.
    """
    _check_known(connection, cursor)
    changes, items = schema.changes.c, schema.items.c
    query = (
        select(func.coalesce(func.sum(when((_shows(), items.hashes), else_=1)), 0))
        .join_from(schema.changes, schema.items, changes.item == items.number)
        .where(changes.sequence > cursor.sequence)
    )
    return int(connection.execute(query).scalar_one())


def _read(connection: Connection, query: Select[Any], limit: int) -> tuple[list[Row[Any]], bool]:
    """Return rows with fingerprints, as many as one read may bring, and whether more may follow."""
    rows = list[Row[Any]]()
    read_bytes = 0
    with closing(connection.execute(query.limit(limit), execution_options=_STREAMED)) as result:
        for row in result:  # the database reads a row when it is asked for
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
    if row.state is None:
        return Removal(row.sequence, row.number, row.item_id, row.bank, row.mark)
    item = None
    if row.shows:
        fingerprints = unpacked(row.number, row.fingerprints)
        item = StoredItem(
            row.number,
            row.item_id,
            row.bank,
            MediaKind(row.kind),
            Assurance(row.assurance),
            fingerprints,
            narrowings.below_bits_of(fingerprints, row.narrowed),
            media.day_number(row.new_on),
        )
        if row.change == schema.ChangeKind.ADDITION:
            return Addition(row.sequence, item, row.mark)
    return StateChange(row.sequence, row.number, row.item_id, row.bank, item, row.mark)


def unpacked(number: int, blob: bytes | None) -> NDArray[np.void]:
    """Return the fingerprints of a media item; DataDirectoryError where they are damaged."""
    try:
        return media.unpack(blob or b"")
    except ValueError as error:
        raise DataDirectoryError(
            f"Media item {number} of the registry is damaged, or of a newer version of Disrupt."
        ) from error


def common_hashes(connection: Connection) -> NDArray[np.uint8]:
    """Return the hashes of the items of the bank ``policy.COMMON``, shape (n, 32)."""
    items, stored = schema.items.c, schema.fingerprints.c
    rows = connection.execute(
        select(stored.number, stored.fingerprints)
        .join_from(schema.items, schema.fingerprints, stored.number == items.number)
        .where(schema.IS_COMMON)
        .order_by(items.number)
    )
    hashes = [unpacked(row.number, row.fingerprints)["hash"] for row in rows]
    return np.concatenate([np.empty((0, HASH_BYTES), np.uint8), *hashes])


def case(connection: Connection, number: str) -> CaseRecord | None:
    """Return the case, or None."""
    row = connection.execute(
        select(schema.cases, schema.case_erasures.c.due_at_s)
        .join_from(schema.cases, schema.case_erasures, isouter=True)
        .where(schema.cases.c.number == number)
    ).first()
    if row is None:
        return None
    items = connection.execute(
        _items().where(schema.items.c.case_id == row.id).order_by(schema.items.c.number_in_case)
    )
    return CaseRecord(
        row.number,
        row.pin_hash,
        CaseStatus(row.status),
        row.opened_on,
        row.closed_on,
        tuple(
            CaseItem(
                item.item_id,
                item.bank,
                MediaKind(item.kind),
                item.hashes,
                item.number_in_case,
                item.registered_on,
                item.identity,
                ItemState(item.state),
                item.state_since_s,
                _wait_reason(item),
            )
            for item in items
        ),
        row.numbers_given,
        day_of(row.due_at_s),
    )


def pin_hash(connection: Connection, number: str) -> str | None:
    """Return the PIN hash of a case, or None, in a time that does not depend on its items."""
    query = select(schema.cases.c.pin_hash).where(schema.cases.c.number == number)
    stored: str | None = connection.execute(query).scalar()
    return stored


def registered(connection: Connection, request_id: bytes) -> tuple[bytes, Registered] | None:
    """Return digest and result of an earlier registration by its request id, or None.

    None also once any of its items was withdrawn or replaced: the digest, made from hashes, is
    erased too.
    """
    request = connection.execute(
        select(schema.requests, schema.registry.c.epoch)
        .join_from(schema.requests, schema.registry, true())
        .where(schema.requests.c.request_id == request_id, schema.requests.c.digest.is_not(None))
    ).first()
    if request is None:
        return None
    answers, items = schema.answers.c, schema.items.c
    named = _answer(answers.outcome).join(schema.answers, answers.item == items.number)
    rows = connection.execute(
        named.where(answers.request_id == request_id).order_by(answers.position)
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
            HeldItem(
                *(row.item_id, row.hashes, row.number_in_case, Outcome(row.outcome)),
                *(ItemState(row.state), _wait_reason(row)),
            )
            for row in rows
        ),
        Cursor(request.epoch, request.sequence, _mark(connection, request.sequence)),
    )


def _wait_reason(row: Row[Any]) -> WaitReason | None:
    """Say why an item waits, if it does; None also where staff have made it wait."""
    waits = row.state == ItemState.WAITING and row.wait_reason is not None
    return WaitReason(row.wait_reason) if waits else None


def _answer(outcome: ColumnElement[int]) -> Select[Any]:
    """Select what an answer says of items and their case."""
    items = schema.items.c
    case = (schema.cases.c.number.label("case_number"), schema.cases.c.status)
    return (
        select(items.item_id, items.hashes, items.number_in_case, outcome, *case)
        .add_columns(items.state, items.wait_reason)
        .select_from(schema.items)
        .join(schema.cases)
    )


def living(connection: Connection, item_ids: Collection[bytes]) -> set[bytes]:
    """Return those of the ids that are of items neither withdrawn nor replaced."""
    items, wanted = schema.items.c, list(item_ids)
    alive = set[bytes]()
    for at in range(0, len(wanted), _ITEMS_AT_ONCE):
        alive |= set(
            connection.scalars(
                select(items.item_id).where(
                    items.item_id.in_(wanted[at : at + _ITEMS_AT_ONCE]), items.state.is_not(None)
                )
            )
        )
    return alive


def journaled(connection: Connection, since: Cursor | None = None) -> list[Removed | Revoked]:
    """List what the journal of removals has to hold: removed items, then keys revoked.

    With ``since``, of items those that were removed after that cursor; CursorExpiredError as
    for ``changes``. The successor of a replaced item is the living one, and empty once that was
    withdrawn.
    """
    query = _erased()
    if since is not None:
        _check_known(connection, since)
        changes = schema.changes.c
        removed = select(changes.item).where(
            changes.sequence > since.sequence, changes.kind == schema.ChangeKind.REMOVAL
        )
        query = query.where(schema.items.c.number.in_(removed))
    rows = connection.execute(query)
    erased = [Removed(row.number, row.item_id, row.successor or b"") for row in rows]
    return [*erased, *(Revoked(key.key_id) for key in api_keys.keys(connection) if key.revoked_on)]


def erased(connection: Connection) -> NDArray[np.uint64]:
    """Return all erased items, by number, as the journal has them but for the checks."""
    batches = [np.empty((0, 5), PACKED)]
    for batch in connection.execute(_erased(), execution_options=_STREAMED).partitions(
        _ITEMS_AT_ONCE
    ):
        numbers = np.array([row.number for row in batch], PACKED)
        ids = b"".join([row.item_id + (row.successor or _NO_ID) for row in batch])
        batches.append(np.column_stack((numbers, np.frombuffer(ids, PACKED).reshape(-1, 4))))
    return np.concatenate(batches)


def _erased() -> Select[Any]:
    items, newer = schema.items.c, schema.items.alias()
    return (
        select(items.number, items.item_id, newer.c.item_id.label("successor"))
        .join_from(schema.items, newer, items.replaced_by == newer.c.number, isouter=True)
        .where(items.state.is_(None))
        .order_by(items.number)
    )


def _items() -> Select[Any]:
    items = schema.items.c
    return select(
        *(items.item_id, items.bank, items.kind, items.hashes, items.state, items.state_since_s),
        *(items.number_in_case, items.registered_on, schema.identities.c.identity),
        items.wait_reason,
    ).join_from(schema.items, schema.identities)
