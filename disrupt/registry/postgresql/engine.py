"""PostgreSQL as the registry's database: connections, the leader's lock, error codes.

Changes must be numbered in the order of their commits. So one connection writes, which holds an
advisory lock of the database as long as it lives. Where it is lost, nothing can be written by this
process any more: another may hold the lock already.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from disrupt.errors import (
    DataDirectoryError,
    DataDirectoryInUseError,
    DisruptError,
    LeadershipLostError,
    StorageFullError,
    UnavailableError,
)

LEADER = 0x64697372757074
"""Key of the advisory lock that whoever writes holds: "disrupt" in ASCII."""

_SCHEMES = ("postgresql://", "postgres://")
_CONNECT_TIMEOUT_S = 5
_RETRY_S = 0.2
"""Pause between two tries to lead."""
_LOST_AFTER_MS = 4000
"""Within so long either end notices that the other does not answer: a leader that is cut off keeps
its lock no longer."""
_KEEPALIVES = {"keepalives_idle": 2, "keepalives_interval": 1, "keepalives_count": 2}

LIMITS = [
    *("lock_timeout", "statement_timeout", "transaction_timeout"),
    *("idle_session_timeout", "idle_in_transaction_session_timeout"),
]
"""Settings, as of a role, that would end a leader's session. Older servers have not all of them."""

_FULL = "53100"
_DAMAGED = ("XX001", "XX002")
_NOT_ALLOWED = "42"
"""Class of codes for a missing privilege, or a missing table."""
_REFUSALS = ("authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied")
"""Parts of libpq's messages of failures that waiting does not mend."""

_UNREADABLE = (
    "A record of the registry cannot be read: it is damaged, or of a newer version of Disrupt."
    " Restore the database of the registry from a backup."
)


