"""Copy all of a registry from one database to another, and compare them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, func, insert, select, update

from disrupt.registry.sql import schema
from disrupt.registry.sql.database import Database, WritableDatabase

_ROWS_AT_ONCE = 200
_BYTES = 2**256

Contents = dict[str, tuple[int, int]]
"""For each table the number of its rows and a digest, which does not depend on their order."""


def copy(
    source: Connection, origin: Database, target: Connection, database: WritableDatabase
) -> None:
    """Copy every row, in the caller's transactions, to a database that has the tables alone.

    ``origin`` is the database of ``source``, ``database`` that of ``target``. Numbers go on from
    those that the source has given out last.
    """
    for table in schema.metadata.sorted_tables:
        rows = source.execute(select(table), execution_options={"stream_results": True})
        for batch in rows.partitions(_ROWS_AT_ONCE):
            _add(table, batch, target, database)
    _name_successors(source, target)
    for table in schema.metadata.sorted_tables:
        if (column := table.autoincrement_column) is not None:
            last = source.execute(select(func.max(column))).scalar() or 0
            last = max(last, origin.last_number(source, table.name))
            database.skip_numbers(target, table.name, last)
    _begin(source, target, database)


def _add(
    table: Table, batch: Sequence[Row[Any]], target: Connection, database: WritableDatabase
) -> None:
    rows = [dict(row._mapping) for row in batch]  # noqa: SLF001 how rows are read by name
    if table is schema.items:
        for row in rows:
            row["replaced_by"] = None  # the item that it names may come later
    if table is schema.fingerprints:
        database.make_room(target, [row["number"] for row in rows])
    target.execute(insert(table), rows)


def _name_successors(source: Connection, target: Connection) -> None:
    items = schema.items.c
    replaced = source.execute(
        select(items.number, items.replaced_by).where(items.replaced_by.is_not(None))
    )
    for number, successor in replaced:
        target.execute(
            update(schema.items).where(items.number == number).values(replaced_by=successor)
        )


def _begin(source: Connection, target: Connection, database: WritableDatabase) -> None:
    """Note what is the target's own: its timeline, and that no file of it has erased bytes."""
    newest = source.execute(select(func.max(schema.changes.c.sequence))).scalar() or 0
    target.execute(
        update(schema.registry).values(timeline=database.timeline(target), vacuumed=newest)
    )


def contents(connection: Connection) -> Contents:
    """Count the rows of each table, and digest them, but for what is a database's own."""
    registry = schema.registry.c
    own = {registry.timeline, registry.vacuumed, registry.vacuumed_s}
    digests = dict[str, tuple[int, int]]()
    for table in schema.metadata.sorted_tables:
        query = select(*(column for column in table.c if column not in own))
        count = total = 0
        for row in connection.execute(query, execution_options={"stream_results": True}):
            count += 1
            total += int.from_bytes(hashlib.sha256(repr(tuple(row)).encode()).digest())
        digests[table.name] = (count, total % _BYTES)
    return digests
