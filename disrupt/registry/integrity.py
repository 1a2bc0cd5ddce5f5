"""Check that the registry's file is undamaged, and this SQLite free of a known bug."""

import sqlite3
from pathlib import Path

from disrupt.errors import DataDirectoryError
from disrupt.registry.engine import reader_engine, translated_errors

SQLITE_VERSION = sqlite3.sqlite_version

_WAL_RESET_BUG = ((3, 7, 0), (3, 51, 2))
"""First and last version affected (https://sqlite.org/wal.html#walresetbug)."""


def has_wal_reset_bug(version: str = SQLITE_VERSION) -> bool:
    """Tell whether connections that write at once may corrupt a database of this version."""
    first, last = _WAL_RESET_BUG
    return first <= tuple(int(part) for part in version.split(".")[:3]) <= last


def integrity_problems(path: Path) -> tuple[str, ...]:
    """Return what SQLite's quick_check finds wrong with a registry; empty if nothing.

    Reads every page once, beside a running writer too. DataDirectoryError if it is no database.
    """
    if not path.is_file():
        raise DataDirectoryError(f"There is no registry at {path}.")
    engine = reader_engine(path)
    try:
        with translated_errors(), engine.begin() as connection:
            rows = connection.exec_driver_sql("PRAGMA quick_check(10)").scalars().all()
    finally:
        engine.dispose()
    return tuple(row for row in rows if row != "ok")
