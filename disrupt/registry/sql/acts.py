"""The record of acts. Each function runs in one transaction of its caller."""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, insert, or_, select

from disrupt.core.acts import ANY_ACT, Act, ActFilter, Action, ActRecord
from disrupt.registry.sql import schema


def note(
    connection: Connection,
    act: Act,
    *,
    item: int | None = None,
    case_id: int | None = None,
    bank: int | None = None,
    key_id: str | None = None,
    items: int | None = None,
    undone: int | None = None,
) -> int:
    """Add an act to the record, on an item or a case, not both: in the transaction of the act.

    Returns its number.
    """
    number: int = connection.scalars(
        insert(schema.acts)
        .returning(schema.acts.c.number)
        .values(
            at_s=act.at_s,
            actor=act.actor,
            organisation=act.organisation,
            action=act.action,
            reason=act.reason,
            item=item,
            case_id=case_id,
            bank=bank,
            key_id=key_id,
            items=items,
            undone=undone,
        )
    ).one()
    return number


def acts(
    connection: Connection,
    limit: int,
    before: int | None = None,
    banks: Collection[int] | None = None,
    wanted: ActFilter = ANY_ACT,
) -> Sequence[ActRecord]:
    """Return up to ``limit`` (≥ 1) ``wanted`` acts of numbers below ``before`` (None: all).

    Newest first. With ``banks``, without those that name another bank. An act on an item names it
    also once it was withdrawn.
    """
    query = (
        select(schema.acts, schema.items.c.item_id, schema.cases.c.tag)
        .join_from(schema.acts, schema.items, isouter=True)
        .outerjoin(schema.cases, schema.cases.c.id == schema.acts.c.case_id)
        .order_by(schema.acts.c.number.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(schema.acts.c.number < before)
    if wanted.from_s:
        query = query.where(schema.acts.c.at_s >= wanted.from_s)
    if wanted.until_s is not None:
        query = query.where(schema.acts.c.at_s < wanted.until_s)
    if wanted.actions:
        query = query.where(schema.acts.c.action.in_(wanted.actions))
    if banks is not None:
        bank = schema.acts.c.bank
        query = query.where(or_(bank.is_(None), bank.in_(banks)))
    return [
        ActRecord(
            row.number,
            Act(row.actor, row.organisation, Action(row.action), row.at_s, row.reason),
            row.item_id or b"",
            row.case_id or 0,
            row.bank or 0,
            row.key_id or "",
            row.tag or b"",
            row.items,
            row.undone or 0,
        )
        for row in connection.execute(query)
    ]
