"""Leave no file of the database with bytes that were erased.

A deleted row stays in its table, and in the log, until both are written anew. What the copies of
the database hold that others keep (standbys, archives, backups) is theirs: see docs/erasure.md.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from disrupt.errors import DataDirectoryError
from disrupt.registry.postgresql import roles

ITEMS_PER_PART = 1 << 16
"""Numbers of items in one partition of ``fingerprints``, the least that is written anew.

More make that take longer: of 6.5 M hashes some seconds. Fewer make more partitions, which every
read of the feed has to lock."""

_LOCK_WITHIN_MS = 1000
_HELD_UP_S, _RETRY_S = 1.0, 0.05
_ALSO = ("requests", "identities", "list_entries")
"""Tables with what is made from hashes, beside the partitions."""


def prepare(connection: Connection) -> None:
    """Keep bytes made from hashes out of the statistics of new tables."""
    columns = (
        *(("fingerprints", "fingerprints"), ("requests", "digest"), ("identities", "identity")),
        ("list_entries", "source_id"),
    )
    for table, column in columns:
        connection.execute(text(f"ALTER TABLE {table} ALTER {column} SET STATISTICS 0"))


def make_room(connection: Connection, numbers: Sequence[int]) -> None:
    """Make the partitions for items of these numbers, unless they are there."""
    for part in sorted({number // ITEMS_PER_PART for number in numbers}):
        name = _name(part)
        if connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar_one():
            continue
        values = f"FROM ({part * ITEMS_PER_PART}) TO ({(part + 1) * ITEMS_PER_PART})"
        # Attached, not made as a part: readers go on meanwhile. Large values are stored in pieces,
        # not compressed.
        for change in (
            f"CREATE TABLE {name} (LIKE fingerprints INCLUDING ALL)",
            f"ALTER TABLE {name} ALTER fingerprints SET STORAGE EXTERNAL",
            f"ALTER TABLE {name} ALTER fingerprints SET STATISTICS 0",
            f"ALTER TABLE fingerprints ATTACH PARTITION {name} FOR VALUES {values}",
        ):
            connection.execute(text(change))


def _name(part: int) -> str:
    return f"fingerprints_{part}"


def vacuum(connection: psycopg.Connection[Any]) -> int | None:
    """Write anew what holds erased bytes, and the log; return the newest change that this covers.

    The connection is in autocommit. None where nothing changed since. Ends sessions of the nodes'
    role that hold it up, where the user may. LockNotAvailable where others do. Takes some seconds.
    """
    row = connection.execute(
        "SELECT max(sequence), array_agg(DISTINCT item / %s) FILTER (WHERE kind = 2)"
        " FROM changes, registry WHERE sequence > vacuumed",
        (ITEMS_PER_PART,),
    ).fetchone()
    newest, parts = row or (None, None)
    if newest is None or parts is None:
        return newest
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{_LOCK_WITHIN_MS}ms",))
    tables = [*map(_name, sorted(parts)), *_ALSO]
    try:
        _rewrite_all(connection, tables)
    except psycopg.errors.LockNotAvailable:
        if not _end_nodes_transactions(connection):
            raise
        _rewrite_all(connection, tables)
    # The end of the first checkpoint is in the log that the second one leaves behind.
    for _ in range(2):
        connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
    return int(newest)


def obstacles(connection: psycopg.Connection[Any]) -> list[str]:
    """Say which settings and missing rights leave erased bytes in files, and where."""
    rows = connection.execute(
        "WITH nodes AS (SELECT oid, rolname, rolconfig FROM pg_roles WHERE rolname = %s)"
        " SELECT 'wal_recycle is on: log files that are used again keep it'"
        " WHERE current_setting('wal_recycle')::bool"
        " UNION ALL SELECT 'wal_keep_size is not 0: the log that is kept for standbys keeps it'"
        " WHERE current_setting('wal_keep_size') <> '0'"
        " UNION ALL SELECT 'archive_mode is on: the archive keeps it until you delete it'"
        " WHERE current_setting('archive_mode') <> 'off'"
        " UNION ALL SELECT 'the user lacks pg_checkpoint: tables and log are not cleared'"
        " WHERE NOT pg_has_role('pg_checkpoint', 'USAGE')"
        " UNION ALL SELECT 'the user lacks pg_switch_wal: tables and log are not cleared'"
        " WHERE NOT has_function_privilege('pg_switch_wal()', 'EXECUTE')"
        " UNION ALL SELECT 'the user may not end transactions of ' || rolname || ', which hold"
        " erasure up' FROM nodes WHERE NOT pg_has_role(oid, 'USAGE')"
        " UNION ALL SELECT rolname || ' has no idle_in_transaction_session_timeout: one that is"
        " forgotten holds erasure up' FROM nodes WHERE NOT coalesce(rolconfig::text, '')"
        " LIKE '%%idle_in_transaction_session_timeout%%'"
        " UNION ALL SELECT rolname || ' may write large objects, which nothing erases'"
        " FROM nodes WHERE has_function_privilege(oid, 'lo_from_bytea(oid, bytea)', 'EXECUTE')",
        (roles.MATCH,),
    )
    return [reason for (reason,) in rows]


def _rewrite_all(connection: psycopg.Connection[Any], tables: Sequence[str]) -> None:
    _wait_for_readers(connection)
    for table in tables:
        rewrite(connection, table)


def rewrite(connection: psycopg.Connection[Any], table: str) -> None:
    """Write a table anew, without what was deleted.

    DataDirectoryError where the user may not: PostgreSQL leaves the table out then, and goes on.
    """
    before = _file(connection, table)
    connection.execute(sql.SQL("VACUUM (FULL) {}").format(sql.Identifier(table)))
    if _file(connection, table) == before:
        raise DataDirectoryError(
            f"PostgreSQL does not write the table {table} anew for the user of registry.url, who"
            " has to own it: what was withdrawn stays in its file."
        )


def _file(connection: psycopg.Connection[Any], table: str) -> object:
    return connection.execute("SELECT pg_relation_filenode(%s::regclass)", (table,)).fetchone()


def _wait_for_readers(connection: psycopg.Connection[Any]) -> None:
    """Wait until nobody sees what is erased: else it would be copied. LockNotAvailable if not."""
    drawn = connection.execute("SELECT pg_current_xact_id()::xid::text").fetchone()
    give_up_s = time.monotonic() + _HELD_UP_S
    while True:
        older = connection.execute(
            "SELECT count(*) FROM (SELECT unnest(ARRAY[backend_xmin, backend_xid]) AS xmin"
            " FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND coalesce(datname, current_database()) = current_database()"
            " UNION ALL SELECT xmin FROM pg_replication_slots"
            " UNION ALL SELECT transaction FROM pg_prepared_xacts) AS held"
            " WHERE age(xmin) > age(%s::xid)",
            drawn,
        ).fetchone()
        if older == (0,):
            return
        if time.monotonic() > give_up_s:
            raise psycopg.errors.LockNotAvailable("a transaction began before")
        time.sleep(_RETRY_S)


def _end_nodes_transactions(connection: psycopg.Connection[Any]) -> bool:
    """End the sessions of machines that answer lookups, where these are in a transaction.

    Nodes read page by page, and connect anew. Tell whether there was any that the user may end.
    """
    ended = connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND usename = %s AND pg_has_role(usesysid, 'USAGE') AND xact_start IS NOT NULL",
        (roles.MATCH,),
    )
    return bool(ended.fetchall())
