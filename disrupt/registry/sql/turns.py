"""Turns at going live. Each function runs in one transaction of its caller."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, select
from sqlalchemy import case as when

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.states import ItemState, WaitReason
from disrupt.registry.records import Turn, TurnQueue
from disrupt.registry.sql import origins, schema, states

_items = schema.items.c
_WAITS = and_(
    schema.NOT_PLAINLY_LIVE,
    _items.state == ItemState.WAITING,
    _items.wait_reason == WaitReason.LIMIT,
)
_NO_KEY: ColumnElement[str] = literal_column("''")
_KEY = when((_items.origin_tag.is_(None), func.coalesce(_items.key_id, _NO_KEY)), else_=_NO_KEY)


def turn_queues(connection: Connection) -> Sequence[TurnQueue]:
    """Return the queues that have items."""
    key_id = _KEY.label("key")
    rows = connection.execute(
        select(_items.origin_tag, key_id, func.max(_items.registered_on), func.count())
        .where(_WAITS)
        .group_by(_items.origin_tag, key_id)
    )
    return [TurnQueue(*row) for row in rows]


def next_turns(connection: Connection, queue: TurnQueue, limit: int) -> Sequence[Turn]:
    """Return the items of a queue whose turns are next, up to ``limit`` (≥ 1).

    Those whose device has paid come first. Of these, and of the others, cases take turns: an
    item goes before another if fewer of its case went live by turns, or were registered before
    it, and else if it is older.
    """
    waiting = select(_items.case_id).where(_WAITS, _of(queue)).distinct()
    gone = (
        select(_items.case_id, func.count().label("count"))
        .where(_items.case_id.in_(waiting), _items.state != ItemState.WAITING)
        .where(_items.wait_reason == WaitReason.LIMIT)
        .group_by(_items.case_id)
        .subquery()
    )
    is_paid = func.coalesce(_items.is_paid, False)
    place = func.row_number().over(partition_by=[_items.case_id, is_paid], order_by=[_items.number])
    turn = func.coalesce(gone.c.count, 0) + place
    rows = connection.execute(
        select(_items.number, _items.hashes)
        .join_from(schema.items, gone, gone.c.case_id == _items.case_id, isouter=True)
        .where(_WAITS, _of(queue))
        .order_by(is_paid.desc(), turn, _items.number)
        .limit(limit)
    )
    return [Turn(*row) for row in rows]


def _of(queue: TurnQueue) -> ColumnElement[bool]:
    if queue.origin_tag is not None:
        return _items.origin_tag == queue.origin_tag
    return and_(_items.origin_tag.is_(None), _KEY == queue.key_id)  # noqa: SIM300 it is SQL


def give_turns(connection: Connection, numbers: Collection[int], *, at_s: int) -> Sequence[bytes]:
    """Make items LIVE that are WAITING, with an act of the server each; return their ids."""
    act = Act(SERVER, "", Action.RELEASE, at_s, "turn")
    return states.change(connection, numbers, ItemState.LIVE, act, {ItemState.WAITING})


def forget_origins(connection: Connection, *, day: str) -> None:
    """Delete what tags of origins of days before ``day`` (ISO, UTC) were made with."""
    origins.forget_secrets(connection, day)
