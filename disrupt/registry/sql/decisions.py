"""Do again in a restored backup what staff decided after it. Runs in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from disrupt.audit import entries
from disrupt.audit.entries import Leaf
from disrupt.core.acts import Act, Action
from disrupt.core.outcomes import Settlement
from disrupt.core.review import ALL_STATES
from disrupt.core.states import ItemState
from disrupt.registry.sql import audit, disputes, schema, states

_NOT_AGAIN = frozenset(
    {Action.COMMON_ADDED, Action.COMMON_ADDED_ALTHOUGH_MATCHED, Action.LIST_ADDED}
)
"""Acts whose content no entry has."""

_ID_CHARACTERS = 32
_COLUMNS = ("at_s", "actor", "organisation", "action", "reason", "key_id", "items", "undone")


def take_over(connection: Connection, first: int, leaves: Sequence[Leaf]) -> list[Leaf]:
    """Let the log go on with ``leaves`` from number ``first`` on, and do again what they decided.

    Leaves that the restore has added come behind them, and one that tells of it. Returns those of
    ``leaves`` of which something cannot be done: it is on an item that the backup does not have, or
    the log does not say enough. What was withdrawn since is no such item.
    """
    of_restore = audit.leaves(connection, first, audit.size(connection))
    newest_act = connection.scalar(select(func.max(schema.acts.c.number))) or 0
    lost = [leaf for leaf in leaves if not _again(connection, leaf.content)]
    # done again, they are the acts of the log
    connection.execute(delete(schema.acts).where(schema.acts.c.number > newest_act))
    audit.cut_off(connection, first)
    audit.add(connection, leaves)
    for leaf in leaves:
        if leaf.content.get("kind") == entries.ACT:
            connection.execute(insert(schema.acts).values(_act_row(connection, leaf.content)))
    for leaf in of_restore:
        audit.append(connection, leaf.content)
    audit.append(connection, {"kind": entries.RESTORED, "leaves": first})
    return lost


def _again(connection: Connection, content: dict[str, Any]) -> bool:
    """Do what an entry tells; tell whether all of it is done, or needs not be."""
    if content.get("kind") != entries.ACT:
        return True
    action = Action(content["action"])
    act = Act(content["actor"], content["organisation"], action, content["at_s"], content["reason"])
    is_done = action not in _NOT_AGAIN
    for state in ItemState:
        packed = content.get(entries.decided(state.name), "")
        for at in range(0, len(packed), _ID_CHARACTERS):
            item_id = bytes.fromhex(packed[at : at + _ID_CHARACTERS])
            number = _living(connection, item_id)
            if number:
                states.change(connection, [number], state, act, ALL_STATES)
            is_done = is_done and number is not None
    if "item" in content:
        item_id = bytes.fromhex(content["item"])
        number = _living(connection, item_id)
        if number:
            _decide(connection, item_id, content.get("bank", 0), act)
        is_done = is_done and number is not None
    return is_done


def _decide(connection: Connection, item_id: bytes, bank: int, act: Act) -> None:
    """Do what staff did with an item, but for its state."""
    match act.action:
        case Action.MOVE:
            disputes.move_items(connection, [item_id], bank, act)
        case Action.CONFIRM:
            states.confirm_items(connection, [item_id], act)
        case Action.WIDEN:
            disputes.settle_disputes(connection, [item_id], Settlement.WIDENED, act)
        case Action.UPHOLD:
            disputes.settle_disputes(connection, [item_id], Settlement.UPHELD, act)


def _living(connection: Connection, item_id: bytes) -> int | None:
    """Return the number of an item; 0 if it was withdrawn, None if it is not here."""
    items = schema.items.c
    row = connection.execute(
        select(items.number, items.state, items.replaced_by).where(items.item_id == item_id)
    ).first()
    if row is None:
        return None
    number: int = row.number if row.state is not None else row.replaced_by or 0
    return number


def _act_row(connection: Connection, content: dict[str, Any]) -> dict[str, Any]:
    """Return the row of an act, without what this copy does not have."""
    items, cases, banks = schema.items.c, schema.cases.c, schema.banks.c
    item_id = bytes.fromhex(content.get("item", ""))
    return {name: content[name] for name in _COLUMNS if name in content} | {
        "item": connection.scalar(select(items.number).where(items.item_id == item_id)),
        "case_id": connection.scalar(select(cases.id).where(cases.id == content.get("case_id"))),
        "bank": connection.scalar(select(banks.number).where(banks.number == content.get("bank"))),
    }
