"""Who may do what: keys, banks, quotas and partners, as rows to keep and to bring back.

Each function runs in one transaction of its caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from disrupt.registry.records import Access
from disrupt.registry.sql import schema

_TABLES = {
    schema.banks: "number",
    schema.keys: "key_id",
    schema.organisations: "organisation",
    schema.partners: "organisation",
}
"""The tables, and the column by which a row is the same."""
_LASTING = {schema.banks, schema.keys}
"""Tables whose rows are never deleted."""


def access(connection: Connection) -> Access:
    """Return the rows of all tables."""
    return {
        table.name: [
            {
                name: value.hex() if isinstance(value, bytes) else value
                for name, value in row.items()
                if name != "id"
            }
            for row in connection.execute(select(table).order_by(table.c[key])).mappings()
        ]
        for table, key in _TABLES.items()
    }


def put(connection: Connection, kept: Access) -> None:
    """Let the tables have these rows, and what they have beside them where rows last."""
    for table, key in _TABLES.items():
        rows = [_row(table, row) for row in kept.get(table.name, ())]
        column = table.c[key]
        if table not in _LASTING:
            connection.execute(delete(table))
        for row in rows:
            now = dict(row)
            if not row.get("revoked_on", "-"):  # the journal may know of a revocation
                del now["revoked_on"]
            changed = connection.execute(update(table).where(column == row[key]).values(now))
            if not changed.rowcount:
                connection.execute(insert(table).values(row))


def _row(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: bytes.fromhex(value) if table.c[name].type.python_type is bytes else value
        for name, value in row.items()
    }
