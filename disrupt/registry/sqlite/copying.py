"""Copy the registry's file while it is in use, and describe a copy."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from disrupt.errors import DataDirectoryError, StorageFullError
from disrupt.registry.sql import migrations, queries
from disrupt.registry.sqlite import wal_owner
from disrupt.registry.sqlite.engine import reader_engine, translated_errors


def copy_database(path: Path, target: Path) -> None:
    """Copy the database, as of one moment, over an empty file.

    Only what is stored is copied, not the free pages, under a number of its own, see ``wal_owner``.
    The caller makes the copy durable. StorageFullError where it finds no room.
    """
    with (
        _named(target),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source,
    ):
        try:
            source.execute("VACUUM INTO ?", (str(target),))
        except sqlite3.Error:
            _refuse_damaged(source)  # The error does not always say that the file is damaged.
            raise
    with (
        _named(target),
        closing(sqlite3.connect(f"{target.absolute().as_uri()}?mode=rw", uri=True)) as copy,
    ):
        copy.execute(f"PRAGMA application_id = {wal_owner.draw()}")
        _refuse_damaged(copy)


@contextmanager
def _named(target: Path) -> Iterator[None]:
    """Say of what SQLite meets which copy it concerns: its disk is seldom the registry's."""
    try:
        yield
    except sqlite3.Error as error:
        is_full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        problem = StorageFullError if is_full else DataDirectoryError
        raise problem(f"The copy {target} cannot be written: {error}.") from error


def _refuse_damaged(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise DataDirectoryError(
            "The registry file is damaged: it fails SQLite's integrity check. Restore it from a"
            " backup."
        )


def described(path: Path) -> tuple[str, int, str]:
    """Return epoch (hex), newest sequence and schema revision of a copy."""
    engine = reader_engine(path)
    try:
        with translated_errors(), engine.begin() as connection:
            epoch, sequence = queries.position(connection)
            return epoch.hex(), sequence, migrations.revision(connection)
    finally:
        engine.dispose()
