"""Schema migrations: one module per revision in ``versions``, applied when a writer opens.

A released revision never changes; a later one is a new module that names its predecessor.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from disrupt.errors import DataDirectoryError, OlderSchemaError

_PLACE = Path(__file__).parent


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision, within the caller's transaction.

    DataDirectoryError if it is of a revision that this version does not know.
    """
    _refuse_newer(_current(connection))
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_PLACE).replace("%", "%%"))
    command.upgrade(config, "head")


def check(connection: Connection) -> None:
    """Raise DataDirectoryError unless the schema is of the newest revision.

    OlderSchemaError if it is of an earlier one.
    """
    current = _current(connection)
    _refuse_newer(current)
    if current is None:
        raise DataDirectoryError("The registry is empty. Start `disrupt serve` once to fill it.")
    if current != _revisions().get_current_head():
        raise OlderSchemaError(
            "The registry is of an older version of Disrupt. Start `disrupt serve` once to bring it"
            " up to date."
        )


def revision(connection: Connection) -> str:
    """Return the revision of the schema; empty if it has none."""
    return _current(connection) or ""


def _revisions() -> ScriptDirectory:
    return ScriptDirectory(_PLACE)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(current: str | None) -> None:
    known = {script.revision for script in _revisions().walk_revisions()}
    if current is not None and current not in known:
        raise DataDirectoryError(
            "The registry is of a newer version of Disrupt. Install that version, or restore a"
            " backup that this one made."
        )
