"""No file of PostgreSQL holds what was withdrawn, once the log was cleared."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from disrupt.core.renewals import identity_of
from disrupt.errors import DataDirectoryError
from disrupt.registry import postgresql as backend
from disrupt.registry.postgresql import engine, erasure, roles
from disrupt.registry.records import Registration
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import DAY, OWN, item_of, new_case, new_item, registration
from rig.servers.postgresql import PostgreSql, commands

pytestmark = pytest.mark.skipif(commands() is None, reason="PostgreSQL is not installed")

HASHES = 400
"""Enough of one item that its row does not hold them."""


@pytest.fixture
def writer(tmp_path: Path, database: str) -> Iterator[RegistryWriter]:
    with backend.open_writer(database, tmp_path) as writer:
        yield writer


def example(chance: random.Random) -> Registration:
    return registration(chance, new_case(chance), new_item(chance, 1), new_item(chance, HASHES))


def secrets_of(request: Registration) -> list[bytes]:
    """Return data made from hashes: some hashes of each item, its identity, the digest."""
    hashes = [row["hash"].tobytes() for item in request.items for row in item.fingerprints[::100]]
    identities = [identity_of(item.kind, item.fingerprints) for item in request.items]
    return [*hashes, *filter(None, identities), request.request_digest]


def are_found(server: PostgreSql, secrets: list[bytes]) -> list[bool]:
    """Tell of each secret whether a file of the server has half of it, as a page may end within."""
    server.sql("CHECKPOINT")
    files = [path for path in server.directory.rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in files]
    return [
        any(half in content for content in contents for half in (secret[:16], secret[16:]))
        for secret in secrets
    ]


def test_erased_bytes_are_found_before_withdrawal_and_nowhere_once_the_log_is_clear(
    server: PostgreSql, writer: RegistryWriter
) -> None:
    chance = random.Random(1)
    kept, gone = example(chance), example(chance)
    writer.register(kept, day=DAY)
    number = writer.register(gone, day=DAY).case_number
    assert all(are_found(server, secrets_of(gone)))
    writer.withdraw(number, None, day=DAY)
    assert writer.checkpoint()
    assert not any(are_found(server, secrets_of(gone)))
    assert all(are_found(server, secrets_of(kept)))


def test_what_a_renewed_item_had_alone_is_found_nowhere_after(
    server: PostgreSql, writer: RegistryWriter
) -> None:
    chance = random.Random(5)
    crops = [(1, ordinal, 0) for ordinal in range(HASHES)]
    first = registration(chance, None, item_of(chance, 1, OWN, *crops))
    own, *gone, _, digest = secrets_of(first)
    number = writer.register(first, day=DAY).case_number
    assert all(are_found(server, [*gone, digest]))
    writer.register(registration(chance, number, item_of(chance, 1, OWN, (2, 0, 0))), day=DAY)
    assert writer.checkpoint()
    assert not any(are_found(server, [*gone, digest]))
    assert all(are_found(server, [own]))


def test_rows_that_are_only_deleted_are_found(
    server: PostgreSql, writer: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "rewrite", lambda *_: None)
    gone = example(random.Random(2))
    number = writer.register(gone, day=DAY).case_number
    writer.withdraw(number, None, day=DAY)
    assert writer.checkpoint()
    assert any(are_found(server, secrets_of(gone)))


def test_a_reader_holds_erasure_up_and_the_next_checkpoint_finishes_it(
    server: PostgreSql,
    writer: RegistryWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(erasure, "_HELD_UP_S", 0.1)
    assert writer.checkpoint()
    gone = example(random.Random(3))
    number = writer.register(gone, day=DAY).case_number
    with writer.database.reader.begin() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM items").scalar_one()
        writer.withdraw(number, None, day=DAY)  # the reader does not delay the withdrawal
        assert not writer.checkpoint()
        assert any(are_found(server, secrets_of(gone)))
        later_s = time.time() + 3600
        with monkeypatch.context() as later:
            later.setattr(time, "time", lambda: later_s)
            assert 3600 <= writer.uncleared_s() < 2 * 3600
    assert writer.checkpoint()
    assert writer.uncleared_s() == 0
    assert not any(are_found(server, secrets_of(gone)))


def test_the_role_that_writes_needs_two_rights_more_than_its_database(
    server: PostgreSql, tmp_path: Path
) -> None:
    server.sql("CREATE ROLE disrupt LOGIN")
    server.sql("CREATE DATABASE plain OWNER disrupt")
    gone = example(random.Random(6))
    with backend.open_writer(server.url("plain", user="disrupt"), tmp_path) as writer:
        writer.check_storage()
        number = writer.register(gone, day=DAY).case_number
        writer.withdraw(number, None, day=DAY)
        for right in ("EXECUTE ON FUNCTION pg_switch_wal()", "pg_checkpoint"):
            with pytest.raises(DataDirectoryError, match="refuses"):
                writer.checkpoint()
            server.sql(f"GRANT {right} TO disrupt", "plain")
        with closing(engine.connect(server.url("plain"))) as other:
            other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            other.execute("SELECT count(*) FROM items")
            later = writer.register(example(random.Random(7)), day=DAY).case_number
            writer.withdraw(later, None, day=DAY)
            assert not writer.checkpoint()  # it sees what another user's transaction holds up
        assert writer.checkpoint()
    assert not any(are_found(server, secrets_of(gone)))


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_idle_transactions_of_a_node_are_ended_and_of_others_waited_for(
    tmp_path: Path, isolation: str
) -> None:
    gone = example(random.Random(8))
    with PostgreSql.create(wal_recycle="off") as server:
        server.make_registry()
        with backend.open_writer(server.url("disrupt", "disrupt"), tmp_path) as writer:
            number = writer.register(gone, day=DAY).case_number
            writer.withdraw(number, None, day=DAY)
            with (
                closing(psycopg.connect(server.url("disrupt", roles.MATCH))) as node,
                closing(psycopg.connect(server.url("disrupt", roles.MATCH))) as idle,
                closing(psycopg.connect(server.url("disrupt", "disrupt"))) as backup,
            ):
                idle.autocommit = True
                for connection in (node, backup):
                    connection.execute(f"SET TRANSACTION ISOLATION LEVEL {isolation}")
                    connection.execute("SELECT count(*) FROM fingerprints")
                assert not writer.checkpoint()
                assert backup.execute("SELECT 1").fetchone() == (1,)
                backup.rollback()
                assert writer.checkpoint()
                assert not any(are_found(server, secrets_of(gone)))
                assert idle.execute("SELECT 1").fetchone() == (1,)
                with pytest.raises(psycopg.OperationalError):
                    node.execute("SELECT 1")


def test_a_transaction_that_may_write_holds_erasure_up_too(
    server: PostgreSql, writer: RegistryWriter, database: str
) -> None:
    gone = example(random.Random("a transaction that may write"))
    number = writer.register(gone, day=DAY).case_number
    with closing(psycopg.connect(database)) as other:
        other.execute("SELECT pg_current_xact_id()")
        writer.withdraw(number, None, day=DAY)
        assert not writer.checkpoint()
    assert writer.checkpoint()
    assert not any(are_found(server, secrets_of(gone)))


def test_a_writer_that_waits_to_lead_does_not_hold_erasure_up(
    server: PostgreSql, database: str, tmp_path: Path
) -> None:
    gone = example(random.Random(6))
    asks = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%advisory_lock($1)'"
    with ThreadPoolExecutor(1) as pool, backend.open_writer(database, tmp_path) as writer:
        number = writer.register(gone, day=DAY).case_number
        other = pool.submit(lead_once, database, tmp_path / "other")
        while server.sql(asks) == "0":
            assert not other.done()
        writer.withdraw(number, None, day=DAY)
        assert writer.checkpoint()
    other.result()
    assert not any(are_found(server, secrets_of(gone)))


def lead_once(url: str, directory: Path) -> None:
    directory.mkdir()
    with backend.open_writer(url, directory, wait=True):
        pass


def test_a_table_of_another_user_is_not_taken_for_cleared(
    server: PostgreSql, writer: RegistryWriter, database: str
) -> None:
    number = writer.register(example(random.Random(7)), day=DAY).case_number
    writer.withdraw(number, None, day=DAY)
    name = database.rpartition("/")[2]
    server.sql("CREATE ROLE guest LOGIN; GRANT pg_checkpoint, pg_read_all_data TO guest")
    with (
        closing(psycopg.connect(server.url(name, "guest"), autocommit=True)) as guest,
        pytest.raises(DataDirectoryError, match="table fingerprints_0"),
    ):
        erasure.vacuum(guest)


def test_each_partition_that_had_a_withdrawn_item_is_written_anew(
    server: PostgreSql, writer: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ITEMS_PER_PART", 2)
    chance = random.Random(4)
    requests = [example(chance) for _ in range(4)]
    numbers = [writer.register(request, day=DAY).case_number for request in requests]
    written = list[str]()
    rewrite = erasure.rewrite

    def noted(connection: psycopg.Connection[Any], table: str) -> None:
        written.append(table)
        rewrite(connection, table)

    monkeypatch.setattr(erasure, "rewrite", noted)
    writer.withdraw(numbers[1], None, day=DAY)
    assert writer.checkpoint()
    assert written == [
        *("fingerprints_1", "fingerprints_2"),
        *("requests", "identities", "list_entries"),
    ]
    assert writer.checkpoint()
    assert len(written) == 5  # nothing was left to do
    assert not any(are_found(server, secrets_of(requests[1])))
