"""The registry on SQLite keeps the promises of every registry."""

import tempfile
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import settings

from disrupt.registry.contract import RegistryWriter
from disrupt.registry.sql import SqlRegistry
from tests.registry.conformance import OpenReader, OpenWriter, RegistryConformance
from tests.registry.machine import RegistryMachine


class TestSqliteConforms(RegistryConformance):
    @pytest.fixture
    def open_writer(self, tmp_path: Path) -> OpenWriter:
        return lambda: SqlRegistry.open_writer(tmp_path / "registry.db")

    @pytest.fixture
    def open_reader(self, tmp_path: Path) -> OpenReader:
        return lambda: SqlRegistry.open_reader(tmp_path / "registry.db")


class SqliteMachine(RegistryMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()

    def open_writer(self) -> AbstractContextManager[RegistryWriter]:
        return SqlRegistry.open_writer(Path(self.directory.name) / "registry.db")

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


TestSqliteEqualsAPlainModel = SqliteMachine.TestCase
TestSqliteEqualsAPlainModel.settings = settings(max_examples=40, stateful_step_count=20)
