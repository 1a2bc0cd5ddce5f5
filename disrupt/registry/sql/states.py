"""States of items: changes and lists. Each function runs in one transaction of its caller."""

import secrets
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    TextClause,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    not_,
    select,
    update,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from disrupt.core.acts import Act
from disrupt.core.case_erasures import day_of
from disrupt.core.changes import MARK_BYTES
from disrupt.core.media import Assurance, MediaKind
from disrupt.core.outcomes import DisputeSummary, MatchOutcome
from disrupt.core.policy import COMMON
from disrupt.core.review import ALL_STATES, ItemFilter, ReviewedItem
from disrupt.core.states import SHOWN, ItemState, WaitReason
from disrupt.errors import NotFoundError
from disrupt.registry.records import NUMBERS_AT_ONCE, ReviewPage, StatesSet
from disrupt.registry.sql import acts, narrowings, queries, schema, tallies

_URGENT = 1 << 62
"""Added to the places of pages with items that staff have to decide about: over all numbers."""


def set_states(
    connection: Connection,
    item_ids: Collection[bytes],
    state: ItemState,
    act: Act,
    *,
    banks: Collection[int] | None = None,
) -> StatesSet:
    """Set the state of items, of whatever cases, and note one act for each item changed.

    Idempotent: an item that has the state is not changed. The id of an item that was replaced
    names what took its place.
    NotFoundError if any id is of no item, of a withdrawn one, or of one in another bank than
    ``banks`` (None: any); then nothing is changed.
    Readers of the feed see an item go or come only where it is matched now and was not before,
    or the other way round. A state is in the database alone: a restored backup has those of its
    time.
    """
    numbers = [row.number for row in named(connection, item_ids, banks)]
    # what staff decide by item, an act on many does not undo
    undoable = schema.undoable.c.item
    connection.execute(delete(schema.undoable).where(undoable.in_(numbers)))
    changed = change(connection, numbers, state, act, ALL_STATES)
    return StatesSet(changed, queries.head(connection))


def move_items(
    connection: Connection,
    item_ids: Collection[bytes],
    bank: int,
    act: Act,
    *,
    banks: Collection[int] | None = None,
) -> StatesSet:
    """Move items to a bank."""
    moved = [row for row in named(connection, item_ids, banks) if row.bank != bank]
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
    tallies.reviewed(connection, act, moved)
    _add_changes(connection, steps, day_of(act.at_s))
    return StatesSet(tuple(row.item_id for row in moved), queries.head(connection))


def confirm_items(
    connection: Connection,
    item_ids: Collection[bytes],
    act: Act,
    *,
    banks: Collection[int] | None = None,
) -> StatesSet:
    """Raise the assurance of items to REVIEWED, and note one act for each item changed.

    Idempotent; errors as for ``set_states``. In the feed an item that is matched goes, and
    comes with its new assurance.
    """
    confirmed = [
        row for row in named(connection, item_ids, banks) if row.assurance != Assurance.REVIEWED
    ]
    connection.execute(
        update(schema.items)
        .where(schema.items.c.number.in_([row.number for row in confirmed]))
        .values(assurance=Assurance.REVIEWED)
    )
    for row in confirmed:
        acts.note(connection, act, item=row.number, bank=row.bank)
    tallies.reviewed(connection, act, confirmed)
    shown = [row.number for row in confirmed if ItemState(row.state).matches]
    show_again(connection, shown, day_of(act.at_s))
    return StatesSet(tuple(row.item_id for row in confirmed), queries.head(connection))


