"""Open the file of a registry for reading or writing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine

from disrupt.data_directory import HEAD_NOTE
from disrupt.errors import DataDirectoryError, UnavailableError
from disrupt.registry import head_note, registry
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.registry.sql import migrations, statements
from disrupt.registry.sqlite import engine, wal_owner
from disrupt.registry.sqlite.engine import reader_engine, writer_engine
from disrupt.registry.sqlite.wal_owner import WalOwner


class SqliteDatabase:
    """A Database in a file."""

    translated_errors = staticmethod(engine.translated_errors)
    last_number = staticmethod(engine.last_number)

    def __init__(self, reader: Engine) -> None:
        self.reader = reader


class WritableSqliteDatabase(SqliteDatabase):
    """A WritableDatabase in a file."""

    clears_at_once = True
    skip_numbers = staticmethod(engine.skip_numbers)

    def __init__(self, reader: Engine, writer: Engine, owner: WalOwner) -> None:
        super().__init__(reader)
        self.writer = writer
        self._owner = owner

    def uncleared_s(self, connection: Connection) -> float:  # noqa: ARG002
        """Return 0: only a reader holds the clearing of the log up, and not for long."""
        return 0.0

    def clear_log(self) -> bool:
        """Copy the log into the database file and empty it."""
        return engine.truncate_wal(self.writer)

    def check_leadership(self) -> None:
        """Do nothing: the lock of the data directory is not lost."""

    def prove_writable(self) -> None:
        """Write the first page of the file again."""
        with self.writer.begin() as connection:
            engine.rewrite_header(connection)
        self._owner.renumber(self.writer)

    def make_room(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Do nothing: the table has no parts."""

    def timeline(self, connection: Connection) -> int:  # noqa: ARG002
        """Return 0."""
        return 0


@contextmanager
def open_reader(path: Path) -> Iterator[RegistryReader]:
    """Open an existing registry for reading only, also while a writer has it open.

    DataDirectoryError if it is missing, no registry, or of another schema revision.
    """
    if not path.is_file():
        raise DataDirectoryError(
            f"There is no registry at {path}. Check --data-dir, or start `disrupt serve` once"
            " to make one."
        )
    with _opening(path):
        wal_owner.check(path)
    with _reader(path) as reader:
        yield RegistryReader(SqliteDatabase(reader), path.parent)


def open_writer(path: Path, *, restoring: bool = False) -> AbstractContextManager[RegistryWriter]:
    """Open a registry for writing, make it if missing (mode 0600), and migrate its schema.

    The caller holds the lock of the data directory: one writer at a time. DataDirectoryError if
    the directory is missing, or a file is no registry or of a newer version. See
    ``registry.open_writer`` for the rest.
    """
    return registry.open_writer(partial(_writable, path), path.parent, restoring=restoring)


@contextmanager
def _reader(path: Path) -> Iterator[Engine]:
    """Open the database of a registry for reading. DataDirectoryError if its schema is another."""
    with _disposed(reader_engine(path)) as reader:
        with _opening(path), engine.translated_errors(), reader.begin() as connection:
            migrations.check(connection)
        yield reader


@contextmanager
def _writable(path: Path) -> Iterator[WritableSqliteDatabase]:
    """Open the database for writing, make it if missing, and migrate its schema."""
    with _disposed(writer_engine(path)) as writer:
        with _opening(path):
            _refuse_to_replace(path)
            # SQLite gives its -wal and -shm files the mode of this file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            wal_owner.check(path)
            owner = WalOwner(path)
            with engine.translated_errors(), writer.begin() as connection:
                migrations.upgrade(connection)
                statements.seed(connection)
            owner.renumber(writer)
        with _reader(path) as reader:
            yield WritableSqliteDatabase(reader, writer, owner)


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
def _disposed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Raise DataDirectoryError where a registry cannot be opened."""
    try:
        yield
    except (OSError, UnavailableError) as error:
        raise DataDirectoryError(
            f"The registry at {path} cannot be opened. Check that its directory exists, that this"
            " user may read and write there, and that no other process has it open for writing."
        ) from error
