"""Open the files of a registry: the database for reading or writing, and the journal beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine

from disrupt.data_directory import HEAD_NOTE
from disrupt.errors import DataDirectoryError, UnavailableError
from disrupt.registry import head_note, journal
from disrupt.registry.journal import Journal
from disrupt.registry.sqlite import migrations, statements, wal_owner
from disrupt.registry.sqlite.engine import reader_engine, translated_errors, writer_engine
from disrupt.registry.sqlite.reconciliation import reconcile
from disrupt.registry.sqlite.wal_owner import WalOwner


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Run one transaction, which raises the errors of the contract."""
    with translated_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def reader(path: Path) -> Iterator[Engine]:
    """Open the database of a registry for reading. DataDirectoryError if its schema is another."""
    with _disposed(reader_engine(path)) as engine:
        with opening(path), transaction(engine) as connection:
            migrations.check(connection)
        yield engine


@contextmanager
def writer(path: Path) -> Iterator[tuple[Engine, WalOwner]]:
    """Open the database for writing, make it if missing, and migrate its schema."""
    with _disposed(writer_engine(path)) as engine:
        with opening(path):
            _refuse_to_replace(path)
            # SQLite gives its -wal and -shm files the mode of this file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            wal_owner.check(path)
            owner = WalOwner(path)
            with transaction(engine) as connection:
                migrations.upgrade(connection)
                statements.seed(connection)
            owner.renumber(engine)
        yield engine, owner


def _refuse_to_replace(path: Path) -> None:
    """Raise DataDirectoryError where a registry was, and is gone.

    A new one in its place would note a head of its own, so that an older copy put in that place
    later could not be told any more.
    """
    note = path.with_name(HEAD_NOTE)
    if head_note.read(note) is not None and not (path.is_file() and path.stat().st_size):
        raise DataDirectoryError(
            f"{path.name} is gone or empty, and {note.name} says that there was one. Put the right"
            f" {path.name} back, or restore a backup. To begin anew with nothing registered, delete"
            f" {note.name}, too."
        )


@contextmanager
def removals(writer: Engine, path: Path, *, restoring: bool) -> Iterator[Journal]:
    """Open the journal of removals, after making it and the database agree."""
    day = datetime.now(UTC).date().isoformat()
    with translated_errors():
        with writer.begin() as connection:
            records = reconcile(connection, path, day, restoring=restoring)
        if records is not None:
            journal.write_packed(path, records)
    with closing(Journal.open(path)) as opened:
        yield opened


@contextmanager
def _disposed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Raise DataDirectoryError where a registry cannot be opened."""
    try:
        yield
    except (OSError, UnavailableError) as error:
        raise DataDirectoryError(
            f"The registry at {path} cannot be opened. Check that its directory exists, that this"
            " user may read and write there, and that no other process has it open for writing."
        ) from error
