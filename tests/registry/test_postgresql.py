"""The registry on PostgreSQL keeps the promises of every registry."""

from __future__ import annotations

import json
import random
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from pathlib import Path
from threading import Event

import psycopg
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from disrupt import extras
from disrupt.core.changes import Addition, Cursor
from disrupt.data_directory import DataDirectory
from disrupt.doctor import data
from disrupt.doctor.findings import Verdict, findings
from disrupt.errors import (
    ConfigurationError,
    DataDirectoryError,
    DataDirectoryInUseError,
    DisruptError,
    LeadershipLostError,
    StorageFullError,
    UnavailableError,
)
from disrupt.registry import opening
from disrupt.registry import postgresql as backend
from disrupt.registry.postgresql import engine, roles
from disrupt.registry.postgresql.connections import WritablePostgresqlDatabase
from disrupt.registry.records import Registration
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.registry.sql import statements
from disrupt.registry.sql.reconciliation import NUMBERS_SKIPPED
from rig.media.registrations import (
    ACT,
    DAY,
    all_changes,
    api_key,
    new_item,
    plain,
    plain_items,
    registration,
)
from rig.model.registry_machine import RegistryMachine
from rig.servers.postgresql import PostgreSql, commands
from rig.waiting import eventually
from tests.registry.conformance import OpenReader, OpenWriter
from tests.registry.test_sql import SqlConformance

pytestmark = pytest.mark.skipif(commands() is None, reason="PostgreSQL is not installed")


class TestPostgresqlConforms(SqlConformance):
    @pytest.fixture
    def open_writer(self, tmp_path: Path, database: str) -> OpenWriter:
        return lambda: backend.open_writer(database, tmp_path)

    @pytest.fixture
    def open_reader(self, tmp_path: Path, database: str) -> OpenReader:
        return lambda: backend.open_reader(database, tmp_path)


class PostgresqlMachine(RegistryMachine):
    server: PostgreSql

    def __init__(self) -> None:
        super().__init__()
        self.name = self.server.new_database("registry")
        self.directory = tempfile.TemporaryDirectory()

    def open_writer(self) -> AbstractContextManager[RegistryWriter]:
        return backend.open_writer(self.server.url(self.name), Path(self.directory.name))

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()
        self.server.drop(self.name)


def test_postgresql_equals_a_plain_model(
    server: PostgreSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgresqlMachine, "server", server, raising=False)
    run_state_machine_as_test(
        PostgresqlMachine, settings=settings(max_examples=10, stateful_step_count=20)
    )


@pytest.fixture
def directory(data_dir: Path, database: str) -> DataDirectory:
    directory = DataDirectory(data_dir)
    directory.note_registry_url(database)
    return directory


def test_a_data_directory_names_the_database_that_has_its_registry(
    directory: DataDirectory, chance: random.Random
) -> None:
    with opening.writing(directory) as writer:
        head = writer.register(registration(chance), day=DAY).cursor
        with opening.reading(directory) as reader:
            assert reader.head() == head
    assert not directory.registry.exists()
    assert (directory.path / "registry.url").stat().st_mode & 0o777 == 0o600


