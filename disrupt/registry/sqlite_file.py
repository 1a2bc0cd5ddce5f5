"""Open the files of a registry: its database, and the journal of removals beside it."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine

from disrupt.data_directory import NOTED_HEAD
from disrupt.errors import DataDirectoryError, UnavailableError
from disrupt.registry import identity, journal, migrations, noted, statements
from disrupt.registry.engine import Numbering, reader_engine, translated_errors, writer_engine
from disrupt.registry.journal import Journal
from disrupt.registry.reconciliation import reconcile


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Run a transaction. Errors of the database are raised as classes of disrupt.errors."""
    with translated_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def open_reader(path: Path) -> Iterator[Engine]:
    """Open a database for reading; raise OlderSchemaError where a writer has to upgrade it."""
    with _disposed(reader_engine(path)) as engine:
        with explained(path), transaction(engine) as connection:
            migrations.check(connection)
        yield engine


@contextmanager
def open_writer(path: Path) -> Iterator[tuple[Engine, Numbering]]:
    """Open a database for writing, made or upgraded if need be, and what numbers its files."""
    with _disposed(writer_engine(path)) as engine:
        with explained(path):
            _refuse_to_replace(path)
            # SQLite gives its -wal and -shm files the mode of this file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            identity.check(path)
            numbering = Numbering(path, identity.numbers(path))
            with transaction(engine) as connection:
                migrations.upgrade(connection)
                statements.seed(connection)
            numbering.follow(engine)
        yield engine, numbering


def _refuse_to_replace(path: Path) -> None:
    """Raise DataDirectoryError where a registry was, and is gone.

    A new one in its place would note a head of its own, so that an older copy put in that place
    later could not be told any more.
    """
    note = path.with_name(NOTED_HEAD)
    if noted.read(note) is not None and not (path.is_file() and path.stat().st_size):
        raise DataDirectoryError(
            f"{path.name} is gone or empty, and {note.name} says that there was one. Put the right"
            f" {path.name} back, or restore a backup. To begin anew with nothing registered, delete"
            f" {note.name}, too."
        )


@contextmanager
def open_journal(writer: Engine, path: Path) -> Iterator[Journal]:
    """Open the journal of removals, once it and the database say the same."""
    day = datetime.now(UTC).date().isoformat()
    with translated_errors():
        with writer.begin() as connection:
            records = reconcile(connection, path, day)
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
def explained(path: Path) -> Iterator[None]:
    """Raise DataDirectoryError where the files of a registry cannot be opened."""
    try:
        yield
    except (OSError, UnavailableError) as error:
        raise DataDirectoryError(
            f"The registry at {path} cannot be opened. Check that its directory exists, that this"
            " user may read and write there, and that no other process has it open for writing."
        ) from error
