"""States of items: changes and lists. Each function runs in one transaction of its caller."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, func, insert, select, update

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.changes import MARK_BYTES
from disrupt.core.media import Assurance, MediaKind
from disrupt.core.outcomes import MatchOutcome
from disrupt.core.policy import state_in
from disrupt.core.review import ALL_STATES, ItemFilter, ReviewedItem
from disrupt.core.states import SHOWN, ItemState
from disrupt.errors import NotFoundError
from disrupt.registry.review import NUMBERS_AT_ONCE, ReviewPage, StatesSet
from disrupt.registry.sql import acts, queries, schema


def set_states(
    connection: Connection,
    item_ids: Collection[bytes],
    state: ItemState,
    act: Act,
    *,
    from_states: Collection[ItemState] = ALL_STATES,
    banks: Collection[int] | None = None,
) -> StatesSet:
    """Set the state of items that are named by their ids, or by older ones."""
    named = _named(connection, item_ids, banks)
    changed = change(connection, [row.number for row in named], state, act, from_states)
    return StatesSet(changed, queries.head(connection))


def move_items(
    connection: Connection,
    item_ids: Collection[bytes],
    bank: int,
    act: Act,
    *,
    from_states: Collection[ItemState] = ALL_STATES,
    banks: Collection[int] | None = None,
) -> StatesSet:
    """Move items to a bank; release those that are quarantined and a minor's there."""
    moved = [
        row
        for row in _named(connection, item_ids, banks)
        if row.bank != bank and row.state in from_states
    ]
    connection.execute(
        update(schema.items)
        .where(schema.items.c.number.in_([row.number for row in moved]))
        .values(bank=bank)
    )
    steps = list[tuple[int, int | None]]()
    for row in moved:
        steps.append((row.number, row.bank))  # also of a hidden one: some have not read that yet
        if ItemState(row.state).matches:
            steps.append((row.number, bank))
        acts.note(connection, act, item=row.number, bank=bank)
    _add_changes(connection, steps)
    ended = [row.number for row in moved if state_in(bank, ItemState(row.state)) != row.state]
    release = Act(SERVER, "", Action.RELEASE, act.at_s, "minor")
    change(connection, ended, ItemState.LIVE, release, {ItemState.QUARANTINED})
    return StatesSet(tuple(row.item_id for row in moved), queries.head(connection))


def confirm_items(
    connection: Connection,
    item_ids: Collection[bytes],
    act: Act,
    *,
    from_states: Collection[ItemState] = ALL_STATES,
    banks: Collection[int] | None = None,
) -> StatesSet:
    """Raise the assurance of items to REVIEWED."""
    confirmed = [
        row
        for row in _named(connection, item_ids, banks)
        if row.assurance != Assurance.REVIEWED and row.state in from_states
    ]
    connection.execute(
        update(schema.items)
        .where(schema.items.c.number.in_([row.number for row in confirmed]))
        .values(assurance=Assurance.REVIEWED)
    )
    for row in confirmed:
        acts.note(connection, act, item=row.number, bank=row.bank)
    shown = [row.number for row in confirmed if ItemState(row.state).matches]
    _add_changes(connection, [(number, None) for number in shown for _ in ("hide", "show")])
    return StatesSet(tuple(row.item_id for row in confirmed), queries.head(connection))


def _named(
    connection: Connection, item_ids: Collection[bytes], banks: Collection[int] | None
) -> Sequence[Row[Any]]:
    """Return the items that ids, or older ones, name. NotFoundError unless each names one."""
    items = schema.items.c
    rows = connection.execute(
        select(items.number, items.replaced_by, items.state).where(items.item_id.in_(item_ids))
    ).all()
    numbers = {row.replaced_by if row.state is None else row.number for row in rows}
    columns = [items.number, items.item_id, items.bank, items.state, items.assurance]
    living = connection.execute(
        select(*columns).where(items.number.in_(numbers)).order_by(items.number)
    ).all()
    is_foreign = banks is not None and not {row.bank for row in living} <= set(banks)
    if len(rows) != len(set(item_ids)) or None in numbers or is_foreign:
        raise NotFoundError(
            "An item of these ids is unknown, or was withdrawn, or is in a bank of other keys. None"
            " was changed."
        )
    return living


def change(
    connection: Connection,
    numbers: Collection[int],
    state: ItemState,
    act: Act,
    from_states: Collection[ItemState],
) -> tuple[bytes, ...]:
    """Set the state of items, by number, with an act for each that changes; return their ids."""
    items = schema.items.c
    changed = connection.execute(
        select(items.number, items.item_id, items.bank, items.state)
        .where(items.number.in_(numbers), items.state.in_(from_states), items.state != state)
        .order_by(items.number)
    ).all()
    connection.execute(
        update(schema.items)
        .where(items.number.in_([row.number for row in changed]))
        .values(
            state=state,
            state_since_s=act.at_s,
            state_before=None,
            before_since_s=None,
            wait_reason=None if state == ItemState.WAITING else items.wait_reason,
        )
    )
    flipped = [row.number for row in changed if ItemState(row.state).matches != state.matches]
    _add_changes(connection, [(number, None) for number in flipped])
    for row in changed:
        acts.note(connection, act, item=row.number, bank=row.bank)
    return tuple(row.item_id for row in changed)


