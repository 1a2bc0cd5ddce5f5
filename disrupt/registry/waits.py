"""Items that wait for review by rules, and what is reported and counted against them.

Each function runs in one transaction of its caller.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, and_, delete, exists, func, insert, select, update

from disrupt.core.media import ItemState, StateReason
from disrupt.core.outcomes import Outcome
from disrupt.registry import schema

_HOUR_S = 3600
"""A day would be too coarse to count 72 hours by; a second would say when somebody was here."""


def begin(connection: Connection, numbers: Collection[int], reason: StateReason, at_s: int) -> None:
    """Note why items, by number, wait for review, and since which hour."""
    if not numbers:
        return
    waits = schema.waits.c
    connection.execute(delete(schema.waits).where(waits.item.in_(numbers), waits.reason == reason))
    connection.execute(
        insert(schema.waits),
        [
            {"item": number, "reason": reason, "since_h": at_s // _HOUR_S, "ended": False}
            for number in numbers
        ],
    )


def settle(connection: Connection, numbers: Collection[int]) -> None:
    """End the waits of items whose state was decided on, and spend what was reported of them."""
    waits = schema.waits.c
    connection.execute(
        update(schema.waits).where(waits.item.in_(numbers), ~waits.ended).values(ended=True)
    )
    spend(connection, numbers)


def decide(connection: Connection, numbers: Collection[int]) -> None:
    """Settle items on which staff have decided: new reports may hide them again."""
    settle(connection, numbers)
    waits = schema.waits.c
    connection.execute(
        delete(schema.waits).where(
            waits.item.in_(numbers), waits.reason == StateReason.FALSE_POSITIVES
        )
    )


def spend(connection: Connection, numbers: Collection[int]) -> None:
    """Let what was reported of items that were looked at count against them no more."""
    outcomes = schema.outcomes.c
    connection.execute(
        update(schema.outcomes)
        .where(outcomes.item.in_(numbers), outcomes.counts)
        .values(counts=False)
    )


def carry_over(
    connection: Connection, replaced: Collection[int], number: int, *, waiting: bool
) -> None:
    """Note of an item, WAITING or not, why those waited whose place it takes."""
    waits = schema.waits.c
    rows = connection.execute(
        select(
            waits.reason,
            func.max(waits.since_h).label("since_h"),
            func.min(waits.ended).label("ended"),
        )
        .where(waits.item.in_(replaced))
        .group_by(waits.reason)
    ).all()
    if rows:
        connection.execute(
            insert(schema.waits),
            [
                {
                    "item": number,
                    "reason": row.reason,
                    "since_h": row.since_h,
                    "ended": row.ended or not waiting,
                }
                for row in rows
            ],
        )


def erase(connection: Connection, numbers: Collection[int]) -> None:
    """Delete what is noted of items."""
    connection.execute(delete(schema.waits).where(schema.waits.c.item.in_(numbers)))


def waited(connection: Connection, number: int, reason: StateReason) -> bool:
    """Tell whether an item waits for this reason, or has."""
    waits = schema.waits.c
    query = select(exists().where(waits.item == number, waits.reason == reason))
    return bool(connection.execute(query).scalar_one())


def overdue(connection: Connection, until_s: int, limit: int) -> Sequence[int]:
    """Return up to ``limit`` items, by number, that wait by a rule since an hour or before.

    Not those that wait no more for now, as their case is to be erased: they may wait again.
    """
    waits, states = schema.waits.c, schema.states.c
    query = (
        select(waits.item)
        .join(schema.states, states.item == waits.item)
        .where(~waits.ended, waits.since_h <= until_s // _HOUR_S)
        .where(states.state == ItemState.WAITING)
    )
    return connection.scalars(query.distinct().order_by(waits.item).limit(limit)).all()


def accusers(connection: Connection, number: int) -> int:
    """Count the organisations whose false positives count against an item."""
    outcomes = schema.outcomes.c
    against = and_(
        outcomes.item == number, outcomes.outcome == Outcome.FALSE_POSITIVE, outcomes.counts
    )
    query = select(func.count(outcomes.reporter.distinct())).where(against)
    return int(connection.execute(query).scalar_one())
