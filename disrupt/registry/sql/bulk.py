"""Acts on all items that conditions name. Each function runs in one transaction of its caller."""

import secrets
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import Connection, Select, and_, delete, func, insert, literal, or_, select, update

from disrupt.core.acts import Act, Action
from disrupt.core.case_erasures import day_of
from disrupt.core.changes import MARK_BYTES
from disrupt.core.review import BY_STAFF, UNDO_WITHIN_S, Done, ItemCounts, ItemFilter
from disrupt.core.states import SHOWN, ItemState
from disrupt.errors import NotFoundError, UndoTooLateError
from disrupt.registry.records import ITEMS_OF_ACT_MAX
from disrupt.registry.sql import acts, queries, schema, states, tags, tallies

_AT_ONCE = 5_000
"""Numbers in one statement, which has a bounded number of variables."""

_HIDING = frozenset({Action.DISABLE, Action.REJECT})


def count_items(connection: Connection, wanted: ItemFilter) -> ItemCounts:
    """Count what conditions name. May look at every item."""
    items = schema.items.c
    named = states.conditions(wanted)
    by = (items.bank, items.registered_on, items.state)
    counts = connection.execute(
        select(*by, func.count().label("items"), func.sum(items.hashes).label("hashes"))
        .where(*named)
        .group_by(*by)
    ).all()
    cases = connection.execute(select(func.count(items.case_id.distinct())).where(*named))
    banks, days, of_states = Counter[int](), Counter[str](), Counter[ItemState]()
    for row in counts:
        banks[row.bank] += row.items
        days[row.registered_on] += row.items
        of_states[ItemState(row.state)] += row.items
    hashes = sum(int(row.hashes) for row in counts)
    return ItemCounts(banks.total(), cases.scalar_one(), hashes, banks, days, of_states)


def named(connection: Connection, wanted: ItemFilter) -> Sequence[int]:
    """Return the numbers of the items that conditions name, up to one more than an act may have."""
    query = select(schema.items.c.number).where(*states.conditions(wanted))
    return connection.scalars(query.limit(ITEMS_OF_ACT_MAX + 1)).all()


def set_all(
    connection: Connection, numbers: Sequence[int], wanted: ItemFilter, state: ItemState, act: Act
) -> Done:
    """Set the state of items, of which those that were withdrawn meanwhile are left out."""
    items, cases, undoable = schema.items.c, schema.cases.c, schema.undoable.c
    columns = [items.number, items.item_id, items.bank, items.state_since_s, items.registered_on]
    changed = [
        row
        for some in _batches(numbers)
        for row in connection.execute(
            select(*columns).where(items.number.in_(some), items.state != state)
        )
    ]
    if not changed:
        return Done(0, 0, queries.head(connection))
    tallies.reviewed(connection, act, changed)
    banks = {row.bank for row in changed}
    number = acts.note(
        *(connection, act),
        case_id=connection.scalar(select(cases.id).where(cases.tag == wanted.case_tag)),
        bank=banks.pop() if len(banks) == 1 else None,
        key_id=wanted.key_id or None,
        items=len(changed),
        decided={state: [row.item_id for row in changed]},
    )
    before = (literal(number), items.number, items.state, items.state_since_s)
    for some in _batches([row.number for row in changed]):
        rows = select(*before).where(items.number.in_(some))
        connection.execute(insert(schema.undoable).from_select(undoable.keys(), rows))
    of_act = select(undoable.item).where(undoable.act == number)
    flipped = of_act.where(undoable.state.in_(SHOWN) != literal(state.matches))
    _tell(connection, flipped, act)
    connection.execute(
        update(schema.items)
        .where(items.number.in_(of_act))
        .values(state=state, state_since_s=act.at_s)
    )
    return Done(number, len(changed), queries.head(connection))


