"""Rules by which items wait for review, applied in one transaction of the caller."""

import secrets
from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.changes import MARK_BYTES
from disrupt.core.hashes import unpack
from disrupt.core.media import Assurance, ItemState, StateReason
from disrupt.core.waiting import ReportPolicy, may_be_hidden
from disrupt.registry import acts, queries, schema, waits
from disrupt.registry.contract import Negatives
from disrupt.registry.states import change_states


def judge(
    connection: Connection, item_id: bytes, policy: ReportPolicy, day: str, at_s: int
) -> bool:
    """Let an item wait if enough organisations reported that it matches wrongly.

    Not if it waited for that before, and nobody decided: a new match takes them one lookup.
    """
    reason, item = StateReason.FALSE_POSITIVES, _may_wait(connection, item_id)
    if (
        item is None
        or waits.accusers(connection, item.number) < policy.organisations
        or waits.waited(connection, item.number, reason)
    ):
        return False
    _hide(connection, item, reason, day, at_s)
    return True


def hide(connection: Connection, item_id: bytes, reason: StateReason, day: str, at_s: int) -> bool:
    """Let an item wait, unless it was REVIEWED or has waited for this reason before."""
    item = _may_wait(connection, item_id)
    if (
        item is None
        or item.assurance == Assurance.REVIEWED
        or waits.waited(connection, item.number, reason)
    ):
        return False
    _hide(connection, item, reason, day, at_s)
    return True


def release(
    connection: Connection, until_s: int, day: str, at_s: int, limit: int
) -> tuple[bytes, ...]:
    """Make items LIVE that wait by a rule since an hour or before; return their ids."""
    numbers = waits.overdue(connection, until_s, limit)
    if not numbers:
        return ()
    waits.settle(connection, numbers)
    items = schema.items.c
    rows = connection.execute(
        select(items.number, items.item_id)
        .join_from(schema.items, schema.states)
        .where(items.number.in_(numbers), schema.states.c.state == ItemState.WAITING)
        .order_by(items.number)
    ).all()
    item_ids = tuple(row.item_id for row in rows)
    if item_ids:
        reason = StateReason.UNREVIEWED
        changed = [(row.number, ItemState.LIVE, day, reason) for row in rows]
        change_states(connection, changed, secrets.token_bytes(MARK_BYTES))
        _note_act(connection, Action.ITEMS_ENABLED, item_ids, reason, at_s)
    return item_ids


class _Item(NamedTuple):
    number: int
    item_id: bytes
    assurance: int


def _may_wait(connection: Connection, item_id: bytes) -> _Item | None:
    """Return an item that is LIVE and may be hidden."""
    items = schema.items.c
    item = connection.execute(
        select(items.number, items.item_id, items.bank, items.assurance)
        .join_from(schema.items, schema.states, isouter=True)
        .where(
            items.item_id == item_id, items.case_id.is_not(None), queries.STATE == ItemState.LIVE
        )
    ).first()
    if item is None or not may_be_hidden(item.bank):
        return None
    return _Item(item.number, item.item_id, item.assurance)


def _hide(connection: Connection, item: _Item, reason: StateReason, day: str, at_s: int) -> None:
    waiting = [(item.number, ItemState.WAITING, day, reason)]
    change_states(connection, waiting, secrets.token_bytes(MARK_BYTES))
    waits.begin(connection, [item.number], reason, at_s)
    _note_act(connection, Action.ITEMS_SET_WAITING, [item.item_id], reason, at_s)


def _note_act(
    connection: Connection,
    action: Action,
    item_ids: Iterable[bytes],
    reason: StateReason,
    at_s: int,
) -> None:
    items = [item_id.hex() for item_id in item_ids]
    act = Act(SERVER, action, at_s, {"items": items, "reason": reason.name.lower()})
    acts.append(connection, act)


def negatives(connection: Connection) -> Negatives:
    """Return all hashes of harmless pictures, by hash."""
    columns = schema.negatives.c
    rows = connection.execute(select(columns.hash, columns.label).order_by(columns.hash)).all()
    hashes = unpack(b"".join(row.hash for row in rows))
    return Negatives(hashes, tuple(row.label for row in rows))


def add_negatives(connection: Connection, added: Negatives, day: str, act: Act) -> int:
    """Add hashes that are not there yet; return their number."""
    before = set(connection.scalars(select(schema.negatives.c.hash)))
    rows = {
        packed.tobytes(): {"hash": packed.tobytes(), "label": label, "added_on": day}
        for packed, label in zip(added.hashes, added.labels, strict=True)
    }
    new = [row for packed, row in rows.items() if packed not in before]
    if new:
        connection.execute(insert(schema.negatives), new)
        labels = sorted({row["label"] for row in new})
        acts.append(connection, act.on(labels=labels, hashes=len(new)))
    return len(new)


def remove_negatives(connection: Connection, label: str, act: Act) -> int:
    """Remove the hashes of a label; return their number."""
    of_label = schema.negatives.c.label == label
    removed = connection.execute(delete(schema.negatives).where(of_label)).rowcount
    if removed:
        acts.append(connection, act.on(labels=[label], hashes=removed))
    return removed
