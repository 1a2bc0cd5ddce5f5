"""Reads for staff: each function runs in one transaction of its caller."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select
from sqlalchemy import case as when

from disrupt.core.cases import CaseStatus
from disrupt.core.media import REJECTIONS, Assurance, ItemState, MediaKind
from disrupt.core.outcomes import Outcome
from disrupt.core.review import CaseFilter, Days, ItemFilter, ReviewedCase, ReviewedItem
from disrupt.errors import NotFoundError
from disrupt.registry import schema
from disrupt.registry.contract import ROWS_AT_ONCE
from disrupt.registry.queries import CHANGED_ON, STATE, reason

_REGISTERED_ON: ColumnElement[str] = func.coalesce(
    schema.items.c.registered_on, schema.cases.c.opened_on
)


def items(
    connection: Connection, wanted: ItemFilter, before: int | None, limit: int
) -> tuple[Sequence[ReviewedItem], int]:
    """Return a page of items, newest first, and the number before which to go on, 0 at the end."""
    numbers = schema.items.c.number
    first, end = _window(connection, numbers, before)
    query = _items().where(numbers >= first, numbers < end)
    for condition in _conditions(connection, wanted):
        query = query.where(condition)
    rows = connection.execute(query.order_by(numbers.desc()).limit(limit)).all()
    return _reviewed(connection, rows), _next(rows, limit, first)


def reviewed(connection: Connection, item_ids: Collection[bytes]) -> Sequence[ReviewedItem]:
    """Return those of these items that are not withdrawn, by number."""
    columns = schema.items.c
    rows = connection.execute(
        _items().where(columns.item_id.in_(item_ids)).order_by(columns.number)
    ).all()
    return _reviewed(connection, rows)


def cases(
    connection: Connection, wanted: CaseFilter, before: int | None, limit: int
) -> tuple[Sequence[ReviewedCase], int]:
    """Return a page of cases, newest first, and the number before which to go on, 0 at the end."""
    columns = schema.cases.c
    first, end = _window(connection, columns.id, before)
    query: Select[Any] = select(
        columns.id, columns.status, columns.opened_on, columns.closed_on
    ).where(columns.id >= first, columns.id < end)
    if wanted.statuses:
        query = query.where(columns.status.in_(wanted.statuses))
    for condition in _within(columns.opened_on, wanted.opened):
        query = query.where(condition)
    own = schema.items.c.case_id == columns.id
    seen = select(schema.items.c.number).where(own, schema.items.c.bank.in_(wanted.banks)).exists()
    empty = ~select(schema.items.c.number).where(own).exists()
    rows = connection.execute(
        query.where(seen | empty).order_by(columns.id.desc()).limit(limit)
    ).all()
    return _with_items(connection, rows, wanted.banks), _next(rows, limit, first)


def _window(
    connection: Connection, numbers: ColumnElement[int], before: int | None
) -> tuple[int, int]:
    """Return the first number of those that one read looks at, and the end of them."""
    if before is None:
        newest: int = connection.execute(select(func.coalesce(func.max(numbers), 0))).scalar_one()
        before = newest + 1
    return max(1, before - ROWS_AT_ONCE), before


def _next(rows: Sequence[Row[Any]], limit: int, first: int) -> int:
    before: int = rows[-1][0] if len(rows) == limit else first
    return before if before > 1 else 0


def _items() -> Select[Any]:
    columns = schema.items.c
    return (
        select(columns.number, columns.case_id, columns.item_id, columns.bank, columns.kind)
        .add_columns(columns.assurance, STATE.label("state"), CHANGED_ON.label("changed_on"))
        .add_columns(schema.states.c.reason, _REGISTERED_ON.label("registered_on"))
        .join_from(schema.items, schema.cases)
        .outerjoin(schema.states, schema.states.c.item == columns.number)
    )


def _conditions(connection: Connection, wanted: ItemFilter) -> list[ColumnElement[bool]]:
    columns, outcomes = schema.items.c, schema.outcomes.c
    conditions: list[ColumnElement[bool]] = [columns.bank.in_(wanted.banks)]
    if wanted.states:
        conditions.append(STATE.in_(wanted.states))
    if wanted.assurances:
        conditions.append(columns.assurance.in_(wanted.assurances))
    if wanted.case_of is not None:
        items = reviewed(connection, [wanted.case_of])
        if not items:
            raise NotFoundError(f"There is no item {wanted.case_of.hex()}, or it was withdrawn.")
        conditions.append(columns.case_id == items[0].case)
    if wanted.outcome is not None:
        reported = select(outcomes.item).where(outcomes.outcome == wanted.outcome)
        conditions.append(reported.where(outcomes.item == columns.number).exists())
    if wanted.least_reports:
        reports = select(func.count()).where(outcomes.item == columns.number)
        conditions.append(reports.scalar_subquery() >= wanted.least_reports)
    conditions += _within(CHANGED_ON, wanted.changed)
    # Last, since this column lies behind the fingerprints.
    return conditions + _within(_REGISTERED_ON, wanted.registered)


def _within(day: ColumnElement[str], days: Days) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [day >= days.first] if days.first else []
    if days.last:
        conditions += [day <= days.last, day != ""]
    return conditions


def _reviewed(connection: Connection, rows: Sequence[Row[Any]]) -> list[ReviewedItem]:
    reports = _reports(connection, [row.number for row in rows])
    return [
        ReviewedItem(
            row.number,
            row.case_id,
            row.item_id,
            row.bank,
            MediaKind(row.kind),
            ItemState(row.state),
            reason(row),
            row.changed_on,
            row.registered_on,
            Assurance(row.assurance),
            {outcome: organisations for outcome, (organisations, _) in reports[row.number].items()},
            sum(matches for _, matches in reports[row.number].values()),
        )
        for row in rows
    ]


def _reports(
    connection: Connection, numbers: Collection[int]
) -> dict[int, dict[Outcome, tuple[int, int]]]:
    """Return by item and outcome how many organisations have reported it, and of how many matches.

    An organisation counts for each outcome of which it has reported a match.
    """
    outcomes = schema.outcomes.c
    organisations, matches = func.count(outcomes.reporter.distinct()), func.count()
    rows = connection.execute(
        select(outcomes.item, outcomes.outcome, organisations, matches)
        .where(outcomes.item.in_(numbers))
        .group_by(outcomes.item, outcomes.outcome)
        .order_by(outcomes.outcome)
    )
    by_item = defaultdict[int, dict[Outcome, tuple[int, int]]](dict)
    for number, outcome, reporters, reported in rows:
        by_item[number][Outcome(outcome)] = (reporters, reported)
    return by_item


def _with_items(
    connection: Connection, rows: Sequence[Row[Any]], banks: Collection[int]
) -> list[ReviewedCase]:
    columns = schema.items.c
    rejected = when((schema.states.c.reason.in_(REJECTIONS), 1), else_=0)
    grouped = connection.execute(
        select(columns.case_id, STATE.label("state"), func.count().label("items"))
        .add_columns(func.sum(rejected).label("rejected"), func.min(columns.number).label("oldest"))
        .join_from(schema.items, schema.states, isouter=True)
        .where(columns.case_id.in_([row.id for row in rows]), columns.bank.in_(banks))
        .group_by(columns.case_id, STATE)
        .order_by(STATE)
    ).all()
    by_case = defaultdict[int, list[Row[Any]]](list)
    for group in grouped:
        by_case[group.case_id].append(group)
    oldest = {case: min(group.oldest for group in groups) for case, groups in by_case.items()}
    ids = connection.execute(
        select(columns.number, columns.item_id).where(columns.number.in_(oldest.values()))
    )
    item_ids = {row.number: row.item_id for row in ids}
    return [
        ReviewedCase(
            row.id,
            CaseStatus(row.status),
            row.opened_on,
            row.closed_on,
            {ItemState(group.state): group.items for group in by_case[row.id]},
            sum(group.rejected for group in by_case[row.id] if group.state == ItemState.DISABLED),
            item_ids[oldest[row.id]] if row.id in oldest else b"",
        )
        for row in rows
    ]
