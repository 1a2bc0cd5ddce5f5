"""Schema migrations: one module per revision in ``versions``, applied when a writer opens.

A released revision never changes; a later one is a new module that names its predecessor.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from disrupt.errors import DataDirectoryError, OlderSchemaError

_PLACE = Path(__file__).parent
_MODULE = "revision_"


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision, within the caller's transaction.

    DataDirectoryError if it is of a revision that this version does not know.
    """
    if _known(connection) == known_revisions()[-1]:
        return
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_PLACE).replace("%", "%%"))
    command.upgrade(config, "head")


def check(connection: Connection) -> None:
    """Raise DataDirectoryError unless the schema is of the newest revision.

    OlderSchemaError if it is of an earlier one.
    """
    current = _known(connection)
    if not current:
        raise DataDirectoryError("The registry is empty. Start `disrupt serve` once to fill it.")
    if current != known_revisions()[-1]:
        raise OlderSchemaError(
            "The registry is of an older version of Disrupt. Start `disrupt serve` once to bring it"
            " up to date."
        )


def revision(connection: Connection) -> str:
    """Return the revision of the schema; empty if it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    revisions = connection.scalars(text("SELECT version_num FROM alembic_version"))
    return ",".join(sorted(revisions))  # of more than one, none is known


def known_revisions() -> list[str]:
    """Return the revisions that this version knows, the newest last."""
    names = (path.stem for path in (_PLACE / "versions").glob(f"{_MODULE}*.py"))
    return sorted(name.removeprefix(_MODULE) for name in names)


def _known(connection: Connection) -> str:
    """Return the revision of the schema, empty if it has none; raise if a newer version made it."""
    current = revision(connection)
    if current and current not in known_revisions():
        raise DataDirectoryError(
            "The registry is of a newer version of Disrupt. Install that version, or restore a"
            " backup that this one made."
        )
    return current
