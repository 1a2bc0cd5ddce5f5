"""Erasing cases whose PIN is lost. Each function runs in one transaction of its caller."""

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy import Connection, delete, exists, func, insert, or_, select

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.case_erasures import CONFIRM_WITHIN_S, DELAY_S, CaseErasure, day_of
from disrupt.core.cases import CaseStatus
from disrupt.errors import CaseClosedError, NotFoundError
from disrupt.registry.records import ErasurePage
from disrupt.registry.sql import acts, schema, tags


def ask_erasure(
    connection: Connection,
    number: str,
    act: Act,
    *,
    partners: Collection[str],
    banks: Collection[int],
) -> CaseErasure:
    """Note that the key of the act asks for the erasure of a case without its PIN.

    If one of ``partners``, ids of other keys, asked within ``CONFIRM_WITHIN_S`` before, the
    case is due after ``DELAY_S``; its items stay as they are until then. The act is
    ERASE_CONFIRMED then, whatever it says, else ERASE_REQUESTED, and this key is the one to be
    confirmed. A case that is due stays so, and no act is noted.

    NotFoundError if there is no such case, or an item of it is in another bank than ``banks``;
    CaseClosedError if it is withdrawn.
    """
    case_id = _open_case(connection, number, banks)
    columns, items = schema.case_erasures.c, schema.items.c
    before = connection.execute(
        select(schema.case_erasures).where(columns.case_id == case_id)
    ).first()
    count = connection.execute(select(func.count()).where(items.case_id == case_id)).scalar_one()
    tag = tags.of_case(connection, case_id, day_of(act.at_s))
    if before is not None and before.due_at_s is not None:
        return CaseErasure(before.asked_at_s, before.due_at_s, count, tag, before.asked_by)
    is_in_time = before is not None and act.at_s < before.asked_at_s + CONFIRM_WITHIN_S
    connection.execute(delete(schema.case_erasures).where(columns.case_id == case_id))
    if before is not None and is_in_time and before.asked_by in partners:
        row = {"asked_by": before.asked_by, "asked_at_s": before.asked_at_s}
        due_at_s = act.at_s + DELAY_S
        action = Action.ERASE_CONFIRMED
    else:
        row = {"asked_by": act.actor, "asked_at_s": act.at_s}
        due_at_s = None
        action = Action.ERASE_REQUESTED
    connection.execute(
        insert(schema.case_erasures).values(case_id=case_id, due_at_s=due_at_s, **row)
    )
    acts.note(connection, replace(act, action=action), case_id=case_id)
    return CaseErasure(row["asked_at_s"], due_at_s, count, tag, row["asked_by"])


def erasures(
    connection: Connection,
    limit: int,
    before: int | None = None,
    *,
    banks: Collection[int],
    at_s: int,
) -> ErasurePage:
    """Return up to ``limit`` (≥ 1) erasures, those of newer cases first.

    They are due, or asked for within ``CONFIRM_WITHIN_S`` before ``at_s``, and of cases that
    have no item in another bank than ``banks``.
    """
    columns, cases, items = schema.case_erasures.c, schema.cases.c, schema.items.c
    of_case = select(func.count()).where(items.case_id == columns.case_id)
    query = (
        select(schema.case_erasures, cases.tag, of_case.scalar_subquery().label("items"))
        .join_from(schema.case_erasures, schema.cases)
        .where(or_(columns.due_at_s.is_not(None), columns.asked_at_s > at_s - CONFIRM_WITHIN_S))
        .where(~exists().where(items.case_id == columns.case_id, items.bank.not_in(banks)))
        .order_by(columns.case_id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(columns.case_id < before)
    rows = connection.execute(query).all()
    page = [
        CaseErasure(row.asked_at_s, row.due_at_s, row.items, row.tag or b"", row.asked_by)
        for row in rows
    ]
    return ErasurePage(page, rows[-1].case_id if len(rows) == limit else 0)


def _open_case(connection: Connection, number: str, banks: Collection[int]) -> int:
    """Return the id of a case that is not closed and has items in these banks only."""
    cases, items = schema.cases.c, schema.items.c
    case = connection.execute(select(cases.id, cases.status).where(cases.number == number)).first()
    of_case = (
        ()
        if case is None
        else connection.scalars(select(items.bank).where(items.case_id == case.id).distinct())
    )
    if case is None or not set(of_case) <= set(banks):
        raise NotFoundError(
            "There is no case of this number, or the key does not name the banks of all its items."
        )
    if case.status in {CaseStatus.WITHDRAWN, CaseStatus.REJECTED}:
        raise CaseClosedError("The case was withdrawn: nothing is left to erase.")
    case_id: int = case.id
    return case_id


def stop_erasure(connection: Connection, number: str, act: Act) -> None:
    """Forget the erasure of a case.

    Idempotent; an act is noted where there was something to stop.
    """
    columns, cases = schema.case_erasures.c, schema.cases.c
    case_id = connection.execute(
        select(columns.case_id)
        .join_from(schema.case_erasures, schema.cases)
        .where(cases.number == number)
    ).scalar()
    if case_id is None:
        return
    connection.execute(delete(schema.case_erasures).where(columns.case_id == case_id))
    acts.note(connection, act, case_id=case_id)


def next_due(connection: Connection, at_s: int) -> str | None:
    """Return the number of the case that is due the longest, None if none is due."""
    columns = schema.case_erasures.c
    number: str | None = connection.execute(
        select(schema.cases.c.number)
        .join_from(schema.case_erasures, schema.cases)
        .where(columns.due_at_s <= at_s)
        .order_by(columns.due_at_s)
        .limit(1)
    ).scalar()
    return number


def note_erased(connection: Connection, number: str, at_s: int) -> None:
    """Note the act of the server that has erased a case."""
    case_id = connection.execute(
        select(schema.cases.c.id).where(schema.cases.c.number == number)
    ).scalar_one()
    act = Act(SERVER, "", Action.CASE_ERASED, at_s, "pin_lost")
    acts.note(connection, act, case_id=case_id)


def stop_all(connection: Connection, at_s: int) -> None:
    """Stop every erasure, as after a restore: its owner may have stopped it since the backup."""
    cases = schema.cases.c
    numbers = connection.scalars(
        select(cases.number)
        .join_from(schema.case_erasures, schema.cases)
        .order_by(schema.case_erasures.c.case_id)
    ).all()
    for number in numbers:
        stop_erasure(connection, number, Act(SERVER, "", Action.ERASE_STOPPED, at_s, "new_epoch"))


def forget(connection: Connection, case_id: int) -> None:
    """Forget the erasure of a case that was withdrawn."""
    connection.execute(
        delete(schema.case_erasures).where(schema.case_erasures.c.case_id == case_id)
    )


def is_due(connection: Connection, case_id: int) -> bool:
    """Tell whether a case is to be erased, now or later: two keys have asked for it."""
    columns = schema.case_erasures.c
    query = select(columns.due_at_s).where(columns.case_id == case_id)
    return connection.execute(query).scalar() is not None
