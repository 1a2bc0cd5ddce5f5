"""What roles and settings of PostgreSQL, as an operator makes them, let a writer and a node do."""

from __future__ import annotations

import json
import random
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from disrupt.data_directory import DataDirectory
from disrupt.doctor import data
from disrupt.doctor.findings import Verdict
from disrupt.registry import opening
from disrupt.registry import postgresql as backend
from disrupt.registry.postgresql import engine, roles
from rig.media.registrations import DAY, registration
from rig.servers.postgresql import RIGHTS, PostgreSql, commands

pytestmark = pytest.mark.skipif(commands() is None, reason="PostgreSQL is not installed")


def test_the_roles_of_the_page_can_write_and_read_and_the_nodes_cannot_lock_writers_out(
    tmp_path: Path,
) -> None:
    with PostgreSql.create() as server:  # one of its own: roles are of all databases
        server.make_registry()
        assert backend.obstacles_to_erasure(server.url("disrupt", "disrupt")) == [
            "wal_recycle is on: log files that are used again keep it"
        ]
        node = server.url("disrupt", roles.MATCH)
        with backend.open_writer(server.url("disrupt", "disrupt"), tmp_path) as writer:
            case = writer.register(registration(random.Random(1)), day=DAY).case_number
            writer.withdraw(case, None, day=DAY)
            assert writer.checkpoint()
            with backend.open_reader(node, tmp_path) as reader:
                assert reader.head() == writer.head()
            assert not backend.reads_cases(node)
        with closing(psycopg.connect(node, autocommit=True)) as connection:
            for refused in (
                f"SELECT pg_advisory_lock({engine.LEADER})",
                f"SELECT pg_try_advisory_xact_lock_shared({engine.LEADER})",
                "CREATE TEMP TABLE own (number int)",
                "CREATE TABLE own (number int)",
                "SELECT lo_create(0)",
                "SELECT lo_creat(-1)",
                "SELECT lo_from_bytea(0, 'x')",
                "SELECT lo_put(1, 0, 'x')",
                "SELECT lo_import('/etc/hostname')",
                "SELECT lo_open(1, 131072)",
                "SELECT lowrite(0, 'x')",
                "SELECT pg_logical_emit_message(false, '', 'x')",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(refused)
            for timeout in ("idle_in_transaction_session_timeout", "statement_timeout"):
                assert connection.execute(f"SHOW {timeout}").fetchone() != ("0",)


def test_no_limit_of_a_role_or_database_ends_the_session_that_leads(
    server: PostgreSql, database: str
) -> None:
    known = ", ".join(f"'{name}'" for name in engine.LIMITS)
    limits = f"FROM pg_settings WHERE name IN ({known})"
    name = database.rpartition("/")[2]
    for limit in server.sql(f"SELECT name {limits}").split():
        server.sql(f"ALTER DATABASE {name} SET {limit} = '1h'")
    with closing(engine.leading_connection(database, wait=False)) as leading:
        assert leading.execute(f"SELECT DISTINCT setting {limits}").fetchall() == [("0",)]


def test_the_doctor_names_the_settings_and_rights_that_leave_withdrawn_bytes(
    data_dir: Path,
) -> None:
    directory = DataDirectory(data_dir)

    def warnings() -> list[str]:
        found = data.registry(data_dir)
        return [finding.meaning for finding in found if finding.verdict != Verdict.OK]

    with PostgreSql.create(wal_keep_size="1MB", archive_mode="on") as server:
        server.sql("CREATE ROLE disrupt LOGIN")
        server.sql("CREATE DATABASE disrupt OWNER disrupt")
        directory.note_registry_url(server.url("disrupt", "disrupt"))
        with opening.writing(directory):
            pass
        (warning,) = warnings()
        for name in (
            *("wal_recycle", "wal_keep_size", "archive_mode"),
            *("pg_checkpoint", "pg_switch_wal"),
        ):
            assert name in warning
        server.sql("GRANT pg_checkpoint TO disrupt")
        server.sql("GRANT EXECUTE ON FUNCTION pg_switch_wal TO disrupt", "disrupt")
        server.stop()
        server.configure(wal_keep_size="0", archive_mode="off", wal_recycle="off")
        server.start()
        assert warnings() == []
        server.sql(f"CREATE ROLE {roles.MATCH} LOGIN")
        (warning,) = warnings()
        for name in ("may not end", "idle_in_transaction_session_timeout", "large objects"):
            assert name in warning
        server.sql(RIGHTS, "disrupt")
        assert warnings() == []
        directory.secrets_file.write_text(json.dumps({"match_tokens": "1" * 64}))
        (warning,) = warnings()
        assert "may read cases" in warning
