"""Outcomes of matches. Each function runs in one transaction of its caller."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, insert, or_, select, update

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.cases import AgeBand
from disrupt.core.outcomes import MatchOutcome, OutcomeReport, QuarantinePolicy
from disrupt.core.policy import age_of
from disrupt.core.states import ItemState, WaitReason
from disrupt.errors import NotFoundError
from disrupt.registry.outcomes import RELEASED_AT_ONCE
from disrupt.registry.sql import api_keys, schema, states


class _Item(NamedTuple):
    number: int
    bank: int
    state: int


def outcomes(
    connection: Connection, number: str, *, before: str
) -> Mapping[bytes, Mapping[MatchOutcome, str]]:
    """Return what was reported of the items of a case before a day, on which it is asked for."""
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


def report(
    connection: Connection,
    report: OutcomeReport,
    policy: QuarantinePolicy,
    *,
    day: str,
    at_s: int,
) -> None:
    """Note an outcome, and quarantine the item where the policy says so."""
    item, columns = _item(connection, report.item_id), schema.outcomes.c
    of_both = (columns.item == item.number, columns.organisation == report.organisation)
    before = connection.execute(select(schema.outcomes).where(*of_both)).first()
    values = {
        "outcome": report.outcome,
        "day": day,
        "distance_bits": report.distance_bits,
    }
    if before is None:
        key = {"item": item.number, "organisation": report.organisation, "is_counted": False}
        connection.execute(insert(schema.outcomes).values(**key, **values))
    else:
        if before.day != day:
            values |= {"earlier_outcome": before.outcome, "earlier_day": before.day}
        connection.execute(update(schema.outcomes).where(*of_both).values(**values))
    if policy.counts(report.outcome, report.distance_bits):
        _judge(connection, item, policy, day, at_s)


def _judge(
    connection: Connection, item: _Item, policy: QuarantinePolicy, day: str, at_s: int
) -> None:
    """Quarantine an item against which enough reports count, and note which do."""
    columns = schema.outcomes.c
    reports = connection.execute(
        select(columns.organisation, columns.outcome, columns.distance_bits, columns.is_counted)
        .where(columns.item == item.number)
        .where(columns.organisation.in_(api_keys.valid_organisations(day)))
    )
    against = [row for row in reports if policy.counts(row.outcome, row.distance_bits)]
    if item.state == ItemState.LIVE:
        if (
            age_of(item.bank) == AgeBand.MINOR
            or len(against) < policy.organisations
            or all(row.is_counted for row in against)
        ):
            return
        act = Act(SERVER, "", Action.QUARANTINE, at_s, "false_positives")
        states.change(connection, [item.number], ItemState.QUARANTINED, act, {ItemState.LIVE})
    elif item.state != ItemState.QUARANTINED:
        return
    organisations = [row.organisation for row in against]
    connection.execute(
        update(schema.outcomes)
        .where(columns.item == item.number, columns.organisation.in_(organisations))
        .values(is_counted=True)
    )


def release(connection: Connection, *, since_s: int, at_s: int) -> Sequence[bytes]:
    """End the waits for a review, since a time, that nobody has made."""
    items = schema.items.c
    day = datetime.fromtimestamp(since_s, UTC).date().isoformat()
    of_server = (ItemState.QUARANTINED, ItemState.WAITING)
    rows = connection.execute(
        select(items.number, items.item_id, items.wait_reason, items.state)
        .where(schema.NOT_PLAINLY_LIVE, items.state.in_(of_server))
        .where(
            or_(
                items.state != ItemState.WAITING,
                items.wait_reason.is_distinct_from(WaitReason.LIMIT),
            )
        )
        .where(
            or_(
                items.state_since_s <= since_s,
                and_(items.state_since_s.is_(None), items.registered_on < day),
            )
        )
        .order_by(items.number)
        .limit(RELEASED_AT_ONCE)
    ).all()
    held = [row.number for row in rows if row.wait_reason is None or row.state != ItemState.WAITING]
    act = Act(SERVER, "", Action.RELEASE, at_s, "not_reviewed")
    if held:
        states.change(connection, held, ItemState.LIVE, act, of_server)
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


def _item(connection: Connection, item_id: bytes) -> _Item:
    """Return number, bank and state of the living item that an id names."""
    items = schema.items.c
    of_number = select(items.number, items.bank, items.state).where(items.state.is_not(None))
    replaced_by = select(items.replaced_by).where(items.item_id == item_id).scalar_subquery()
    named = or_(items.item_id == item_id, items.number == replaced_by)
    item = connection.execute(of_number.where(named)).first()
    if item is None:
        raise NotFoundError(
            "The item of this match is not registered any more: nothing was noted, and nothing is"
            " to be reported of it."
        )
    return _Item(*item)
