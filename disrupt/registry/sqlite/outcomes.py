"""Outcomes of matches. Each function runs in one transaction of its caller."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, insert, select, update

from disrupt.core.outcomes import MatchOutcome, OutcomeReport
from disrupt.errors import NotFoundError
from disrupt.registry.sqlite import schema


def outcomes(
    connection: Connection, number: str, *, before: str
) -> Mapping[bytes, Mapping[MatchOutcome, str]]:
    """Return what was reported of the items of a case before a day."""
    columns = schema.outcomes.c
    query = (
        select(schema.items.c.item_id, columns.outcome, columns.day)
        .add_columns(columns.earlier_outcome, columns.earlier_day)
        .join_from(schema.outcomes, schema.items)
        .join(schema.cases)
        .where(schema.cases.c.number == number)
    )
    reported = defaultdict[bytes, dict[MatchOutcome, str]](dict)
    for row in connection.execute(query):
        outcome, day = row.outcome, row.day
        if day >= before:
            outcome, day = row.earlier_outcome, row.earlier_day
        if outcome is not None:
            days = reported[row.item_id]
            days[MatchOutcome(outcome)] = max(day, days.get(MatchOutcome(outcome), ""))
    return dict(reported)


def report(connection: Connection, report: OutcomeReport, *, day: str) -> None:
    """Note an outcome, in place of what its organisation reported of the item before."""
    item, columns = _item(connection, report.item_id), schema.outcomes.c
    of_both = (columns.item == item, columns.organisation == report.organisation)
    before = connection.execute(select(schema.outcomes).where(*of_both)).first()
    values = {
        "outcome": report.outcome,
        "day": day,
        "distance_bits": report.distance_bits,
    }
    if before is None:
        key = {"item": item, "organisation": report.organisation, "is_counted": False}
        connection.execute(insert(schema.outcomes).values(**key, **values))
        return
    if before.day != day:
        values |= {"earlier_outcome": before.outcome, "earlier_day": before.day}
    connection.execute(update(schema.outcomes).where(*of_both).values(**values))


def hand_over(connection: Connection, numbers: Sequence[int], item_id: bytes) -> None:
    """Let an item have what was reported of those that it replaces, of the newest where both do."""
    columns = schema.outcomes.c
    item = select(schema.items.c.number).where(schema.items.c.item_id == item_id).scalar_subquery()
    own = schema.outcomes.alias()
    for number in sorted(numbers, reverse=True):
        taken = select(own.c.organisation).where(own.c.item == item)
        connection.execute(
            update(schema.outcomes)
            .where(columns.item == number, columns.organisation.not_in(taken))
            .values(item=item)
        )


def _item(connection: Connection, item_id: bytes) -> int:
    """Return the number of the living item that an id names."""
    items = schema.items.c
    row = connection.execute(
        select(items.number, items.replaced_by, items.case_id).where(items.item_id == item_id)
    ).first()
    number = None if row is None else row.replaced_by if row.case_id is None else row.number
    if number is None:
        raise NotFoundError(
            "The item of this match is not registered any more: nothing was noted, and nothing is"
            " to be reported of it."
        )
    return int(number)
