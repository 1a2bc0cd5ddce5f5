"""Erasures of cases whose PIN is lost: each function runs in one transaction of its caller.

A call that is refused is an act, too. So functions return its error for the caller to raise once
the transaction is committed.
"""

import secrets
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from disrupt.core.acts import Act, Action
from disrupt.core.case_erasures import DELAY_S, CaseErasure, day_of, same_holder
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import MARK_BYTES
from disrupt.core.media import ItemState, StateReason
from disrupt.core.policy import ApiKey, Right
from disrupt.errors import (
    CaseClosedError,
    DisruptError,
    ErasureNotRequestedError,
    NotFoundError,
    PermissionDeniedError,
    SecondKeyNeededError,
)
from disrupt.registry import acts, queries, schema, statements
from disrupt.registry.journal import Removed
from disrupt.registry.states import change_states


def request(connection: Connection, number: str, act: Act) -> CaseErasure | DisruptError:
    """Note that the erasure of a case is requested, unless a request or more stands already."""
    case = _open_case(connection, number)
    if isinstance(case, DisruptError):
        return _refused(connection, act, case)
    stored = queries.case_erasure(connection, case.id)
    if stored is not None and _stands(connection, stored, act.at_s):
        return stored
    if not _has_banks(connection, case.id, act.actor):
        return _refused(connection, act, _lacks_banks())
    requested = CaseErasure(act.actor, act.at_s)
    _store(connection, case.id, requested)
    acts.append(connection, act)
    return requested


def confirm(connection: Connection, number: str, day: str, act: Act) -> CaseErasure | DisruptError:
    """Disable the items of a case, which is then due in ``DELAY_S``, if a request allows it."""
    case = _open_case(connection, number)
    if isinstance(case, DisruptError):
        return _refused(connection, act, case)
    stored = queries.case_erasure(connection, case.id)
    if stored is not None and stored.is_confirmed:
        return stored
    refusal = _refusal(connection, case.id, stored, day, act)
    if stored is None or refusal is not None:
        return _refused(connection, act, refusal or _not_requested())
    confirmed = CaseErasure(
        stored.requested_by, stored.requested_at_s, act.actor, act.at_s, act.at_s + DELAY_S
    )
    _store(connection, case.id, confirmed)
    disabled = _disable(connection, case.id, day)
    acts.append(connection, act.on(items=disabled, due_on=day_of(confirmed.due_at_s)))
    return confirmed


def stop(connection: Connection, number: str, day: str, act: Act) -> DisruptError | None:
    """Forget the erasure of a case, and give its items the states that they had before."""
    case = _open_case(connection, number)
    if isinstance(case, DisruptError):
        return _refused(connection, act, case)
    if queries.case_erasure(connection, case.id) is None:
        return None
    restored = _restore(connection, case.id, day)
    forget(connection, case.id)
    acts.append(connection, act.on(items=restored))
    return None


def due(connection: Connection, at_s: int) -> tuple[str, ...]:
    """Return the numbers of cases to erase; forget lapsed requests, and set days that are missing.

    They are missing after a restore: ``statements.begin_epoch``.
    """
    erasures = schema.case_erasures
    numbers = list[str]()
    for row in connection.execute(
        select(schema.cases.c.number, erasures)
        .join_from(erasures, schema.cases)
        .where(erasures.c.erased_on == "")
        .order_by(erasures.c.case_id)
    ).all():
        erasure = queries.case_erasure_of(row)
        if erasure.has_lapsed(at_s):
            forget(connection, row.case_id)
        elif erasure.is_pending and erasure.due_at_s is None:
            connection.execute(
                update(erasures)
                .where(erasures.c.case_id == row.case_id)
                .values(due_at_s=at_s + DELAY_S)
            )
        elif erasure.is_due(at_s):
            numbers.append(row.number)
    return tuple(numbers)


def complete(connection: Connection, number: str, day: str, act: Act) -> list[Removed]:
    """Erase a case if that is due; return the items that it erased."""
    case = _open_case(connection, number)
    if isinstance(case, DisruptError):
        return []
    stored = queries.case_erasure(connection, case.id)
    if stored is None or not stored.is_due(act.at_s):
        return []
    removed = statements.withdraw(connection, number, None, day)
    done = CaseErasure(
        *(stored.requested_by, stored.requested_at_s, stored.confirmed_by, stored.confirmed_at_s),
        *(stored.due_at_s, day),
    )
    _store(connection, case.id, done)
    acts.append(connection, act.on(items=len(removed)))
    return removed


def forget(connection: Connection, case_id: int) -> None:
    """Delete what is known of the erasure of a case, and of the states before it."""
    erasures, before = schema.case_erasures.c, schema.case_erasure_items.c
    own = select(schema.items.c.number).where(schema.items.c.case_id == case_id)
    connection.execute(delete(schema.case_erasure_items).where(before.item.in_(own)))
    connection.execute(delete(schema.case_erasures).where(erasures.case_id == case_id))


