"""States of items: changes and lists. Each function runs in one transaction of its caller."""

import secrets
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, bindparam, func, insert, select, update

from disrupt.core.acts import Act
from disrupt.core.changes import MARK_BYTES
from disrupt.core.media import Assurance, MediaKind
from disrupt.core.states import ItemState
from disrupt.errors import NotFoundError
from disrupt.registry.review import (
    ALL_STATES,
    NUMBERS_AT_ONCE,
    ItemFilter,
    ReviewedItem,
    ReviewPage,
    StatesSet,
)
from disrupt.registry.sqlite import acts, queries, schema


def set_states(
    connection: Connection,
    item_ids: Collection[bytes],
    state: ItemState,
    act: Act,
    *,
    from_states: Collection[ItemState] = ALL_STATES,
) -> StatesSet:
    """Set the state of items that are named by their ids, or by older ones."""
    items = schema.items.c
    rows = connection.execute(
        select(items.number, items.replaced_by, items.state).where(items.item_id.in_(item_ids))
    ).all()
    named = {row.replaced_by if row.state is None else row.number for row in rows}
    if len(rows) != len(set(item_ids)) or None in named:
        raise NotFoundError("An item of these ids is unknown, or was withdrawn. None was changed.")
    changed = change(connection, named, state, act, from_states)
    return StatesSet(changed, queries.head(connection))


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
        .values(state=state, state_since_s=act.at_s)
    )
    flipped = [row.number for row in changed if ItemState(row.state).matches != state.matches]
    _hide_or_show(connection, flipped)
    for row in changed:
        acts.note(connection, act, item=row.number, bank=row.bank)
    return tuple(row.item_id for row in changed)


def _hide_or_show(connection: Connection, numbers: Sequence[int]) -> None:
    """Tell readers of the feed that items are matched no more, or again."""
    if not numbers:
        return
    mark = secrets.token_bytes(MARK_BYTES)
    add = insert(schema.changes).returning(schema.changes.c.sequence, sort_by_parameter_order=True)
    sequences = connection.scalars(
        add,
        [{"item": number, "kind": schema.ChangeKind.STATE, "mark": mark} for number in numbers],
    )
    connection.execute(
        update(schema.items)
        .where(schema.items.c.number == bindparam("of"))
        .values(state_sequence=bindparam("at")),
        [{"of": number, "at": at} for number, at in zip(numbers, sequences, strict=True)],
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
    page = [
        ReviewedItem(
            *(row.number, row.item_id, row.bank, MediaKind(row.kind), Assurance(row.assurance)),
            *(ItemState(row.state), row.state_since_s, row.registered_on),
        )
        for row in connection.execute(query)
    ]
    if len(page) == limit:
        return ReviewPage(page, page[-1].number)
    count, oldest = connection.execute(select(func.count(), func.min(some.c.number))).one()
    return ReviewPage(page, oldest if count == NUMBERS_AT_ONCE else 0)


def count_states(connection: Connection) -> Mapping[ItemState, int]:
    """Count the items of each state but LIVE."""
    state = schema.items.c.state
    query = select(state, func.count()).where(schema.NOT_PLAINLY_LIVE).group_by(state)
    return {ItemState(row[0]): row[1] for row in connection.execute(query)}
