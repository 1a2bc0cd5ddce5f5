"""Open the registry of a database for reading or writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event, inspect, select, text, update

from disrupt.errors import DataDirectoryError
from disrupt.registry import registry
from disrupt.registry.postgresql import engine, erasure, roles
from disrupt.registry.postgresql.engine import leading_connection, reader_engine, writer_engine
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.registry.sql import copying, migrations, schema, statements
from disrupt.registry.sql.copying import Contents
from disrupt.registry.sql.database import Database
from disrupt.registry.sql.schema import ChangeKind

_CHANNEL = "disrupt"
"""On it whoever listens is woken after each commit; nothing else is told."""

_ANOTHER = (
    "The database has another registry already. Nothing was changed. Give the URL of an empty"
    " database."
)
_EARLIER_COPY = (
    "The database has a copy of this registry already, which differs: a move was interrupted, and"
    " a server wrote on. Nothing was changed. If no server was ever started with that database,"
    " drop it, as it keeps what is withdrawn later, and give the URL of an empty one."
)


class PostgresqlDatabase:
    """A Database of PostgreSQL."""

    translated_errors = staticmethod(engine.translated_errors)

    def __init__(self, reader: Engine) -> None:
        self.reader = reader

    def last_number(self, connection: Connection, table: str) -> int:
        """Return the largest number that a sequence has drawn or skipped."""
        drawn = text("SELECT pg_sequence_last_value(CAST(:sequence AS regclass))")
        return int(connection.execute(drawn, {"sequence": _sequence(table)}).scalar_one() or 0)


class WritablePostgresqlDatabase(PostgresqlDatabase):
    """A WritableDatabase of PostgreSQL."""

    clears_at_once = False
    make_room = staticmethod(erasure.make_room)
    timeline = staticmethod(engine.timeline)

    def __init__(
        self, reader: Engine, writer: Engine, leading: psycopg.Connection[Any], url: str
    ) -> None:
        """``leading`` is the connection of ``writer``."""
        super().__init__(reader)
        self.writer = writer
        self.check_leadership = partial(engine.check_leading, leading)
        self._url = url

    def clear_log(self) -> bool:
        """Write anew what holds erased bytes, on a connection of its own."""
        try:
            with closing(engine.connect(self._url)) as connection:
                connection.autocommit = True
                began_s = int(time.time())
                newest = erasure.vacuum(connection)
        except psycopg.errors.LockNotAvailable:
            return False
        row = schema.registry
        with self.writer.begin() as writing:
            writing.execute(
                update(row).values(vacuumed=newest or row.c.vacuumed, vacuumed_s=began_s)
            )
        return True

    def uncleared_s(self, connection: Connection) -> float:
        """Return the time since ``clear_log`` left nothing, where anything was erased since."""
        row, changes = schema.registry.c, schema.changes.c
        vacuumed, at_s = connection.execute(select(row.vacuumed, row.vacuumed_s)).one()
        removals = select(changes.sequence).where(
            changes.kind == ChangeKind.REMOVAL, changes.sequence > vacuumed
        )
        is_clear = connection.execute(removals.limit(1)).first() is None
        return 0.0 if is_clear else max(time.time() - at_s, 0.0)

    def prove_writable(self) -> None:
        """Write a message to the log."""
        with self.writer.begin() as connection:
            connection.execute(text("SELECT pg_logical_emit_message(true, 'disrupt', '')"))

    def skip_numbers(self, connection: Connection, table: str, last: int) -> None:
        """Raise a sequence."""
        last = max(last, self.last_number(connection, table))
        if last:
            connection.execute(
                text("SELECT setval(CAST(:sequence AS regclass), :last)"),
                {"sequence": _sequence(table), "last": last},
            )


def _sequence(table: str) -> str:
    (column,) = schema.metadata.tables[table].primary_key.columns
    return f"{table}_{column.name}_seq"


@contextmanager
def open_reader(url: str, directory: Path) -> Iterator[RegistryReader]:
    """Open a registry for reading only; its journal and head note are in ``directory``.

    DataDirectoryError if it is no registry, or of another schema revision, UnavailableError where
    the database cannot be reached now.
    """
    with _reader(url) as reader:
        yield RegistryReader(PostgresqlDatabase(reader), directory)


def open_writer(
    url: str, directory: Path, *, restoring: bool = False, wait: bool = False
) -> AbstractContextManager[RegistryWriter]:
    """Open a registry for writing, make it if missing, and migrate its schema.

    DataDirectoryInUseError if another process writes; with ``wait``, waits until it has ended.
    Raises LeadershipLostError once the connection is lost: then the process has to end. See
    ``registry.open_writer`` for the rest.
    """
    database = partial(_writable, url, wait=wait)
    return registry.open_writer(database, directory, restoring=restoring)


def receive(url: str, source: Database) -> Contents:
    """Copy a registry, to which nobody writes, to a database without one; return what it has.

    All of it is there on return, compared row by row, or nothing. Where the database has the same
    registry already, as of a copy that was interrupted at its end, nothing is done. Raises
    DataDirectoryError where it has another, or a copied row is not the same.
    """
    with (
        _leading(url, wait=False) as (leading, writer),
        source.translated_errors(),
        source.reader.begin() as reading,
        engine.translated_errors(),
        writer.begin() as connection,
    ):
        _check_encoding(connection)
        if is_new := not migrations.revision(connection):
            _make(connection)
            database = WritablePostgresqlDatabase(writer, writer, leading, url)
            copying.copy(reading, source, connection, database)
        given, copied = copying.contents(reading), copying.contents(connection)
        different = [table for table, rows in given.items() if copied[table] != rows]
        if different and is_new:
            raise DataDirectoryError(
                f"The copy differs in {', '.join(different)}. Nothing was changed."
            )
        if different:
            raise DataDirectoryError(
                _ANOTHER if schema.registry.name in different else _EARLIER_COPY
            )
        return copied


def obstacles_to_erasure(url: str) -> list[str]:
    """Say of a database and its user, as a writer has it, where withdrawn bytes stay, and why."""
    with engine.translated_errors(), closing(engine.connect(url)) as connection:
        return erasure.obstacles(connection)


def reads_cases(url: str) -> bool:
    """Tell whether the user of a URL may read cases, which machines that answer lookups must not.

    Raises as ``open_reader`` does.
    """
    with _reader(url) as reader, engine.translated_errors(), reader.begin() as connection:
        return roles.reads_cases(connection)


@contextmanager
def wakeups(url: str) -> Iterator[Callable[[float], bool]]:
    """Listen for commits: yield a function that waits for one, and tells whether there was any.

    It takes the longest time to wait, in seconds. A hint beside polling: it may miss some, and
    raises UnavailableError once the connection is lost.
    """
    with engine.translated_errors(), closing(engine.connect(url)) as connection:
        connection.autocommit = True
        connection.execute(f"LISTEN {_CHANNEL}")

        def wait(timeout_s: float) -> bool:
            with engine.translated_errors():
                return any(True for _ in connection.notifies(timeout=timeout_s, stop_after=1))

        yield wait


@contextmanager
def _reader(url: str) -> Iterator[Engine]:
    with _disposed(reader_engine(url)) as reader:
        with engine.translated_errors(), reader.begin() as connection:
            if not migrations.revision(connection):
                raise DataDirectoryError(
                    "The database has no registry yet: start a writer on it first, or correct its"
                    " URL."
                )
            migrations.check(connection)
        yield reader


@contextmanager
def _writable(url: str, *, wait: bool) -> Iterator[WritablePostgresqlDatabase]:
    with (
        _leading(url, wait=wait) as (leading, writer),
        _disposed(reader_engine(url)) as reader,
    ):
        database = WritablePostgresqlDatabase(reader, writer, leading, url)
        with engine.translated_errors(), writer.begin() as connection:
            _check_encoding(connection)
            _make(connection)
            statements.seed(connection, database.timeline(connection))
        event.listen(writer, "commit", _notify)
        yield database


@contextmanager
def _leading(url: str, *, wait: bool) -> Iterator[tuple[psycopg.Connection[Any], Engine]]:
    """Yield the leader's connection, and the engine that writes on it."""
    leading = leading_connection(url, wait=wait)
    with _disposed(writer_engine(leading)) as writer:
        try:
            yield leading, writer
        finally:
            engine.resign(writer)


def _make(connection: Connection) -> None:
    """Make the tables in an empty database, or migrate them."""
    is_new = not migrations.revision(connection)
    if is_new and inspect(connection).get_table_names():
        raise DataDirectoryError(
            "The database is not empty, and has no registry. Nothing was changed. Give the URL of"
            " an empty one."
        )
    migrations.upgrade(connection)
    if is_new:
        erasure.prepare(connection)
    roles.grant(connection)


def _check_encoding(connection: Connection) -> None:
    if connection.execute(text("SHOW server_encoding")).scalar_one() != "UTF8":
        raise DataDirectoryError(
            "The database of the registry has another encoding than UTF8. Make one with"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        )


def _notify(connection: Connection) -> None:
    connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")


@contextmanager
def _disposed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()
