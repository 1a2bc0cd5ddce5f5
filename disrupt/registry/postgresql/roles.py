"""The role of machines that answer lookups: it reads what they need, and no case."""

from sqlalchemy import Connection, text

MATCH = "disrupt_match"
"""Name of the role. An operator makes it; see docs/settings.md."""

_TABLES = (
    *("alembic_version", "banks", "changes", "disputes", "fingerprints", "keys", "narrowings"),
    *("organisations", "partners"),
)
_REGISTRY = ("id", "epoch", "timeline")
_ITEMS = (
    *("number", "item_id", "bank", "state", "state_sequence", "new_on", "kind", "assurance"),
    *("hashes", "replaced_by"),
)
"""Columns of items that it reads: none that leads to a case or to a request."""


def reads_cases(connection: Connection) -> bool:
    """Tell whether the user of a connection may read any of the cases."""
    asked = text("SELECT has_any_column_privilege('cases', 'SELECT')")
    return bool(connection.execute(asked).scalar_one())


def grant(connection: Connection) -> None:
    """Let the role read what it may, if there is such a role."""
    exists = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
    if connection.execute(exists, {"name": MATCH}).first() is None:
        return
    for what in (
        *_TABLES,
        f"registry ({', '.join(_REGISTRY)})",
        f"items ({', '.join(_ITEMS)})",
    ):
        table, _, columns = what.partition(" ")
        connection.execute(text(f"GRANT SELECT {columns} ON {table} TO {MATCH}"))
