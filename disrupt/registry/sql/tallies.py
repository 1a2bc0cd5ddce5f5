"""Tallies: counting and lists. Each function runs in one transaction of its caller."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from disrupt.core.acts import SERVER, Act
from disrupt.core.case_erasures import day_of
from disrupt.core.cases import AgeBand
from disrupt.core.media import MediaKind
from disrupt.core.outcomes import OutcomeReport
from disrupt.core.policy import Right
from disrupt.core.tallies import (
    AGES,
    MONTHLY,
    Count,
    Door,
    Statement,
    Tally,
    UploadBatch,
    days_between,
    month_of,
)
from disrupt.registry.records import REPORTS_KEPT, REPORTS_KEPT_DAYS
from disrupt.registry.sql import schema

_INSERT: Mapping[str, Callable[[Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}
"""INSERT with ON CONFLICT, which both databases spell alike."""

_RUN_DAYS = 30
"""Days for which the last batch of a worker's run is remembered."""


def count(connection: Connection, day: str, tally: Tally, *labels: str, by: int = 1) -> None:
    """Add ``by`` to a tally of a day (ISO, UTC), or of its month."""
    add(connection, [Count(day, tally, labels, by)])


def add(connection: Connection, counts: Iterable[Count]) -> None:
    """Add to tallies of days, or of their months; counts of 0 add nothing."""
    rows = [_row(each) for each in counts if each.count]
    if rows:
        table = schema.tallies
        adding = _INSERT[connection.dialect.name](table)
        more = {"count": table.c.count + adding.excluded.count}
        connection.execute(adding.on_conflict_do_update(index_elements=_KEY, set_=more), rows)


_KEY = (schema.tallies.c.day, schema.tallies.c.tally, schema.tallies.c.labels)


def _row(of: Count) -> dict[str, Any]:
    day = month_of(of.day) if of.tally in MONTHLY else of.day
    labels = json.dumps(of.labels, ensure_ascii=False, separators=(",", ":"))
    return {"day": day, "tally": of.tally.value, "labels": labels, "count": of.count}


def tallies(
    connection: Connection,
    first_day: str,
    last_day: str,
    names: Collection[Tally] = (),
    *,
    limit: int,
    after: Count | None = None,
) -> Sequence[Count]:
    """Return up to ``limit`` (≥ 1) counts of days, by day, name and labels, none for all names.

    ``after`` is the last of the page before. What is counted by month is of its first day.
    """
    columns = schema.tallies.c
    query = select(schema.tallies).where(columns.day.between(first_day, last_day))
    if names:
        query = query.where(columns.tally.in_(names))
    if after is not None:
        row = _row(after)
        query = query.where(tuple_(*_KEY) > tuple_(*(row[column.name] for column in _KEY)))
    return [
        Count(day, Tally(tally), tuple(json.loads(labels)), number)
        for day, tally, labels, number in connection.execute(query.order_by(*_KEY).limit(limit))
    ]


# What people affected do


def registered(
    connection: Connection,
    statement: Statement,
    kinds: Collection[MediaKind],
    day: str,
    *,
    opens: bool,
) -> None:
    """Count a registration that added items of these ``kinds``, and the case that it ``opens``."""
    if opens:
        count(connection, day, Tally.CASES_OPENED)
        count(connection, day, Tally.DOORS, statement.door.name.lower())
        if statement.door == Door.PAGE:
            count(connection, day, Tally.LANGUAGES, statement.language)
    if kinds:
        count(connection, day, Tally.REGISTRATIONS)
        items(connection, Tally.ITEMS_REGISTERED, [(kind, statement.age) for kind in kinds], day)


def items(
    connection: Connection, tally: Tally, of: Iterable[tuple[int, AgeBand]], day: str
) -> None:
    """Count items, given by the numbers of their kinds, and by their ages."""
    counts = Counter((MediaKind(kind).name.lower(), AGES[age]) for kind, age in of)
    add(connection, [Count(day, tally, labels, number) for labels, number in counts.items()])


# What staff do


def reviewed(connection: Connection, act: Act, decided: Iterable[Row[Any]]) -> None:
    """Count an act of staff on items, given by ``state_since_s`` and ``registered_on``."""
    reviews(connection, act, (day_of(row.state_since_s) or row.registered_on for row in decided))


def reviews(connection: Connection, act: Act, since: Iterable[str]) -> None:
    """Count an act of staff on items that were theirs to decide since these days (ISO, UTC)."""
    if act.actor == SERVER:
        return
    day, action = day_of(act.at_s), act.action.name.lower()
    bands = Counter(days_between(first, day) for first in since)
    add(
        connection,
        [Count(day, Tally.REVIEWS, (action, band), number) for band, number in bands.items()],
    )


# What platforms do


def note_report(connection: Connection, report: OutcomeReport, day: str) -> bool:
    """Count an outcome of a match, and return whether it is the first report of it.

    Reported matches are remembered by the nonces of their ids, see ``forget``.
    """
    noting = _INSERT[connection.dialect.name](schema.reports).on_conflict_do_nothing()
    values = {"organisation": report.organisation, "match": report.match, "day": day}
    noting = noting.values(**values, outcome=report.outcome).returning(schema.reports.c.number)
    if connection.scalar(noting) is None:
        return False
    days = days_between(report.matched_on or day, day)
    labels = (report.organisation, report.outcome.name.lower(), days)
    count(connection, day, Tally.OUTCOMES, *labels)
    return True


def note_active(
    connection: Connection, organisations: Mapping[str, Collection[Right]], day: str
) -> None:
    """Note that keys of organisations were used on a day, which have some rights; idempotent."""
    rows = [
        _row(Count(day, Tally.ORGANISATIONS_ACTIVE, (organisation, right.name.lower()), 1))
        for organisation, rights in organisations.items()
        for right in rights
    ]
    if rows:
        noting = _INSERT[connection.dialect.name](schema.tallies)
        connection.execute(noting.on_conflict_do_nothing(), rows)


def count_uploads(connection: Connection, batch: UploadBatch, *, day: str) -> None:
    """Add what a worker has counted; nothing of a batch that was added before."""
    runs, now = schema.worker_runs.c, {"batch": batch.number, "day": day}
    last = connection.scalar(select(runs.batch).where(runs.run == batch.run))
    if last is not None and last >= batch.number:
        return
    noting = _INSERT[connection.dialect.name](schema.worker_runs).values(run=batch.run, **now)
    connection.execute(noting.on_conflict_do_update(index_elements=[runs.run], set_=now))
    add(connection, batch.counts)


# What is kept


def counted_until(connection: Connection) -> str:
    """Return the newest day of a count; empty if there is none."""
    return connection.scalar(select(func.max(schema.tallies.c.day))) or ""


def forget(connection: Connection, *, day: str) -> None:
    """Delete what tells repeated reports and batches: the old, and what is more than kept."""
    reports, runs = schema.reports.c, schema.worker_runs.c
    today = date.fromisoformat(day)
    oldest = (today - timedelta(REPORTS_KEPT_DAYS)).isoformat()
    connection.execute(delete(schema.reports).where(reports.day < oldest))
    for organisation in connection.scalars(select(reports.organisation).distinct()).all():
        own = reports.organisation == organisation
        newest = select(reports.number).where(own).order_by(reports.number.desc())
        last = connection.scalar(newest.offset(REPORTS_KEPT).limit(1))
        if last is not None:
            connection.execute(delete(schema.reports).where(own, reports.number <= last))
    ended = (today - timedelta(_RUN_DAYS)).isoformat()
    connection.execute(delete(schema.worker_runs).where(runs.day < ended))