def begin_erasing(connection: Connection, case_id: int, at_s: int) -> None:
    """Make the items of a case ERASING, each with the state it had noted. Notes no act."""
    items = schema.items.c
    rows = connection.execute(
        select(*(items.number, items.state))
        .where(items.case_id == case_id, items.state != ItemState.ERASING)
        .order_by(items.number)
    ).all()
    connection.execute(
        update(schema.items)
        .where(items.case_id == case_id, items.state != ItemState.ERASING)
        .values(
            state=ItemState.ERASING,
            state_since_s=at_s,
            state_before=items.state,
            before_since_s=items.state_since_s,
        )
    )
    _add_changes(connection, [(row.number, None) for row in rows if ItemState(row.state).matches])


def end_erasing(connection: Connection, case_id: int) -> None:
    """Give the items of a case that are ERASING the state back that they had, with its time.

    A quarantine or a wait is no longer for that. Notes no act.
    """
    items = schema.items.c
    rows = connection.execute(
        select(*(items.number, items.state_before))
        .where(items.case_id == case_id, items.state == ItemState.ERASING)
        .order_by(items.number)
    ).all()
    connection.execute(
        update(schema.items)
        .where(items.case_id == case_id, items.state == ItemState.ERASING)
        .values(
            state=func.coalesce(items.state_before, ItemState.LIVE.value),
            state_since_s=items.before_since_s,
            state_before=None,
            before_since_s=None,
        )
    )
    shown = [row.number for row in rows if row.state_before in {None, *SHOWN}]
    _add_changes(connection, [(number, None) for number in shown])


def _add_changes(connection: Connection, steps: Sequence[tuple[int, int | None]]) -> None:
    """Tell readers of the feed that items are matched no more, or again.

    Each step is the number of an item, and the bank whose readers are told, None for its own. The
    last one of an item shows it, if it is matched; those before hide it.
    """
    if not steps:
        return
    mark = secrets.token_bytes(MARK_BYTES)
    add = insert(schema.changes).returning(schema.changes.c.sequence, sort_by_parameter_order=True)
    sequences = connection.scalars(
        add,
        [
            {"item": number, "kind": schema.ChangeKind.STATE, "mark": mark, "bank": bank}
            for number, bank in steps
        ],
    )
    connection.execute(
        update(schema.items)
        .where(schema.items.c.number == bindparam("of"))
        .values(state_sequence=bindparam("at")),
        [{"of": number, "at": at} for (number, _), at in zip(steps, sequences, strict=True)],
    )


def items_for_review(
    connection: Connection, wanted: ItemFilter, limit: int, before: int | None = None
) -> ReviewPage:
    """Return a page of items, newest first."""
    items = schema.items.c
    looked_at = (
        select(
            *(items.number, items.item_id, items.bank, items.kind, items.assurance),
            *(items.state, items.state_since_s, items.registered_on),
        )
        .where(items.state.in_(wanted.states))
        .order_by(items.number.desc())
        .limit(NUMBERS_AT_ONCE)
    )
    if ItemState.LIVE not in wanted.states:
        looked_at = looked_at.where(schema.NOT_PLAINLY_LIVE)
    if before is not None:
        looked_at = looked_at.where(items.number < before)
    if wanted.item_ids:
        looked_at = looked_at.where(items.item_id.in_(wanted.item_ids))
    some = looked_at.subquery()
    query = (
        select(some)
        .where(some.c.bank.in_(wanted.banks), some.c.registered_on >= wanted.first_day)
        .order_by(some.c.number.desc())
        .limit(limit)
    )
    if wanted.last_day:
        query = query.where(some.c.registered_on <= wanted.last_day)
    if wanted.outcome is not None:
        reported = schema.outcomes.c
        query = query.where(
            exists().where(reported.item == some.c.number, reported.outcome == wanted.outcome)
        )
    rows = connection.execute(query).all()
    organisations = _organisations(connection, [row.number for row in rows])
    page = [
        ReviewedItem(
            *(row.number, row.item_id, row.bank, MediaKind(row.kind), Assurance(row.assurance)),
            *(ItemState(row.state), row.state_since_s, row.registered_on),
            organisations.get(row.number, {}),
        )
        for row in rows
    ]
    if len(page) == limit:
        return ReviewPage(page, page[-1].number)
    count, oldest = connection.execute(select(func.count(), func.min(some.c.number))).one()
    return ReviewPage(page, oldest if count == NUMBERS_AT_ONCE else 0)


def _organisations(
    connection: Connection, numbers: Iterable[int]
) -> Mapping[int, Mapping[MatchOutcome, int]]:
    """Count the organisations that reported each outcome, of items by number."""
    reported = schema.outcomes.c
    counts = defaultdict[int, dict[MatchOutcome, int]](dict)
    for item, outcome, count in connection.execute(
        select(reported.item, reported.outcome, func.count())
        .where(reported.item.in_(numbers))
        .group_by(reported.item, reported.outcome)
        .order_by(reported.outcome)
    ):
        counts[item][MatchOutcome(outcome)] = count
    return counts


def count_states(connection: Connection) -> Mapping[ItemState, int]:
    """Count the items of each state but LIVE."""
    state = schema.items.c.state
    query = select(state, func.count()).where(schema.NOT_PLAINLY_LIVE).group_by(state)
    return {ItemState(row[0]): row[1] for row in connection.execute(query)}
