"""SQLite as the registry's database: connections, transactions, pragmas, error codes.

Changes must be numbered in the order of their commits: here the single writing connection gives
that. A backend in which several connections write needs a lock for it, held from before the first
number is drawn until after the commit.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Engine, QueuePool, create_engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from disrupt.errors import (
    DataDirectoryError,
    DisruptError,
    RegistryReplacedError,
    StorageFullError,
    UnavailableError,
)

_READER_BUSY_TIMEOUT_S = 5.0
_WRITER_BUSY_TIMEOUT_S = 1.0
"""The writer is alone: it waits only for readers at a checkpoint, holding up registrations."""

# Full disk; over a quota or file size limit; no room for the -shm file.
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
_CODE = "sqlite_errorcode"
_DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}

_UNREADABLE = (
    "A record of the registry cannot be read: it is damaged, or of a newer version of Disrupt."
    " Restore the registry from a backup."
)


def reader_engine(path: Path) -> Engine:
    """Make an engine that only reads, also while another process writes; never makes the file.

    Each transaction sees one state, and raises RegistryReplacedError once another file is in the
    place of the one that was opened. Any number of threads at once.
    """
    return _engine(path, "ro", "BEGIN", _READER_BUSY_TIMEOUT_S, pool_size=4, max_overflow=-1)


def writer_engine(path: Path) -> Engine:
    """Make an engine of one writing connection; threads take turns, and the file must exist.

    Each transaction raises RegistryReplacedError once another file is in the place of the one that
    was opened.

    Durable on commit (WAL, synchronous=FULL); deleted content is zeroed. One connection also
    because of SQLite 3.7.0-3.51.2, where several that write or checkpoint at once may corrupt the
    database (https://sqlite.org/wal.html#walresetbug).
    """
    return _engine(
        path,
        "rw",
        "BEGIN IMMEDIATE",
        _WRITER_BUSY_TIMEOUT_S,
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        "foreign_keys=ON",
        pool_size=1,
        max_overflow=0,
    )


def _engine(
    path: Path,
    mode: str,
    begin: str,
    busy_timeout_s: float,
    *pragmas: str,
    pool_size: int,
    max_overflow: int,
) -> Engine:
    opened: list[tuple[int, int] | None] = []

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=busy_timeout_s,
            isolation_level=None,  # This module begins transactions.
            check_same_thread=False,  # the pool hands a connection to one thread at a time
        )
        # Temporary tables stay in memory: no temporary file ever holds a fingerprint.
        try:
            for pragma in ("temp_store=MEMORY", *pragmas):
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        if not opened:
            opened.append(_file(path))
        return connection

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=QueuePool,
        pool_size=pool_size,
        max_overflow=max_overflow,
        hide_parameters=True,  # error texts must not carry hashes
    )

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        # A connection keeps a file open that was replaced; the next one would open the new file.
        if _file(path) not in opened:
            raise RegistryReplacedError(
                f"{path.name} was replaced or deleted while it was open; nothing was stored. Stop"
                " the server, put the right file in place, and start again."
            )
        connection.exec_driver_sql(begin)

    return engine


def _file(path: Path) -> tuple[int, int] | None:
    """Return what distinguishes a file from another of the same name; None where it is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def truncate_wal(engine: Engine) -> bool:
    """Copy the WAL into the database file and empty it; False where a reader held it up."""
    with closing(engine.raw_connection()) as connection:
        # Use the raw cursor: a statement of an SQLAlchemy connection would begin a transaction.
        cursor = connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy, _, _ = cursor.fetchone()
    return bool(busy == 0)


def rewrite_header(connection: Connection) -> None:
    """Write the first page of the database again, unchanged."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA user_version = {int(version)}")


def skip_numbers(connection: Connection, table: str, last: int) -> None:
    """Make the next number that an AUTOINCREMENT table draws at least ``last`` + 1."""
    row = {"name": table, "last": last}
    raised = text("UPDATE sqlite_sequence SET seq = max(seq, :last) WHERE name = :name")
    if not connection.execute(raised, row).rowcount:  # nothing was ever added
        connection.execute(text("INSERT INTO sqlite_sequence VALUES (:name, :last)"), row)


def last_number(connection: Connection, table: str) -> int:
    """Return the largest number that an AUTOINCREMENT table has drawn or skipped, or 0."""
    drawn = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
    return int(connection.execute(drawn, {"name": table}).scalar_one_or_none() or 0)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate what the database raises into errors of this project."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        code = getattr(error.orig if isinstance(error, DBAPIError) else error, _CODE, None)
        # Python's own errors have no code and quote what they could not read: drop them.
        raise _translate(error, code) from (None if code is None else error)
    except ValueError:
        # of a value that no version wrote, or a later one: without the error, which quotes it
        raise DataDirectoryError(_UNREADABLE) from None


def _translate(error: Exception, code: int | None) -> DisruptError:
    if str(error.__cause__ or error).startswith("Could not decode to UTF-8"):
        return DataDirectoryError(_UNREADABLE)
    if isinstance(error, IntegrityError):
        return UnavailableError("A number drawn at random is taken already. Try again.")
    if code in _FULL:
        return StorageFullError(
            "The disk of the registry is full; nothing was stored. Free space, then try again."
        )
    if code is not None and code & 0xFF in _DAMAGED:
        return DataDirectoryError(
            "The registry file is damaged or no registry. Restore it from a backup."
        )
    return UnavailableError("The registry cannot be reached now. Try again.")
