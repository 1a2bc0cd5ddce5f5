"""Writes to the registry: each function runs in one transaction of its caller."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, exists, insert, select, update

from disrupt.core import media
from disrupt.core.cases import CaseStatus, advance
from disrupt.core.changes import EPOCH_BYTES, MARK_BYTES
from disrupt.core.policy import FIRST_BANKS, ApiKey
from disrupt.errors import (
    InvalidRequestError,
    NotFoundError,
    RequestIdReusedError,
    Violation,
)
from disrupt.registry import queries, schema
from disrupt.registry.contract import NewCase, Registered, Registration
from disrupt.registry.journal import Removed

_BATCH_IDS = 500


def seed(connection: Connection) -> None:
    """Give a new registry its epoch and first banks; do nothing to one that has them."""
    if connection.execute(select(schema.registry)).first() is not None:
        return
    connection.execute(insert(schema.registry).values(id=1, epoch=secrets.token_bytes(EPOCH_BYTES)))
    connection.execute(
        insert(schema.banks),
        [
            {
                "number": bank.number,
                "name": bank.name,
                "max_distance_bits": bank.max_distance_bits,
            }
            for bank in FIRST_BANKS
        ],
    )


def register(connection: Connection, registration: Registration, day: str) -> Registered:
    """Add items, or answer as before."""
    if not registration.items:
        raise InvalidRequestError.of(Violation("items", "at least one is needed"))
    known = queries.registered(connection, registration.request_id)
    if known is not None and known[0] == registration.request_digest:
        return known[1]
    if _is_taken(connection, registration.request_id):
        raise RequestIdReusedError(
            "This request id was used before: with other content, or for items of which some were"
            " withdrawn since. Nothing was registered. Use a new request id to register more."
        )
    case = _open_case(connection, registration.case, day)
    numbers = _add_items(connection, registration, case)
    sequence = _add_changes(connection, numbers, schema.ChangeKind.ADDITION)
    connection.execute(
        insert(schema.requests).values(
            request_id=registration.request_id,
            digest=registration.request_digest,
            sequence=sequence,
        )
    )
    return Registered(
        case.number,
        CaseStatus.ACTIVE,
        tuple((item.item_id, len(item.fingerprints)) for item in registration.items),
        queries.head(connection),
    )


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
    if row.status != CaseStatus.ACTIVE:
        _set_status(connection, row, CaseStatus.ACTIVE)
    return row


def _case(connection: Connection, number: str) -> Row[Any]:
    row = connection.execute(select(schema.cases).where(schema.cases.c.number == number)).first()
    if row is None:
        raise NotFoundError("There is no case of this number.")
    return row


def _set_status(
    connection: Connection, case: Row[Any], to: CaseStatus, closed_on: str = ""
) -> None:
    status = advance(CaseStatus(case.status), to)
    connection.execute(
        update(schema.cases)
        .where(schema.cases.c.id == case.id)
        .values(status=status, closed_on=closed_on)
    )


def _add_items(connection: Connection, registration: Registration, case: Row[Any]) -> Sequence[int]:
    """Store the items; return their numbers, ascending in the order of the request."""
    rows = [
        {
            "item_id": item.item_id,
            "bank": registration.bank,
            "case_id": case.id,
            "request_id": registration.request_id,
            "kind": item.kind,
            "assurance": registration.assurance,
            "hashes": len(item.fingerprints),
            "fingerprints": media.pack(item.fingerprints),
        }
        for item in registration.items
    ]
    add = insert(schema.items).returning(schema.items.c.number, sort_by_parameter_order=True)
    return connection.scalars(add, rows).all()


def _add_changes(connection: Connection, numbers: Sequence[int], kind: schema.ChangeKind) -> int:
    """Store one change per item; return the sequence of the last."""
    mark = secrets.token_bytes(MARK_BYTES)
    rows = [{"item": number, "kind": kind, "mark": mark} for number in numbers]
    add = insert(schema.changes).returning(schema.changes.c.sequence, sort_by_parameter_order=True)
    return int(connection.scalars(add, rows).all()[-1])


def withdraw(
    connection: Connection, number: str, item_ids: Sequence[bytes] | None, day: str
) -> list[Removed]:
    """Erase items of a case, all for None; return those that it erased."""
    case = _case(connection, number)
    linked = connection.execute(
        select(schema.items.c.number, schema.items.c.item_id, schema.items.c.request_id)
        .where(schema.items.c.case_id == case.id)
        .order_by(schema.items.c.number)
    ).all()
    wanted = {row.item_id for row in linked} if item_ids is None else set(item_ids)
    erased = [row for row in linked if row.item_id in wanted]
    _check_erased(connection, wanted.difference(row.item_id for row in erased))
    if erased:
        requests = {row.request_id for row in erased if row.request_id is not None}
        _erase(connection, [row.number for row in erased], requests)
    if len(erased) == len(linked) and case.status != CaseStatus.WITHDRAWN:
        _set_status(connection, case, CaseStatus.WITHDRAWN, closed_on=day)
    return [Removed(row.number, row.item_id) for row in erased]


def erase_again(connection: Connection, item_ids: Sequence[bytes], day: str) -> bool:
    """Erase items, of whatever case, that were withdrawn before; tell whether any was there."""
    erased_any = False
    for at in range(0, len(item_ids), _BATCH_IDS):
        rows = connection.execute(
            select(schema.items.c.number, schema.items.c.request_id)
            .where(
                schema.items.c.item_id.in_(item_ids[at : at + _BATCH_IDS]),
                schema.items.c.case_id.is_not(None),
            )
            .order_by(schema.items.c.number)
        ).all()
        if rows:
            requests = {row.request_id for row in rows if row.request_id is not None}
            _erase(connection, [row.number for row in rows], requests)
            erased_any = True
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
        _set_status(connection, case, CaseStatus.WITHDRAWN, closed_on=day)


def begin_epoch(connection: Connection) -> None:
    """Refuse every cursor given out before from now on."""
    connection.execute(update(schema.registry).values(epoch=secrets.token_bytes(EPOCH_BYTES)))


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


def _erase(connection: Connection, numbers: list[int], requests: set[bytes]) -> None:
    """Clear from items and their requests what was made from hashes or identifies a case."""
    connection.execute(
        update(schema.items).where(schema.items.c.request_id.in_(requests)).values(request_id=None)
    )
    connection.execute(
        update(schema.requests)
        .where(schema.requests.c.request_id.in_(requests))
        .values(digest=None, sequence=None)
    )
    connection.execute(
        update(schema.items)
        .where(schema.items.c.number.in_(numbers))
        .values(case_id=None, kind=None, assurance=None, hashes=None, fingerprints=None)
    )
    _add_changes(connection, numbers, schema.ChangeKind.REMOVAL)


def add_key(connection: Connection, key: ApiKey) -> None:
    """Add a key."""
    connection.execute(
        insert(schema.keys).values(
            key_id=key.key_id,
            name=key.name,
            secret_sha256=key.secret_sha256,
            rights=sorted(key.rights),
            banks=sorted(key.banks),
            created_on=key.created_on,
            revoked_on=key.revoked_on,
        )
    )


def revoke_key(connection: Connection, key_id: str, day: str) -> tuple[ApiKey, bool]:
    """Revoke a key; return it as it is now, and whether it was valid before."""
    revoked = connection.execute(
        update(schema.keys)
        .where(schema.keys.c.key_id == key_id, schema.keys.c.revoked_on == "")
        .values(revoked_on=day)
    )
    keys = queries.keys(connection, key_id)
    if not keys:
        raise NotFoundError("There is no key of this id. `disrupt keys list` shows all.")
    return keys[0], bool(revoked.rowcount)
