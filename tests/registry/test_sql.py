"""The registry on SQLite keeps the promises of every registry."""

import random
import sqlite3
import tempfile
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from hypothesis import settings

from disrupt.core.case_erasures import DELAY_S
from disrupt.core.media import ItemState
from disrupt.core.policy import MINORS, ApiKey, Bank
from disrupt.registry import statements
from disrupt.registry.contract import RegistryWriter
from disrupt.registry.sql import SqlRegistry
from tests.properties import FEW
from tests.registry.case_erasures import AT_S, REVIEWERS, by, by_server
from tests.registry.case_erasures_machine import CaseErasuresMachine
from tests.registry.conformance import OpenReader, OpenWriter, RegistryConformance
from tests.registry.examples import ACT, DAY, item_of, registration
from tests.registry.keys_machine import KeysMachine
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


class SqliteKeysMachine(KeysMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()

    def open_writer(self) -> AbstractContextManager[RegistryWriter]:
        return SqlRegistry.open_writer(Path(self.directory.name) / "registry.db")

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


class SqliteCaseErasuresMachine(CaseErasuresMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()

    def open_writer(self) -> AbstractContextManager[RegistryWriter]:
        return SqlRegistry.open_writer(Path(self.directory.name) / "registry.db")

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


TestSqliteErasuresEqualAPlainModel = SqliteCaseErasuresMachine.TestCase
TestSqliteErasuresEqualAPlainModel.settings = settings(max_examples=FEW, stateful_step_count=30)
TestSqliteEqualsAPlainModel = SqliteMachine.TestCase
TestSqliteEqualsAPlainModel.settings = settings(max_examples=FEW, stateful_step_count=20)
TestKeysInSqliteEqualAPlainModel = SqliteKeysMachine.TestCase
TestKeysInSqliteEqualAPlainModel.settings = settings(max_examples=FEW, stateful_step_count=30)


def test_a_new_registry_has_all_that_the_first_banks_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adults = Bank(1, "adults", 20, True, frozenset({"b", "a"}), 10)  # noqa: FBT003
    monkeypatch.setattr(statements, "FIRST_BANKS", (adults, MINORS))
    for _ in range(2):
        with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
            assert writer.banks() == (adults, MINORS)
            assert writer.acts(0, 9) == []


def test_an_item_that_more_answers_name_than_a_statement_has_variables_can_be_withdrawn(
    tmp_path: Path,
) -> None:
    chance, path = random.Random(5), tmp_path / "registry.db"
    with SqlRegistry.open_writer(path) as writer:
        pictures = [item_of(chance, number) for number in (1, 2, 3)]
        number = writer.register(registration(chance, None, *pictures), day=DAY).case_number
        again = [registration(chance, number, item_of(chance, 1)) for _ in range(60)]
        other = registration(chance, number, item_of(chance, 2))
        for request in (*again, other):
            writer.register(request, day=DAY)
        with closing(writer._writer.raw_connection()) as connection:  # the only one of its pool
            driver = connection.driver_connection
            assert driver is not None
            driver.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 50)
        writer.withdraw(number, [pictures[0].item_id], day=DAY)
        assert not any(writer.registered(request.request_id) for request in again)
        assert writer.registered(other.request_id) is not None
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT request_id FROM places").fetchall()
        assert rows == [(other.request_id,)]
        cleared = "SELECT count(*) FROM requests WHERE digest IS NULL AND sequence IS NULL"
        assert connection.execute(cleared).fetchone() == (len(again) + 1,)
        linked = "SELECT count(*) FROM items WHERE request_id IS NOT NULL"
        assert connection.execute(linked).fetchone() == (0,)


def test_no_row_of_a_state_is_left_of_what_was_withdrawn(tmp_path: Path) -> None:
    chance, path = random.Random(6), tmp_path / "registry.db"
    items = [item_of(chance, number) for number in (1, 2)]
    with SqlRegistry.open_writer(path) as writer:
        number = writer.register(registration(chance, None, *items), day=DAY).case_number
        for state in (ItemState.DISABLED, ItemState.LIVE):
            writer.set_states([item.item_id for item in items], state, day=DAY, act=ACT)
        for left, gone in ((1, [items[0].item_id]), (0, None)):
            writer.withdraw(number, gone, day=DAY)
            with closing(sqlite3.connect(path)) as connection:
                assert connection.execute("SELECT count(*) FROM states").fetchone() == (left,)


def test_sqlite_refuses_to_change_the_log_of_acts(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with SqlRegistry.open_writer(path) as writer:
        for key_id in ("0000000a", "0000000b"):
            key = ApiKey(key_id, "p", bytes(32), frozenset(), frozenset(), DAY)
            writer.add_key(key, act=ACT)
    again = "INTO acts SELECT {}, at_s, actor, action, subject, digest FROM acts WHERE number = 1"
    with closing(sqlite3.connect(path)) as connection:
        for statement in (
            "UPDATE acts SET actor = 'nobody'",
            "DELETE FROM acts WHERE number = 2",
            "REPLACE " + again.format(1),
            "INSERT " + again.format(4),
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
        connection.execute("INSERT " + again.format(3))


def test_after_a_restore_a_pending_erasure_counts_its_days_anew(tmp_path: Path) -> None:
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        for key in REVIEWERS:
            writer.add_key(key, act=ACT)
        number = writer.register(registration(random.Random(3)), day=DAY).case_number
        writer.request_erasure(number, act=by(REVIEWERS[0], AT_S))
        writer.confirm_erasure(number, day=DAY, act=by(REVIEWERS[1], AT_S))
        writer.begin_epoch()
        late_s = AT_S + 2 * DELAY_S
        writer.complete_erasure(number, day=DAY, act=by_server(late_s))
        for at_s, due in ((late_s, ()), (late_s + DELAY_S - 1, ()), (late_s + DELAY_S, (number,))):
            record = writer.case(number)
            assert record is not None
            assert len(record.items) == 1
            assert writer.due_erasures(at_s) == due