def test_of_two_writers_one_leads_and_the_other_is_refused_or_waits(
    directory: DataDirectory, chance: random.Random
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with opening.writing(directory) as leader:
            with pytest.raises(DataDirectoryInUseError, match="writes"), opening.writing(directory):
                pass
            waiting = pool.submit(register_once, directory, registration(chance))
            head = leader.register(registration(chance), day=DAY).cursor
            assert not waiting.done()
        assert waiting.result().sequence == head.sequence + 1


def test_a_writer_that_ends_lets_the_next_lead_though_its_session_ends_late(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as late, monkeypatch.context() as closing_late:
        close = psycopg.Connection.close
        closing_late.setattr(psycopg.Connection, "close", lambda each: late.callback(close, each))
        for _ in range(2):
            with opening.writing(directory) as writer:
                pass
            with pytest.raises(LeadershipLostError):
                writer.check_storage()


def register_once(directory: DataDirectory, request: Registration) -> Cursor:
    with opening.writing(directory, wait=True) as writer:
        return writer.register(request, day=DAY).cursor


def test_a_writer_that_lost_its_connection_writes_no_more(
    directory: DataDirectory, server: PostgreSql, chance: random.Random
) -> None:
    first, lost, later = (registration(chance) for _ in range(3))
    with opening.writing(directory) as writer:
        head = writer.register(first, day=DAY).cursor
        writer.check_leadership()
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'",
            name_of(directory),
        )
        eventually(partial(has_lost, writer))
        with opening.writing(directory, wait=True) as successor:
            for request in (lost, lost):
                with pytest.raises(LeadershipLostError):
                    writer.register(request, day=DAY)
            assert successor.head() == head
            successor.register(later, day=DAY)
        assert writer.registered(lost.request_id) is None


def has_lost(writer: RegistryWriter) -> bool:
    try:
        writer.check_leadership()
    except LeadershipLostError:
        return True
    return False


def name_of(directory: DataDirectory) -> str:
    return str(directory.registry_url).rpartition("/")[2]


def test_a_database_that_is_gone_is_unavailable_and_readers_find_it_again(
    tmp_path: Path, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PostgreSql.create() as server, ExitStack() as stack:
        writer = stack.enter_context(backend.open_writer(server.url(), tmp_path))
        reader = stack.enter_context(backend.open_reader(server.url(), tmp_path))
        request = registration(chance)
        head = writer.register(request, day=DAY).cursor
        torn = registration(chance)
        with monkeypatch.context() as killing:
            killing.setattr(statements, "_note_answer", lambda *_: server.kill())
            with pytest.raises(LeadershipLostError):  # in the middle of its transaction
                writer.register(torn, day=DAY)
        for _ in range(2):
            with pytest.raises(UnavailableError):
                reader.head()
        with pytest.raises(LeadershipLostError):
            writer.check_storage()
        with (
            pytest.raises(UnavailableError, match="cannot be reached"),
            backend.open_reader(server.url(), tmp_path),
        ):
            pass
        server.start()
        assert reader.head() == head
        with backend.open_writer(server.url(), tmp_path) as again:
            assert again.register(request, day=DAY).cursor == head
            assert again.registered(torn.request_id) is None
            assert len(all_changes(again)) == 1


def test_a_standby_which_may_be_behind_is_not_read(tmp_path: Path) -> None:
    with PostgreSql.create() as server:
        with backend.open_writer(server.url(), tmp_path):
            pass
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        with (
            pytest.raises(UnavailableError, match="hot standby"),
            backend.open_reader(server.url(), tmp_path),
        ):
            pass


@pytest.mark.parametrize(
    ("url", "problem", "reason"),
    [
        ("sqlite:///registry.db", DataDirectoryError, "form postgresql://"),
        ("postgresql://u:S3CRET@127.0.0.1:1/x", UnavailableError, "cannot be reached"),
        ("postgresql://u:S3CRET@127.0.0.1/x?sslmod=no", DataDirectoryError, "form postgresql://"),
        ("postgresql://nobody:S3CRET@127.0.0.1:{port}/postgres", DataDirectoryError, "refuses"),
    ],
)
def test_a_wrong_url_is_refused_without_quoting_its_password(
    server: PostgreSql, data_dir: Path, url: str, problem: type[DisruptError], reason: str
) -> None:
    directory = DataDirectory(data_dir)
    directory.note_registry_url(url.format(port=server.port))
    for opened in (opening.reading(directory), opening.writing(directory)):
        with pytest.raises(problem, match=reason) as caught, opened:
            pass
        assert "S3CRET" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("code", "problem"),
    [("53100", StorageFullError), ("XX001", DataDirectoryError), ("53200", UnavailableError)],
)
def test_what_the_database_reports_in_a_registration_is_told_and_nothing_stored(
    directory: DataDirectory,
    server: PostgreSql,
    chance: random.Random,
    code: str,
    problem: type[DisruptError],
) -> None:
    with opening.writing(directory) as writer:
        server.sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$;"
            "CREATE TRIGGER fail BEFORE INSERT ON requests EXECUTE FUNCTION fail()",
            name_of(directory),
        )
        with pytest.raises(problem):
            writer.register(registration(chance), day=DAY)
        assert all_changes(writer) == []
        server.sql("DROP TRIGGER fail ON requests", name_of(directory))
        writer.register(registration(chance), day=DAY)


def test_a_second_writer_without_the_secrets_of_the_first_is_refused(
    directory: DataDirectory, tmp_path: Path, database: str
) -> None:
    with opening.writing(directory):
        pass
    second = DataDirectory(tmp_path / "second")
    second.make()
    second.note_registry_url(database)
    with opening.writing(directory):  # for which it does not wait first
        with (
            pytest.raises(DataDirectoryError, match="All writers"),
            opening.writing(second, wait=True),
        ):
            pass
        assert not second.secrets_file.exists()
        second.secrets_file.write_text(json.dumps({"pepper": "1" * 64, "match_tokens": "2" * 64}))
        with (
            pytest.raises(DataDirectoryError, match="All writers"),
            opening.writing(second, wait=True),
        ):
            pass


def test_another_schema_is_refused(directory: DataDirectory, server: PostgreSql) -> None:
    server.sql("UPDATE alembic_version SET version_num = 'later'", name_of(directory))
    with pytest.raises(DataDirectoryError, match="revision later"), opening.reading(directory):
        pass
    with pytest.raises(DataDirectoryError, match="newer version"), opening.writing(directory):
        pass
    server.sql("DROP TABLE alembic_version", name_of(directory))
    with pytest.raises(DataDirectoryError, match="no registry"), opening.reading(directory):
        pass