def named(
    connection: Connection, item_ids: Collection[bytes], banks: Collection[int] | None
) -> Sequence[Row[Any]]:
    """Return the items that ids, or older ones, name. NotFoundError unless each names one."""
    items = schema.items.c
    rows = connection.execute(
        select(items.number, items.replaced_by, items.state).where(items.item_id.in_(item_ids))
    ).all()
    numbers = {row.replaced_by if row.state is None else row.number for row in rows}
    columns = [items.number, items.item_id, items.bank, items.state, items.assurance]
    since = [items.state_since_s, items.registered_on]
    living = connection.execute(
        select(*columns, *since).where(items.number.in_(numbers)).order_by(items.number)
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
        .add_columns(items.state_since_s, items.registered_on)
        .where(items.number.in_(numbers), items.state.in_(from_states), items.state != state)
        .order_by(items.number)
    ).all()
    connection.execute(
        update(schema.items)
        .where(items.number.in_([row.number for row in changed]))
        .values(
            state=state,
            state_since_s=act.at_s,
            wait_reason=None if state == ItemState.WAITING else items.wait_reason,
        )
    )
    flipped = [row.number for row in changed if ItemState(row.state).matches != state.matches]
    _add_changes(connection, [(number, None) for number in flipped], day_of(act.at_s))
    for row in changed:
        decided = {state: [row.item_id]}
        acts.note(connection, act, item=row.number, bank=row.bank, decided=decided)
    tallies.reviewed(connection, act, changed)
    return tuple(row.item_id for row in changed)


def show_again(connection: Connection, numbers: Sequence[int], day: str) -> None:
    """Tell readers of the feed that items which are matched have changed: they go, and come."""
    steps = [(number, None) for number in numbers for _ in ("hide", "show")]
    _add_changes(connection, steps, day)


def _add_changes(connection: Connection, steps: Sequence[tuple[int, int | None]], day: str) -> None:
    """Tell readers of the feed that items are matched no more, or again, from a day on.

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
        .values(state_sequence=bindparam("at"), new_on=day),
        [{"of": number, "at": at} for (number, _), at in zip(steps, sequences, strict=True)],
    )


def items_for_review(
    connection: Connection, wanted: ItemFilter, limit: int, before: int | None = None
) -> ReviewPage:
    """Return up to ``limit`` (≥ 1) items from where a page before ends; None: from the first.

    First those that are matched and that staff have to decide about, then the others; of both
    the newest first. Looks at ``NUMBERS_AT_ONCE`` items in one of the states, so that a
    page may be empty though more follow.
    """
    if before is not None and before <= _URGENT:
        return _page(connection, wanted, limit, before)
    newest = before and before - _URGENT
    page = _page(connection, wanted, limit, newest, are_urgent=True)
    if page.before:
        return page._replace(before=page.before + _URGENT)
    if wanted.needs_staff:
        return page
    others = _page(connection, wanted, limit - len(page.items), _URGENT)
    return others._replace(items=[*page.items, *others.items])


def _page(
    connection: Connection,
    wanted: ItemFilter,
    limit: int,
    before: int | None,
    *,
    are_urgent: bool = False,
) -> ReviewPage:
    """Return a page of the items that staff have to decide about, or of the others."""
    items, narrowed, cases = schema.items.c, schema.narrowings.c, schema.cases.c
    is_urgent = _is_urgent()
    looked_at = (
        select(
            *(items.number, items.item_id, items.bank, items.kind, items.assurance),
            *(items.state, items.state_since_s, items.registered_on, items.hashes, items.case_id),
            *(items.key_id, items.origin_tag, items.wait_reason, *narrowed),
        )
        .join_from(schema.items, schema.narrowings, isouter=True)
        .where(*_found_by(wanted), is_urgent if are_urgent else not_(is_urgent))
        .order_by(items.number.desc())
        .limit(NUMBERS_AT_ONCE)
    )
    if before is not None:
        looked_at = looked_at.where(items.number < before)
    some = looked_at.subquery()
    query = (
        select(some, cases.tag)
        .join_from(some, schema.cases, cases.id == some.c.case_id)
        .where(*_kept_by(wanted, some.c))
        .order_by(some.c.number.desc())
        .limit(limit)
    )
    rows = connection.execute(query).all()
    organisations = _organisations(connection, [row.number for row in rows])
    page = [
        ReviewedItem(
            *(row.number, row.item_id, row.bank, MediaKind(row.kind), Assurance(row.assurance)),
            *(ItemState(row.state), row.state_since_s, row.registered_on),
            organisations=organisations.get(row.number, {}),
            hashes=row.hashes,
            key_id=row.key_id or "",
            case_tag=row.tag or b"",
            origin_tag=row.origin_tag or b"",
            wait_reason=_wait_reason(row),
            disputes=_disputes_of(row),
        )
        for row in rows
    ]
    if len(page) == limit:
        return ReviewPage(page, page[-1].number)
    count, oldest = connection.execute(select(func.count(), func.min(some.c.number))).one()
    return ReviewPage(page, oldest if count == NUMBERS_AT_ONCE else 0)


def _disputes_of(row: Row[Any]) -> DisputeSummary | None:
    """Return what staff see of an item's disputes; about one that is hidden they have decided."""
    if row.item is None:
        return None
    summary = narrowings.summary_of(row)
    return summary if ItemState(row.state).matches else replace(summary, needs_staff=frozenset())


