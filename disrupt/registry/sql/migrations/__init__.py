"""Schema migrations: one module per revision in ``versions``, applied when a writer opens.

A released revision never changes; a later one is a new module that names its predecessor.
"""

from pathlib import Path

from sqlalchemy import Connection, insert, select

from disrupt.errors import DataDirectoryError
from disrupt.registry.sql import schema

_PLACE = Path(__file__).parent


def upgrade(connection: Connection) -> None:
    """Create the schema, or bring it to ``schema.REVISION``, within the caller's transaction.

    DataDirectoryError if it is of a revision that this version does not know.
    """
    current = revision(connection)
    if not current:
        schema.metadata.create_all(connection, checkfirst=False)
        schema.version.create(connection)
        connection.execute(insert(schema.version).values(version_num=schema.REVISION))
    elif current != schema.REVISION:
        apply_revisions(connection)


def apply_revisions(connection: Connection) -> None:
    """Run all revisions that the schema lacks, from nothing if it has none, as ``upgrade`` does."""
    # Alembic takes longer to import than a server to start, and is needed here only.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    known = {script.revision for script in ScriptDirectory(_PLACE).walk_revisions()}
    if revision(connection) not in {"", *known}:
        raise DataDirectoryError(
            "The registry is of a newer version of Disrupt. Install that version, or restore a"
            " backup that this one made."
        )
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_PLACE).replace("%", "%%"))
    command.upgrade(config, "head")


def check(connection: Connection) -> None:
    """Raise DataDirectoryError unless the schema is of ``schema.REVISION``."""
    current = revision(connection)
    if not current:
        raise DataDirectoryError("The registry is empty. Start `disrupt serve` once to fill it.")
    if current != schema.REVISION:
        raise DataDirectoryError(
            f"The registry has schema revision {current}, and this version of Disrupt reads"
            f" {schema.REVISION}. Start `disrupt serve` once, which upgrades an older registry. For"
            " a newer one install the version of Disrupt that wrote it."
        )


def revision(connection: Connection) -> str:
    """Return the revision of the schema; empty if it has none."""
    if not connection.dialect.has_table(connection, schema.version.name):
        return ""
    return connection.execute(select(schema.version.c.version_num)).scalar_one_or_none() or ""