def test_without_the_extra_it_is_told(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="postgresql"), opening.reading(directory):
        pass


def test_whoever_listens_is_woken_by_a_change(
    directory: DataDirectory, chance: random.Random
) -> None:
    with opening.writing(directory) as writer, opening.wakeups(directory) as wait:
        assert not wait(0.0)
        writer.register(registration(chance), day=DAY)
        assert wait(60.0)


def test_readers_miss_nothing_that_threads_register_at_once(directory: DataDirectory) -> None:
    seen, until = list[bytes](), Event()

    def follow(reader: RegistryReader, cursor: Cursor) -> None:
        while not until.is_set() or cursor != reader.head():
            page, cursor = reader.changes(cursor, 3)
            seen.extend(change.item.item_id for change in page if isinstance(change, Addition))

    with opening.writing(directory) as writer, opening.reading(directory) as reader:
        requests = [registration(random.Random(seed)) for seed in range(60)]
        with ThreadPoolExecutor(5) as pool:
            following = pool.submit(follow, reader, writer.head())
            list(pool.map(lambda request: writer.register(request, day=DAY), requests))
            until.set()
            following.result()
        assert sorted(seen) == sorted(request.items[0].item_id for request in requests)


def test_the_role_of_nodes_reads_what_the_feed_needs_and_no_case(
    directory: DataDirectory, server: PostgreSql, chance: random.Random
) -> None:
    request = registration(chance, None, new_item(chance), new_item(chance))
    with opening.writing(directory) as writer:
        start, number = writer.head(), writer.register(request, day=DAY).case_number
        writer.add_key(api_key("00000001"), act=ACT)
        writer.withdraw(number, [request.items[0].item_id], day=DAY)
        url = server.url(name_of(directory), user=roles.MATCH)
        with backend.open_reader(url, directory.path) as node:
            for ask in (
                lambda reader: reader.head(),
                lambda reader: reader.timeline(),
                lambda reader: reader.knows(start),
                lambda reader: list(map(plain, reader.changes(start, 9)[0])),
                lambda reader: list(map(plain, reader.changes(start, 9, [1])[0])),
                lambda reader: plain_items(reader.matched_items(0, reader.head(), 9)),
                lambda reader: reader.removed_since(start, [1]),
                lambda reader: reader.hashes_since(start),
                lambda reader: reader.journaled(),
                lambda reader: reader.journaled(start),
                lambda reader: reader.living([item.item_id for item in request.items]),
                lambda reader: reader.banks(),
                lambda reader: reader.keys(),
                lambda reader: reader.quotas(),
                lambda reader: reader.partners(),
            ):
                assert ask(node) == ask(writer)
            for refused in (
                lambda: node.case(number),
                lambda: node.pin_hash(number),
                lambda: node.registered(request.request_id),
                lambda: node.acts(9),
                lambda: node.outcomes(number, before=DAY),
            ):
                with pytest.raises(DataDirectoryError, match="permission denied"):
                    refused()
    for what in (
        *("case_id FROM items", "request_id FROM items", "number_in_case FROM items"),
        *("* FROM cases", "* FROM requests", "* FROM identities", "* FROM answers"),
        *("* FROM acts", "* FROM outcomes", "* FROM case_erasures", "pepper_check FROM registry"),
    ):
        with (
            closing(engine.connect(url)) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(f"SELECT {what}".encode())
    with (
        closing(engine.connect(url)) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("DELETE FROM changes")


def test_a_promoted_standby_begins_a_new_epoch_and_gives_out_no_number_twice(
    directory: DataDirectory, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opening.writing(directory) as writer:
        head = writer.register(registration(chance), day=DAY).cursor
        assert writer.timeline() == 1
    monkeypatch.setattr(WritablePostgresqlDatabase, "timeline", lambda *_: 2)
    with opening.writing(directory) as writer:
        assert (writer.timeline(), writer.knows(head)) == (2, False)
        cursor = writer.register(registration(chance), day=DAY).cursor
        number = plain(all_changes(writer)[-1])[0]
        assert isinstance(number, int)
        assert number > NUMBERS_SKIPPED
    with opening.writing(directory) as writer:
        assert writer.knows(cursor)


def test_the_doctor_looks_at_the_database_and_warns_of_the_file_before_it(
    directory: DataDirectory, chance: random.Random
) -> None:
    with opening.writing(directory) as writer:
        writer.register(registration(chance), day=DAY)
    (directory.path / "registry.db.moved").touch()
    found = {(finding.name, finding.verdict) for finding in findings(data.checks(directory.path))}
    assert {("registry", Verdict.OK), ("registry", Verdict.WARN)} <= found
    assert Verdict.FAIL not in {verdict for _, verdict in found}