def conditions(wanted: ItemFilter) -> list[ColumnElement[bool] | TextClause]:
    """Return all conditions of a filter, on the table of items."""
    return [*_found_by(wanted), *_kept_by(wanted, schema.items.c)]


def _found_by(wanted: ItemFilter) -> Iterator[ColumnElement[bool] | TextClause]:
    """Yield the conditions by which a database finds items without reading others."""
    items, cases = schema.items.c, schema.cases.c
    yield items.state.in_(wanted.states)
    if ItemState.LIVE not in wanted.states:
        yield schema.NOT_PLAINLY_LIVE
    if wanted.banks == {COMMON.number}:
        yield schema.IS_COMMON
    if wanted.item_ids:
        yield items.item_id.in_(wanted.item_ids)
    if wanted.case_tag:
        of_tag = select(cases.id).where(cases.tag == wanted.case_tag)
        yield items.case_id == of_tag.scalar_subquery()
    if wanted.origin_tag:
        yield items.origin_tag == wanted.origin_tag
    if wanted.disputed:
        narrowed = schema.narrowings.c
        yield items.number.in_(select(narrowed.item).where(not_(narrowed.is_settled)))
    if wanted.needs_staff:
        yield _is_urgent()


def _is_urgent() -> ColumnElement[bool]:
    """Tell of an item whether staff have to decide about it."""
    items, narrowed = schema.items.c, schema.narrowings.c
    needs_staff = select(narrowed.item).where(narrowed.needs_staff != 0)
    return and_(items.state.in_(SHOWN), items.number.in_(needs_staff))


def _kept_by(
    wanted: ItemFilter, some: ReadOnlyColumnCollection[str, Any]
) -> Iterator[ColumnElement[bool]]:
    """Yield the other conditions, on the columns of items or of some of them."""
    yield some.bank.in_(wanted.banks)
    yield some.registered_on >= wanted.first_day
    if wanted.last_day:
        yield some.registered_on <= wanted.last_day
    if wanted.key_id:
        yield some.key_id == wanted.key_id
    if wanted.least_hashes:
        yield some.hashes >= wanted.least_hashes
    if wanted.wait_reason is not None:
        yield some.state == ItemState.WAITING
        yield some.wait_reason == wanted.wait_reason
    if wanted.outcome is not None:
        reported = schema.outcomes.c
        yield exists().where(reported.item == some.number, reported.outcome == wanted.outcome)


def _wait_reason(row: Row[Any]) -> WaitReason | None:
    """Return why an item waits; None if it does not, or if staff have made it wait."""
    waits = row.state == ItemState.WAITING and row.wait_reason is not None
    return WaitReason(row.wait_reason) if waits else None


def _organisations(
    connection: Connection, numbers: Iterable[int]
) -> Mapping[int, Mapping[MatchOutcome, int]]:
    """Count the organisations that reported each outcome, of items by number."""
    reported = schema.outcomes.c
    counts = defaultdict[int, dict[MatchOutcome, int]](dict)
    for item, outcome, count in connection.execute(
        select(reported.item, reported.outcome, func.count())
        .where(reported.item.in_(numbers), reported.outcome.is_not(None))
        .group_by(reported.item, reported.outcome)
        .order_by(reported.outcome)
    ):
        counts[item][MatchOutcome(outcome)] = count
    return counts


def count_states(connection: Connection) -> Mapping[ItemState, int]:
    """Count the items of each state but LIVE; states without an item are left out."""
    state = schema.items.c.state
    query = select(state, func.count()).where(schema.NOT_PLAINLY_LIVE).group_by(state)
    return {ItemState(row[0]): row[1] for row in connection.execute(query)}
