"""Dump the registry's database to a file, and load one, by pg_dump and pg_restore."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, inspect, text, update

from disrupt.errors import DataDirectoryError, StorageFullError
from disrupt.registry.postgresql import engine
from disrupt.registry.sql import migrations, queries, schema

_FULL = "No space left on device"


def dump(url: str, target: Path) -> tuple[str, int, str]:
    """Write the database, as of one moment, over an empty file; the caller makes it durable.

    Returns epoch (hex), newest sequence and schema revision of that moment. Writers go on
    meanwhile; erasure waits. DataDirectoryError where pg_dump is missing or fails, StorageFullError
    where it finds no room.
    """
    reader = engine.reader_engine(url)
    try:
        with engine.translated_errors(), reader.begin() as connection:
            engine.lift_limits(_session(connection))
            snapshot = connection.execute(text("SELECT pg_export_snapshot()")).scalar_one()
            epoch, sequence = queries.position(connection)
            revision = migrations.revision(connection)
            options = ("--format=custom", f"--snapshot={snapshot}", f"--file={target}")
            _run("pg_dump", _session(connection), *options)
            return epoch.hex(), sequence, revision
    finally:
        reader.dispose()


def load(url: str, source: Path) -> None:
    """Fill an empty database from a dump: with all of it, or with nothing.

    DataDirectoryError where the database is not empty, or pg_restore is missing or fails.
    """
    connecting = engine.connect(url)
    writer = engine.writer_engine(connecting)
    with closing(connecting), engine.translated_errors():
        with writer.begin() as connection:
            if inspect(connection).get_table_names():
                raise DataDirectoryError(
                    "The database to restore to is not empty. Nothing was changed. Give the URL of"
                    " an empty one with --to; or drop it, where it is no longer needed, and make it"
                    " anew."
                )
        options = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges")
        _run("pg_restore", connecting, *options, str(source))
        with writer.begin() as connection:  # else its first writer would begin an epoch
            connection.execute(update(schema.registry).values(timeline=engine.timeline(connection)))


def clear(url: str) -> None:
    """Drop the tables that ``load`` has made."""
    names = ", ".join(["alembic_version", *schema.metadata.tables])
    with engine.translated_errors(), closing(engine.connect(url)) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {names} CASCADE")
        connection.commit()


def _session(connection: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def _run(name: str, session: psycopg.Connection[Any], *options: str) -> None:
    """Run a command of PostgreSQL on the database of a session."""
    # Other users of this machine see the words of a command, and not its environment.
    environment = os.environ | {"PGPASSWORD": session.info.password}
    command = [name, "--no-password", f"--dbname={session.info.dsn}", *options]
    try:
        done = subprocess.run(  # noqa: S603 the URL is the operator's
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise DataDirectoryError(
            f"{name} is not installed here. Install the client of PostgreSQL (Debian:"
            " postgresql-client), of the server's version or later."
        ) from error
    if done.returncode:
        # the first line alone: what follows may quote a row
        reason = done.stderr.decode(errors="replace").partition("\n")[0] or str(done.returncode)
        problem = StorageFullError if _FULL in reason else DataDirectoryError
        raise problem(f"The registry's database was not copied: {reason}")
