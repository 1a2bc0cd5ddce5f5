"""A registry moves to PostgreSQL as it is, and goes on from there."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from disrupt.core.changes import Cursor
from disrupt.core.partners import Partner
from disrupt.core.policy import LookupQuota
from disrupt.core.states import ItemState
from disrupt.data_directory import DataDirectory
from disrupt.errors import DataDirectoryError
from disrupt.operators.registry import registry
from disrupt.registry import moving, opening, postgresql
from disrupt.registry.records import NewCase
from disrupt.registry.registry import RegistryReader
from disrupt.registry.sql import copying
from rig.media.registrations import (
    ACT,
    DAY,
    OWN,
    all_changes,
    api_key,
    item_of,
    plain,
    plain_items,
    registration,
)
from rig.servers.postgresql import PostgreSql, commands
from tests.registry.conformance.outcomes import report

pytestmark = pytest.mark.skipif(commands() is None, reason="PostgreSQL is not installed")


@pytest.fixture
def empty(server: PostgreSql) -> str:
    return server.url(server.new_database())


@pytest.fixture
def directory(data_dir: Path) -> DataDirectory:
    """Return a directory whose registry has some of everything, and was restored once."""
    directory, chance = DataDirectory(data_dir), random.Random(3)
    with opening.writing(directory) as writer:
        first = registration(chance, None, *(item_of(chance, number) for number in range(4)))
        number = writer.register(first, day=DAY).case_number
        writer.register(registration(chance), day=DAY)
        renewed = registration(chance, number, item_of(chance, 1, OWN, (1, 0, 0)))
        writer.register(renewed, day=DAY)
        writer.withdraw(number, [first.items[0].item_id], day=DAY)
        writer.add_key(api_key("00000001"), act=ACT)
        organisation = api_key("00000001").organisation
        writer.set_quota(LookupQuota(organisation, 1, 2), act=ACT)
        writer.set_partner(Partner(organisation, "A", "https://a.example"), act=ACT)
        report(writer, first.items[2].item_id)
        writer.set_states([first.items[3].item_id], ItemState.DISABLED, ACT)
        writer.begin_epoch()
    return directory


def content(reader: RegistryReader, numbers: list[str]) -> list[object]:
    """Return all that a reader tells."""
    head, start = reader.head(), Cursor(reader.head().epoch, 0)
    return [
        *(head, list(map(plain, all_changes(reader))), reader.journaled()),
        plain_items(reader.matched_items(0, head, 99)),
        *(reader.hashes_since(start), reader.banks(), reader.keys()),
        *(reader.quotas(), reader.partners()),
        *(reader.case(number) for number in numbers),
        *(reader.outcomes(number, before="2027-01-01") for number in numbers),
        *(reader.acts(99), reader.count_states()),
    ]


def cases() -> list[str]:
    """Return the case numbers of ``directory``, which its chance draws."""
    chance = random.Random(3)
    first = registration(chance, None, *(item_of(chance, number) for number in range(4)))
    drawn = [request.case for request in (first, registration(chance))]
    return [case.number for case in drawn if isinstance(case, NewCase)]


def test_everything_is_as_it_was_and_numbers_go_on(directory: DataDirectory, empty: str) -> None:
    with opening.reading(directory) as reader:
        before, head = content(reader, cases()), reader.head()
    moved = moving.move(directory, empty)
    assert (moved.cursor, directory.registry_url) == (head.to_text(), empty)
    assert {path.name for path in directory.path.glob("registry.db*")} == {"registry.db.moved"}
    with opening.reading(directory) as reader:
        assert content(reader, cases()) == before
    with opening.writing(directory) as writer:
        assert writer.knows(head)  # no new epoch
        newest = writer.register(registration(random.Random(9)), day=DAY).cursor
        assert newest.sequence == head.sequence + 1
        number = plain(all_changes(writer)[-1])[0]
        assert isinstance(number, int)
        assert number > 2**32  # what the restore skipped stays skipped
        assert writer.checkpoint()
    with pytest.raises(DataDirectoryError, match="already"):
        moving.move(directory, empty)


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("owner", "step"),
    [(copying, "contents"), (DataDirectory, "note_registry_url"), (Path, "unlink")],
)
def test_an_interrupted_move_can_be_repeated_and_changes_nothing_before_its_end(
    directory: DataDirectory,
    empty: str,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    step: str,
) -> None:
    with opening.reading(directory) as reader:
        before = content(reader, cases())
    with monkeypatch.context() as interrupted:
        interrupted.setattr(owner, step, stop)
        with pytest.raises(KeyboardInterrupt):
            moving.move(directory, empty)
    with opening.reading(directory) as reader:
        assert content(reader, cases()) == before
    moving.move(directory, empty)
    assert not directory.registry.exists()
    with opening.reading(directory) as reader:
        assert content(reader, cases()) == before


def test_a_copy_that_is_behind_after_an_interruption_is_to_be_dropped(
    directory: DataDirectory, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as interrupted:
        interrupted.setattr(DataDirectory, "note_registry_url", stop)
        with pytest.raises(KeyboardInterrupt):
            moving.move(directory, empty)
    with opening.writing(directory) as writer:
        writer.register(registration(random.Random(9)), day=DAY)
    with pytest.raises(DataDirectoryError, match="drop it"):
        moving.move(directory, empty)
    assert directory.registry_url is None


def test_what_is_not_the_same_is_refused_and_nothing_kept(
    directory: DataDirectory, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(copying, "_name_successors", lambda *_: None)
        with pytest.raises(DataDirectoryError, match="differs in items"):
            moving.move(directory, empty)
    assert directory.registry_url is None
    moving.move(directory, empty)


def test_a_database_with_another_registry_is_refused(
    directory: DataDirectory, database: str
) -> None:
    with pytest.raises(DataDirectoryError, match="another registry"):
        moving.move(directory, database)
    assert directory.registry_url is None


@pytest.mark.parametrize(
    ("encoding", "statement", "problem"),
    [
        ("SQL_ASCII", "SELECT 1", "another encoding than UTF8"),
        ("UTF8", "CREATE TABLE of_others (number int)", "is not empty, and has no registry"),
    ],
)
def test_an_unfit_database_is_refused_and_nothing_made(
    directory: DataDirectory, server: PostgreSql, encoding: str, statement: str, problem: str
) -> None:
    name = f"unfit_{encoding.lower()}"
    server.sql(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    server.sql(statement, name)
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    before = server.sql(tables, name)
    url = server.url(name)
    with (
        pytest.raises(DataDirectoryError, match="no registry yet: start a writer"),
        postgresql.open_reader(url, directory.path),
    ):
        pass
    with pytest.raises(DataDirectoryError, match=problem):
        moving.move(directory, url)
    with (
        pytest.raises(DataDirectoryError, match=problem),
        postgresql.open_writer(url, directory.path),
    ):
        pass
    assert server.sql(tables, name) == before
    assert directory.registry_url is None


def test_a_directory_without_a_registry_is_refused(tmp_path: Path, empty: str) -> None:
    with pytest.raises(DataDirectoryError, match=r"no registry\.db"):
        moving.move(DataDirectory(tmp_path), empty)


def test_the_commands_move_it_and_print_the_secrets_of_a_node(
    directory: DataDirectory, empty: str, run: Callable[..., str]
) -> None:
    assert "compared" in run("registry", "copy", "--to", empty)
    assert directory.registry_url == empty
    secrets = json.loads(run("registry", "node-secrets"))
    assert secrets == {"match_tokens": directory.secrets().match_tokens.hex()}


@pytest.fixture
def run(directory: DataDirectory) -> Callable[..., str]:
    """Return a function that runs a command on the directory and returns its output."""

    def ran(*words: str) -> str:
        result = CliRunner().invoke(registry, [*words[1:], "--data-dir", str(directory.path)])
        assert result.exit_code == 0, result.output
        return result.stdout

    return ran
