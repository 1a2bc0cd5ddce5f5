"""The server of PostgreSQL that tests start: a database each, and nothing of it is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.servers.postgresql import PostgreSql


def test_each_database_is_a_copy_and_what_was_committed_outlives_a_kill(
    postgresql: PostgreSql,
) -> None:
    template = postgresql.new_database()
    postgresql.sql("CREATE TABLE kept (number int)", template)
    first, second = (postgresql.new_database(template) for _ in range(2))
    postgresql.sql("INSERT INTO kept VALUES (7)", first)
    postgresql.kill()
    postgresql.start()
    counts = [postgresql.sql("SELECT count(*) FROM kept", name) for name in (first, second)]
    assert counts == ["1", "0"]
    for name in (first, second, template):
        postgresql.drop(name)


@pytest.mark.usefixtures("postgresql")
def test_a_server_leaves_neither_a_process_nor_a_file() -> None:
    with PostgreSql.create() as server:
        assert server.sql("SHOW server_version_num") >= "150000"
        assert server.process
        process = server.process.pid
    assert not server.directory.exists()
    assert not Path(f"/proc/{process}").exists()