def connect(url: str, **parameters: str) -> psycopg.Connection[Any]:
    """Connect to the database of a URL, with libpq's parameters where the URL gives no others.

    DataDirectoryError where the URL is none or is refused, UnavailableError where nothing answers.
    No message quotes the URL, which may hold a password.
    """
    try:
        given = conninfo_to_dict(url) if url.startswith(_SCHEMES) else None
    except psycopg.ProgrammingError:
        given = None
    if given is None:
        raise DataDirectoryError(
            "The URL of the registry is none of a PostgreSQL database. It has to be of the form"
            " postgresql://USER@HOST:PORT/DATABASE; options follow a question mark."
        )
    defaults: dict[str, Any] = {
        "application_name": "disrupt",
        "client_encoding": "utf8",  # so that one in SQL_ASCII is refused in words
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "tcp_user_timeout": _LOST_AFTER_MS,
        "target_session_attrs": "primary",  # a standby may be behind, and would not say so
        **_KEEPALIVES,
        **parameters,
    }
    try:
        # Statements are planned for their values: a plan for any would read all partitions.
        return psycopg.connect(**defaults | given, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise _refusal(error, given) from None


def _refusal(error: psycopg.OperationalError, given: dict[str, Any]) -> DisruptError:
    reason = str(error).strip().replace("\n", " ")
    if password := given.get("password"):
        reason = reason.replace(password, "…")
    if any(refusal in reason for refusal in _REFUSALS):
        return DataDirectoryError(f"The database of the registry refuses the connection: {reason}")
    return UnavailableError(f"The database of the registry cannot be reached now: {reason}")


def reader_engine(url: str) -> Engine:
    """Make an engine that only reads. Each transaction sees one state. Any number of threads."""

    def connected() -> psycopg.Connection[Any]:
        connection = connect(url)
        # What is read comes in pages, by keys: nested loops read no more than that.
        with connection.transaction():
            connection.execute("SET enable_hashjoin = off; SET enable_mergejoin = off")
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        return connection

    return _engine(connected, pool_size=4, max_overflow=-1)


def writer_engine(leading: psycopg.Connection[Any]) -> Engine:
    """Make an engine of the one connection that writes; threads take turns.

    Raises LeadershipLostError once that connection is lost.
    """
    led = [leading]

    def connected() -> psycopg.Connection[Any]:
        if not led:
            raise _lost()
        return led.pop()

    engine = _engine(connected, pool_size=1, max_overflow=0)

    @event.listens_for(engine, "handle_error")
    def stop(context: ExceptionContext) -> None:
        if context.is_disconnect:
            raise _lost() from context.original_exception

    return engine


def resign(writer: Engine) -> None:
    """Release the leader's lock, and end the connection that writes. Waits for its turn.

    The server ends the session of a closed connection only later; until then nobody could lead.
    """
    with suppress(LeadershipLostError, SQLAlchemyError), writer.connect() as connection:
        connection.execute(text("SELECT pg_advisory_unlock(:leader)"), {"leader": LEADER})
        connection.invalidate()  # within this turn: no other may write without the lock


def _engine(connected: Callable[[], psycopg.Connection[Any]], **pool: int) -> Engine:
    return create_engine(
        "postgresql+psycopg://",
        creator=connected,
        poolclass=QueuePool,
        hide_parameters=True,  # error texts must not carry hashes
        **pool,
    )


def check_leading(leading: psycopg.Connection[Any]) -> None:
    """Raise LeadershipLostError where a connection is lost. Any thread, whatever uses it."""
    watched = select.poll()
    try:
        watched.register(leading.fileno(), select.POLLRDHUP)
    except psycopg.OperationalError:  # it is closed
        raise _lost() from None
    if watched.poll(0):
        raise _lost()


def leading_connection(url: str, *, wait: bool) -> psycopg.Connection[Any]:
    """Return a connection that holds the leader's lock, and writes durably.

    Waits for the lock, or raises DataDirectoryInUseError.
    """
    connection = connect(url, target_session_attrs="read-write")
    try:
        connection.autocommit = True
        for name, value in {
            "tcp_user_timeout": _LOST_AFTER_MS,
            "default_transaction_isolation": "read committed",
            **{f"tcp_{name}": value for name, value in _KEEPALIVES.items()},
        }.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
        lift_limits(connection)
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        _lock(connection, wait=wait)
        connection.autocommit = False
    except psycopg.Error as error:
        connection.close()
        raise _translate(error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def lift_limits(connection: psycopg.Connection[Any]) -> None:
    """Let no setting end a session, however long it waits."""
    connection.execute(
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY(%s)", (LIMITS,)
    )


def timeline(connection: Connection) -> int:
    """Return the timeline of the log, which every promotion of a standby raises."""
    query = "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint"
    return int(connection.execute(text(query)).scalar_one())


def _lock(connection: psycopg.Connection[Any], *, wait: bool) -> None:
    # Asked again and again: a statement that waits would hold up erasure, as a reader does.
    while connection.execute("SELECT pg_try_advisory_lock(%s)", (LEADER,)).fetchone() != (True,):
        if not wait:
            raise DataDirectoryInUseError(
                "Another server or command writes to the database of the registry. Stop it, or run"
                " this where it runs."
            )
        time.sleep(_RETRY_S)


def _lost() -> LeadershipLostError:
    return LeadershipLostError(
        "The connection to the database of the registry was lost; whether the change took effect is"
        " not known. Try again: what was stored is not stored twice."
    )


@contextmanager
def translated_errors() -> Iterator[None]:
    """Translate what the database raises into errors of this project."""
    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as error:
        raise _translate(error) from error
    except ValueError:
        # of a value that no version wrote, or a later one: without the error, which quotes it
        raise DataDirectoryError(_UNREADABLE) from None


def _translate(error: Exception) -> DisruptError:
    code = getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None) or ""
    if isinstance(error, IntegrityError | psycopg.IntegrityError):
        return UnavailableError("A number drawn at random is taken already. Try again.")
    if code == _FULL:
        return StorageFullError(
            "The disk of the registry's database is full; nothing was stored. Free space, then try"
            " again."
        )
    if code in _DAMAGED:
        return DataDirectoryError(
            "The database of the registry is damaged. Restore it from a backup."
        )
    if code.startswith(_NOT_ALLOWED):
        reason = error.orig if isinstance(error, DBAPIError) else error
        primary = getattr(getattr(reason, "diag", None), "message_primary", code)
        return DataDirectoryError(f"The database of the registry refuses: {primary}.")
    return UnavailableError("The registry cannot be reached now. Try again.")