def _open_case(connection: Connection, number: str) -> Row[Any] | DisruptError:
    """Return the row of a case that is not withdrawn, or the error to answer."""
    row = connection.execute(select(schema.cases).where(schema.cases.c.number == number)).first()
    if row is None:
        return NotFoundError("There is no case of this number. The log of acts has the attempt.")
    if row.status == CaseStatus.WITHDRAWN:
        return CaseClosedError("The case is withdrawn: nothing of it is left to erase.")
    return row


def _stands(connection: Connection, erasure: CaseErasure, at_s: int) -> bool:
    """Tell whether an erasure is confirmed, or is a request that another key may confirm."""
    if erasure.is_confirmed:
        return True
    keys = queries.keys(connection, erasure.requested_by)
    return not erasure.has_lapsed(at_s) and bool(keys) and _may_review(keys[0], day_of(at_s))


def _refused(connection: Connection, act: Act, error: DisruptError) -> DisruptError:
    """Append the act of a refused call, which says what was tried; return its error."""
    tried = act.action.name.removeprefix("ERASURE_").lower()
    refused = Act(act.actor, Action.ERASURE_REFUSED, act.at_s, act.subject)
    acts.append(connection, refused.on(tried=tried, reason=error.reason.lower()))
    return error


def _refusal(
    connection: Connection, case_id: int, stored: CaseErasure | None, day: str, act: Act
) -> DisruptError | None:
    """Return why the key of an act may not confirm a request, None if it may."""
    if stored is None or stored.has_lapsed(act.at_s):
        return _not_requested()
    keys = {key.key_id: key for key in queries.keys(connection)}
    first, second = keys.get(stored.requested_by), keys.get(act.actor)
    if first is None or not _may_review(first, day):
        return ErasureNotRequestedError(
            "The key that requested this is not valid for reviews any more. Find out why, then"
            " request the erasure again."
        )
    if second is None or not _may_review(second, day) or same_holder(first, second):
        return SecondKeyNeededError(
            "Another person has to confirm, with a key of their own name: this key requested the"
            " erasure, or has the same name as the one that did."
        )
    return None if _has_banks(connection, case_id, act.actor) else _lacks_banks()


def _may_review(key: ApiKey, day: str) -> bool:
    return key.valid_on(day) and Right.REVIEW in key.rights


def _has_banks(connection: Connection, case_id: int, key_id: str) -> bool:
    """Tell whether a key has the banks of all items of a case."""
    banks = select(schema.items.c.bank).where(schema.items.c.case_id == case_id).distinct()
    keys = queries.keys(connection, key_id)
    return bool(keys) and keys[0].banks.issuperset(connection.scalars(banks))


def _lacks_banks() -> PermissionDeniedError:
    return PermissionDeniedError(
        "Items of this case are in a bank that this key does not have. Ask staff whose key has it."
    )


def _not_requested() -> ErasureNotRequestedError:
    return ErasureNotRequestedError(
        "Nobody requested the erasure of this case within the last 24 hours. Request it first."
    )


def _store(connection: Connection, case_id: int, erasure: CaseErasure) -> None:
    erasures = schema.case_erasures
    connection.execute(delete(erasures).where(erasures.c.case_id == case_id))
    connection.execute(
        insert(erasures).values(
            case_id=case_id,
            requested_by=erasure.requested_by,
            requested_at_s=erasure.requested_at_s,
            confirmed_by=erasure.confirmed_by,
            confirmed_at_s=erasure.confirmed_at_s,
            due_at_s=erasure.due_at_s,
            erased_on=erasure.erased_on,
        )
    )


def _disable(connection: Connection, case_id: int, day: str) -> int:
    """Disable the items of a case that are not, keeping their states; return their number."""
    rows = connection.execute(
        select(schema.items.c.number, queries.STATE.label("state"), schema.states.c.reason)
        .join_from(schema.items, schema.states, isouter=True)
        .where(schema.items.c.case_id == case_id, queries.STATE != ItemState.DISABLED)
        .order_by(schema.items.c.number)
    ).all()
    if rows:
        connection.execute(
            insert(schema.case_erasure_items),
            [{"item": row.number, "state": row.state, "reason": row.reason} for row in rows],
        )
    disabled = (ItemState.DISABLED, day, StateReason.PIN_LOST)
    change_states(
        connection, [(row.number, *disabled) for row in rows], secrets.token_bytes(MARK_BYTES)
    )
    return len(rows)


def _restore(connection: Connection, case_id: int, day: str) -> int:
    """Give items of a case their states from before; not those that staff have changed since."""
    before, states = schema.case_erasure_items, schema.states.c
    rows = connection.execute(
        select(before)
        .join_from(before, schema.items)
        .join(schema.states, states.item == before.c.item)
        .where(
            schema.items.c.case_id == case_id,
            states.state == ItemState.DISABLED,
            states.reason == StateReason.PIN_LOST,
        )
        .order_by(before.c.item)
    ).all()
    change_states(
        connection,
        [(row.item, ItemState(row.state), day, queries.reason(row)) for row in rows],
        secrets.token_bytes(MARK_BYTES),
    )
    return len(rows)