def undo(connection: Connection, number: int, act: Act, *, banks: Collection[int]) -> Done:
    """Give items in ``banks`` the states back that an act on many took, and note that.

    Left as they are: items that were withdrawn or renewed since, that staff have decided on by
    ``set_states``, or that have another state now. Those are not given back later either, so
    that a second call changes nothing. NotFoundError if there is no such act on many, or it was
    on another bank; UndoTooLateError ``UNDO_WITHIN_S`` after it.
    """
    done, items, undoable = schema.acts.c, schema.items.c, schema.undoable.c
    of_staff = {action: state for state, action in BY_STAFF.items()}
    row = connection.execute(
        select(schema.acts).where(
            done.number == number,
            done["items"].is_not(None),
            done.action.in_(of_staff),
            or_(done.bank.is_(None), done.bank.in_(banks)),
        )
    ).first()
    if row is None:
        raise NotFoundError(
            f"Nothing can be undone by the number {number}: name an act on many items, as the log"
            " has it."
        )
    if act.at_s >= row.at_s + UNDO_WITHIN_S:
        raise UndoTooLateError("Acts can be undone for 7 days: set the states of its items anew.")
    gave = of_staff[Action(row.action)]
    of_act = (undoable.act == number, undoable.item == items.number, items.bank.in_(banks))
    back = (*of_act, items.state == gave, items.state_since_s == row.at_s)
    flipped = select(items.number).where(*back, undoable.state.in_(SHOWN) != literal(gave.matches))
    _tell(connection, flipped, act)
    returned = defaultdict[ItemState, list[bytes]](list)
    for item in connection.execute(select(items.item_id, undoable.state).where(*back)):
        returned[ItemState(item.state)].append(item.item_id)
    count = connection.execute(
        update(schema.items)
        .where(*back)
        .values(state=undoable.state, state_since_s=undoable.state_since_s)
    ).rowcount
    of_banks = select(items.number).where(items.bank.in_(banks))
    connection.execute(
        delete(schema.undoable).where(undoable.act == number, undoable.item.in_(of_banks))
    )
    if not count:
        return Done(0, 0, queries.head(connection))
    tallies.reviews(connection, act, [day_of(row.at_s)] * count)
    same = {"case_id": row.case_id, "bank": row.bank, "key_id": row.key_id}
    noted = acts.note(connection, act, **same, items=count, undone=number, decided=returned)
    return Done(noted, count, queries.head(connection))


def _tell(connection: Connection, flipped: Select[tuple[int]], act: Act) -> None:
    """Tell readers of the feed of items, given by number, that are about to be hidden or shown.

    As ``states._add_changes`` does, but in two statements, however many there are.
    """
    changes, items = schema.changes.c, schema.items.c
    head, mark = queries.head(connection).sequence, secrets.token_bytes(MARK_BYTES)
    rows = flipped.add_columns(literal(schema.ChangeKind.STATE.value), literal(mark))
    connection.execute(
        insert(schema.changes).from_select(
            ("item", "kind", "mark"), rows.order_by(*flipped.selected_columns)
        )
    )
    connection.execute(
        update(schema.items)
        .where(items.number == changes.item, changes.sequence > head)
        .values(state_sequence=changes.sequence, new_on=day_of(act.at_s))
    )


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[at : at + _AT_ONCE] for at in range(0, len(numbers), _AT_ONCE))


def count_hidden(connection: Connection, *, since_s: int) -> int:
    """Count the items that staff hid since a time (seconds since 1970), and that still are.

    And those that they moved: to platforms whose keys do not name the other bank, these are
    hidden, too.
    What an act on many hid more than ``UNDO_WITHIN_S`` ago is left out.
    """
    done, items, undoable = schema.acts.c, schema.items.c, schema.undoable.c
    hiding = (done.at_s >= since_s, done.action.in_(_HIDING))
    one_by_one = select(done.item).where(*hiding, done.item.is_not(None))
    at_once = select(undoable.item).join(schema.acts).where(*hiding)
    moved = select(done.item).where(done.at_s >= since_s, done.action == Action.MOVE)
    query = select(func.count()).where(
        or_(
            and_(items.number.in_(one_by_one.union(at_once)), items.state.not_in(SHOWN)),
            and_(items.number.in_(moved), items.state.is_not(None)),
        )
    )
    return connection.execute(query).scalar_one()


def forget(connection: Connection, *, day: str, at_s: int) -> bool:
    """Erase what is kept for some days: tags, what acts would need to be undone, reported matches.

    ``TAGGED_DAYS`` before a day (ISO date, UTC), ``UNDO_WITHIN_S`` before a time, and see
    ``tallies.forget``. Tells whether more is left: then call again.
    """
    tallies.forget(connection, day=day)
    done = schema.acts.c
    old = select(done.number).where(done["items"].is_not(None), done.at_s <= at_s - UNDO_WITHIN_S)
    connection.execute(delete(schema.undoable).where(schema.undoable.c.act.in_(old)))
    return tags.forget(connection, day=day)
