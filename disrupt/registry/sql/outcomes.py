"""Outcomes of matches. Each function runs in one transaction of its caller."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, insert, or_, select, update

from disrupt.audit import entries
from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.outcomes import MatchOutcome, OutcomeReport
from disrupt.core.states import SHOWN, ItemState, WaitReason
from disrupt.core.tallies import Tally
from disrupt.errors import InvalidRequestError, NotFoundError, QuotaExceededError, Violation
from disrupt.registry.records import RELEASED_AT_ONCE, ItemReports, ReportedOutcome
from disrupt.registry.sql import (
    api_keys,
    audit,
    disputes,
    narrowings,
    queries,
    schema,
    states,
    tallies,
)

_LATEST = ("outcome", "day", "match")
"""Columns of the latest outcome; those of an earlier day have ``earlier_`` before them."""


def outcomes(
    connection: Connection, number: str, *, before: str
) -> Mapping[bytes, Mapping[MatchOutcome, str]]:
    """Return what organisations reported of the items of a case, by item id.

    Of each organisation counts the last outcome of the days before ``before``, which is today
    (ISO date, UTC), if it has a key that is valid today. Each outcome comes with the newest day
    on which it was reported. Items of which nothing was, are left out, as are false positives.
    """
    columns = schema.outcomes.c
    query = (
        select(schema.items.c.item_id, columns.outcome, columns.day)
        .add_columns(columns.earlier_outcome, columns.earlier_day)
        .join_from(schema.outcomes, schema.items)
        .join(schema.cases)
        .where(schema.cases.c.number == number)
        .where(columns.organisation.in_(api_keys.valid_organisations(before)))
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


def item_reports(
    connection: Connection, item_id: bytes, banks: Collection[int] | None = None
) -> ItemReports:
    """Return what was reported of an item, which may have taken the place of the one named.

    NotFoundError as for ``set_states``.
    """
    (item,) = states.named(connection, [item_id], banks)
    columns, narrowed = schema.outcomes.c, schema.narrowings.c
    reported = connection.execute(
        select(columns.organisation, columns.outcome, columns.day)
        .where(columns.item == item.number, columns.outcome.is_not(None))
        .order_by(columns.organisation)
    )
    blob = connection.execute(
        select(narrowed.narrowed).where(narrowed.item == item.number)
    ).scalar()
    return ItemReports(
        item.item_id,
        [ReportedOutcome(row[0], MatchOutcome(row[1]), row[2]) for row in reported],
        disputes.of_item(connection, item.number),
        narrowings.below_bits(blob or b""),
    )


def report(connection: Connection, report: OutcomeReport, *, day: str) -> bool:
    """Note the outcome of a match, in place of what its organisation reported of it before.

    Returns whether it is the first report of this outcome of this match, as far as that is
    remembered (``REPORTS_KEPT``): only that is counted.

    A false positive is a dispute of the versions that matched; of one organisation and item
    ``DISPUTED_MATCHES`` matches are kept. Versions that staff have widened for the organisation
    at that distance, or nearer, are so at once, whatever it reported between. Of other outcomes
    the latest of an item counts.
    Idempotent on one day. The id of an item that was replaced names what took its place.
    NotFoundError if there is no such item, or it was withdrawn.
    """
    number = _number(connection, report.item_id)
    is_first = tallies.note_report(connection, report, day)
    if report.outcome == MatchOutcome.FALSE_POSITIVE:
        _take_back(connection, number, report.organisation, report.match, day)
        if disputes.add(connection, number, report, day=day) and is_first:
            tallies.count(connection, day, Tally.DISPUTES, report.organisation)
            of = {"organisation": report.organisation, "item": report.item_id.hex(), "day": day}
            audit.append(connection, {"kind": entries.DISPUTE, **of})
    else:
        disputes.remove(connection, number, report, day=day)
        _note(connection, number, report, day)
    return is_first


def report_mirrored(
    connection: Connection,
    mirrored: OutcomeReport,
    *,
    day: str,
    banks: Collection[int],
    disputes_max: int,
) -> bool:
    """Note an outcome that a mirror passes on, which names the match in its own words.

    No match id shows that the organisation had such a match. So the item has to be matched now, in
    one of ``banks`` (NotFoundError), and near enough for its bank, in versions that it has
    (InvalidRequestError); and of its disputes on a day there may be ``disputes_max``, those by
    match id included (QuotaExceededError).
    """
    items, stored = schema.items.c, schema.fingerprints.c
    number = _number(connection, mirrored.item_id)
    row = connection.execute(
        select(items.number, items.bank, schema.banks.c.max_distance_bits, stored.fingerprints)
        .join_from(schema.items, schema.banks, schema.banks.c.number == items.bank)
        .join(schema.fingerprints, stored.number == items.number)
        .where(items.number == number, items.state.in_(SHOWN), items.bank.in_(banks))
    ).first()
    if row is None:
        raise _no_item()
    has = narrowings.versions_of(queries.unpacked(number, row.fingerprints))
    if not mirrored.versions or any(
        version[:2] not in has or version.distance_bits > row.max_distance_bits
        for version in mirrored.versions
    ):
        raise InvalidRequestError.of(
            Violation("versions", "no match of this item: versions that it has, near enough")
        )
    if mirrored.outcome == MatchOutcome.FALSE_POSITIVE and not disputes.is_disputed(
        connection, number, mirrored.organisation, mirrored.match
    ):
        columns = schema.disputes.c
        of_day = select(columns.item, columns.match).where(
            columns.organisation == mirrored.organisation, columns.day == day
        )
        if _count(connection, of_day.distinct()) >= disputes_max:
            raise QuotaExceededError(
                f"Mirrors pass on {disputes_max} disputes a day for one organisation. Pass this one"
                " on tomorrow (UTC).",
                retry_after_s=3600.0,
                organisation=mirrored.organisation,
                quota="mirror_disputes_per_day",
            )
    return report(connection, mirrored, day=day)


def _count(connection: Connection, rows: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(rows.subquery())).scalar_one()


def _note(connection: Connection, number: int, report: OutcomeReport, day: str) -> None:
    """Note the latest outcome, and keep that of an earlier day."""
    columns = schema.outcomes.c
    of_both = (columns.item == number, columns.organisation == report.organisation)
    before = connection.execute(select(schema.outcomes).where(*of_both)).first()
    values: dict[str, Any] = {"outcome": report.outcome, "day": day, "match": report.match}
    if before is None:
        key = {"item": number, "organisation": report.organisation}
        connection.execute(insert(schema.outcomes).values(**key, **values))
        return
    if before.day != day:
        values |= {f"earlier_{name}": getattr(before, name) for name in _LATEST}
    connection.execute(update(schema.outcomes).where(*of_both).values(**values))


def _take_back(
    connection: Connection, number: int, organisation: str, match: bytes, day: str
) -> None:
    """Take the latest outcome back, if it is of this match; an earlier one is the latest again.

    One of an earlier day is shown until this one is over.
    """
    columns = schema.outcomes.c
    of_both = (columns.item == number, columns.organisation == organisation)
    before = connection.execute(select(schema.outcomes).where(*of_both)).first()
    if before is None or before.match != match or before.outcome is None:
        return
    if before.day != day:
        values: dict[str, Any] = {"outcome": None, "day": day}
        values |= {f"earlier_{name}": getattr(before, name) for name in _LATEST}
        connection.execute(update(schema.outcomes).where(*of_both).values(**values))
    elif before.earlier_day is None:
        connection.execute(delete(schema.outcomes).where(*of_both))
    else:
        values = {name: getattr(before, f"earlier_{name}") for name in _LATEST}
        values |= {f"earlier_{name}": None for name in _LATEST}
        connection.execute(update(schema.outcomes).where(*of_both).values(**values))
        if disputes.is_disputed(connection, number, organisation, before.earlier_match):
            _take_back(connection, number, organisation, before.earlier_match, day)


def release(connection: Connection, *, since_s: int, at_s: int) -> Sequence[bytes]:
    """End waits for a review that nobody has made, and return the ids of these items.

    Up to ``RELEASED_AT_ONCE`` of those that are WAITING, but for their turns, since ``since_s``
    (seconds since 1970, UTC) or before. Of an item that waits since its registration the day
    has to have passed. What was registered to wait takes its turn from then on, so that a flood
    does not go live at once; others are LIVE, with an act of the server each.
    """
    items = schema.items.c
    day = datetime.fromtimestamp(since_s, UTC).date().isoformat()
    rows = connection.execute(
        select(items.number, items.item_id, items.wait_reason)
        .where(schema.NOT_PLAINLY_LIVE, items.state == ItemState.WAITING)
        .where(items.wait_reason.is_distinct_from(WaitReason.LIMIT))
        .where(
            or_(
                items.state_since_s <= since_s,
                and_(items.state_since_s.is_(None), items.registered_on < day),
            )
        )
        .order_by(items.number)
        .limit(RELEASED_AT_ONCE)
    ).all()
    held = [row.number for row in rows if row.wait_reason is None]
    act = Act(SERVER, "", Action.RELEASE, at_s, "not_reviewed")
    if held:
        states.change(connection, held, ItemState.LIVE, act, {ItemState.WAITING})
    queued = [row.number for row in rows if row.number not in set(held)]
    if queued:
        connection.execute(
            update(schema.items)
            .where(items.number.in_(queued))
            .values(wait_reason=WaitReason.LIMIT)
        )
    return tuple(row.item_id for row in rows)


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


def _number(connection: Connection, item_id: bytes) -> int:
    """Return the number of the living item that an id names."""
    items = schema.items.c
    replaced_by = select(items.replaced_by).where(items.item_id == item_id).scalar_subquery()
    named = or_(items.item_id == item_id, items.number == replaced_by)
    number: int | None = connection.execute(
        select(items.number).where(items.state.is_not(None), named)
    ).scalar()
    if number is None:
        raise _no_item()
    return number


def _no_item() -> NotFoundError:
    return NotFoundError(
        "The item of this match is not registered any more: nothing was noted, and nothing is to be"
        " reported of it."
    )
