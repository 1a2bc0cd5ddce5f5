"""Fixtures of the tests of the registry."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.data_directory import DataDirectory
from disrupt.registry import postgresql
from disrupt.registry.postgresql import roles
from rig.servers.postgresql import PostgreSql


@pytest.fixture
def chance() -> random.Random:
    return random.Random(21)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Make a data directory with secrets, and no registry yet."""
    directory = DataDirectory(tmp_path / "data")
    directory.make()
    directory.secrets()
    return directory.path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a registry that does not exist yet."""
    return tmp_path / "registry.db"


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSql]:
    """Start PostgreSQL, with a database ``registry`` that has an empty one."""
    with PostgreSql.create(wal_recycle="off") as server:
        server.sql(f"CREATE ROLE {roles.MATCH} LOGIN")
        server.sql("CREATE DATABASE registry")
        with (
            tempfile.TemporaryDirectory() as directory,
            postgresql.open_writer(server.url("registry"), Path(directory)),
        ):
            pass
        yield server


@pytest.fixture
def database(server: PostgreSql) -> Iterator[str]:
    """Return the URL of a database with an empty registry."""
    name = server.new_database("registry")
    yield server.url(name)
    server.drop(name)
