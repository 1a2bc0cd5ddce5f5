"""The audit log. Each function runs in one transaction of its caller."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from disrupt.audit import entries
from disrupt.audit.entries import Entry, Leaf, LeafId
from disrupt.registry.sql import schema

_columns = schema.audit.c


_next = select(func.coalesce(func.max(_columns.number) + 1, 0)).scalar_subquery()
_APPEND = (
    insert(schema.audit)
    .values(
        number=_next,
        leaf=bindparam("leaf"),
        salt=bindparam("salt"),
        entry=bindparam("entry"),
    )
    .returning(_columns.number)
)


def append(connection: Connection, entry: Entry) -> LeafId:
    """Add the leaf of an entry, in the transaction of what it tells."""
    leaf = Leaf.of(0, entry)  # the number is no part of it
    row = {"leaf": leaf.leaf, "salt": leaf.salt, "entry": leaf.entry}
    return LeafId(connection.execute(_APPEND, row).scalar_one(), leaf.leaf)


def note_cleared(
    connection: Connection, before: int, day: str, *, mirrors: int, silent: int
) -> None:
    """Note that what leaves before a number tell of is erased, see ``receipts.Cleared``."""
    of = {"before": before, "day": day, "mirrors": mirrors, "silent": silent}
    append(connection, {"kind": entries.CLEARED, **of})


def add(connection: Connection, leaves: Iterable[Leaf]) -> None:
    """Add leaves as they are."""
    rows = [
        {"number": leaf.number, "leaf": leaf.leaf, "salt": leaf.salt, "entry": leaf.entry}
        for leaf in leaves
    ]
    if rows:
        connection.execute(insert(schema.audit), rows)


def size(connection: Connection) -> int:
    """Return how many leaves there are."""
    newest: int | None = connection.scalar(select(func.max(_columns.number)))
    return 0 if newest is None else newest + 1


def cut_off(connection: Connection, first: int) -> None:
    """Delete the leaves from a number on: a restore puts others in their place."""
    connection.execute(delete(schema.audit).where(_columns.number >= first))


def leaves(connection: Connection, first: int, limit: int) -> Sequence[Leaf]:
    """Return up to ``limit`` leaves of numbers from ``first`` on, ascending."""
    rows = connection.execute(
        select(schema.audit).where(_columns.number >= first).order_by(_columns.number).limit(limit)
    )
    return [_leaf(row) for row in rows]


def every_leaf(connection: Connection) -> Iterator[Leaf]:
    """Yield all leaves, ascending."""
    for row in connection.execute(select(schema.audit).order_by(_columns.number)):
        yield _leaf(row)


def newest_leaf(connection: Connection) -> Leaf | None:
    """Return the leaf of the largest number; None where there is none."""
    return next(iter(leaves(connection, size(connection) - 1, 1)), None)


def _leaf(row: Row[tuple[int, bytes, bytes | None, str | None]]) -> Leaf:
    return Leaf(row.number, row.leaf, row.salt, row.entry)
