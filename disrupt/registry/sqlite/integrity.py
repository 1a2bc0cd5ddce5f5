"""Check that the registry's file is undamaged."""

from pathlib import Path

from disrupt.errors import DataDirectoryError
from disrupt.registry.sqlite.engine import reader_engine, translated_errors


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
