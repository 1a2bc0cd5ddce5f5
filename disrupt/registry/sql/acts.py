"""The record of acts. Each function runs in one transaction of its caller."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, or_, select

from disrupt.audit import entries
from disrupt.core.acts import ANY_ACT, Act, ActFilter, Action, ActRecord
from disrupt.core.states import ItemState
from disrupt.registry.sql import audit, schema


def note(  # noqa: PLR0913 a row of the record
    connection: Connection,
    act: Act,
    *,
    item: int | None = None,
    case_id: int | None = None,
    bank: int | None = None,
    key_id: str | None = None,
    items: int | None = None,
    undone: int | None = None,
    decided: Mapping[ItemState, Sequence[bytes]] | None = None,
) -> int:
    """Add an act to the record, on an item or a case, not both: in the transaction of the act.

    ``decided`` has the ids of the items to which it gave a state; the audit log alone keeps them.
    Returns its number.
    """
    row = {
        "at_s": act.at_s,
        "actor": act.actor,
        "organisation": act.organisation,
        "action": act.action,
        "reason": act.reason,
        "item": item,
        "case_id": case_id,
        "bank": bank,
        "key_id": key_id,
        "items": items,
        "undone": undone,
    }
    number: int = connection.scalars(
        insert(schema.acts).returning(schema.acts.c.number).values(row)
    ).one()
    audit.append(connection, _entry(connection, row, decided or {}))
    return number


def _entry(
    connection: Connection,
    row: Mapping[str, object],
    decided: Mapping[ItemState, Sequence[bytes]],
) -> entries.Entry:
    """Return what the audit log says of an act: its row, with the id of its item."""
    entry = {name: value for name, value in row.items() if value is not None}
    item = schema.items.c
    if "item" in entry:
        item_id = connection.scalar(select(item.item_id).where(item.number == entry["item"]))
        entry["item"] = (item_id or b"").hex()
    if decided:  # nothing links a withdrawn item to its case
        entry.pop("case_id", None)
    entry |= {entries.decided(state.name): b"".join(ids).hex() for state, ids in decided.items()}
    return {"kind": entries.ACT, **entry}


def unlike_log(connection: Connection) -> tuple[list[int], list[int]]:
    """Compare the record with the audit log.

    Returns the numbers of acts that no leaf tells of as they are, and those of leaves that tell of
    an act that is not there.
    """
    rows = connection.execute(
        select(schema.acts, schema.items.c.item_id)
        .join_from(schema.acts, schema.items, isouter=True)
        .order_by(schema.acts.c.number)
    )
    unmatched = defaultdict[tuple[Any, ...], list[int]](list)
    for row in rows.mappings():
        act = _told({**row, "item": row["item_id"] and row["item_id"].hex()})
        unmatched[act].append(row["number"])
    lone = []
    for leaf in audit.every_leaf(connection):
        content = leaf.content
        if content.get("kind") != entries.ACT:
            continue
        numbers = unmatched[_told(content)] or unmatched[_told(_as_restored(connection, content))]
        if numbers:
            numbers.pop(0)
        else:
            lone.append(leaf.number)
    return sorted(number for numbers in unmatched.values() for number in numbers), lone


def _as_restored(connection: Connection, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry without the item and bank that a restored registry does not have."""
    items, banks = schema.items.c, schema.banks.c
    item_id, bank = bytes.fromhex(content.get("item", "")), content.get("bank")
    of = dict(content)
    if connection.scalar(select(items.number).where(items.item_id == item_id)) is None:
        of.pop("item", None)
    if connection.scalar(select(banks.number).where(banks.number == bank)) is None:
        of.pop("bank", None)
    return of


def _told(content: Mapping[Any, Any]) -> tuple[Any, ...]:
    names = (
        *("at_s", "actor", "organisation", "action", "reason"),
        *("item", "bank", "key_id", "items", "undone"),
    )
    return tuple(content.get(name) for name in names)


def acts(
    connection: Connection,
    limit: int,
    before: int | None = None,
    banks: Collection[int] | None = None,
    wanted: ActFilter = ANY_ACT,
) -> Sequence[ActRecord]:
    """Return up to ``limit`` (≥ 1) ``wanted`` acts of numbers below ``before`` (None: all).

    Newest first. With ``banks``, without those that name another bank. An act on an item names it
    also once it was withdrawn.
    """
    query = (
        select(schema.acts, schema.items.c.item_id, schema.cases.c.tag)
        .join_from(schema.acts, schema.items, isouter=True)
        .outerjoin(schema.cases, schema.cases.c.id == schema.acts.c.case_id)
        .order_by(schema.acts.c.number.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(schema.acts.c.number < before)
    if wanted.from_s:
        query = query.where(schema.acts.c.at_s >= wanted.from_s)
    if wanted.until_s is not None:
        query = query.where(schema.acts.c.at_s < wanted.until_s)
    if wanted.actions:
        query = query.where(schema.acts.c.action.in_(wanted.actions))
    if banks is not None:
        bank = schema.acts.c.bank
        query = query.where(or_(bank.is_(None), bank.in_(banks)))
    return [
        ActRecord(
            row.number,
            Act(row.actor, row.organisation, Action(row.action), row.at_s, row.reason),
            row.item_id or b"",
            row.case_id or 0,
            row.bank or 0,
            row.key_id or "",
            row.tag or b"",
            row.items,
            row.undone or 0,
        )
        for row in connection.execute(query)
    ]
