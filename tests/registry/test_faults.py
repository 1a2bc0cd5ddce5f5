"""Full disks, wrong files and other versions are refused with a reason; nothing is half stored."""

import random
import resource
import sqlite3
import stat
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from disrupt.errors import DataDirectoryError, StorageFullError, UnavailableError
from disrupt.registry import sqlite
from disrupt.registry.records import NewCase
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import (
    ACT,
    DAY,
    all_changes,
    api_key,
    new_case,
    new_item,
    plain,
    registration,
)

DiskFull = Callable[[RegistryWriter], AbstractContextManager[None]]


def alter(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


@contextmanager
def page_limit(writer: RegistryWriter) -> Iterator[None]:
    """Cause SQLITE_FULL, from SQLite's own limit."""

    def limit(pages: int) -> None:
        with closing(writer._writable.writer.raw_connection()) as connection:
            connection.cursor().execute(f"PRAGMA max_page_count={pages}")

    limit(1)  # SQLite reads this as: no more pages than there are
    yield
    limit(2**31)


@contextmanager
def file_size_limit(writer: RegistryWriter) -> Iterator[None]:
    """Cause SQLITE_IOERR_WRITE, from the operating system."""
    assert writer.checkpoint()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("disk_full", [page_limit, file_size_limit])
def test_full_disk_keeps_nothing_and_the_writer_goes_on_when_there_is_room(
    path: Path, disk_full: DiskFull
) -> None:
    chance = random.Random(1)
    first = registration(chance)
    large = registration(chance, new_case(chance), *(new_item(chance, 900) for _ in range(5)))
    with sqlite.open_writer(path) as writer:
        head = writer.register(first, day=DAY).cursor
        before = list(map(plain, all_changes(writer)))
        with disk_full(writer):
            for _ in range(3):
                with pytest.raises(StorageFullError):
                    writer.register(large, day=DAY)
            assert writer.head() == head
            assert list(map(plain, all_changes(writer))) == before
            assert writer.registered(large.request_id) is None
        result = writer.register(large, day=DAY)
        assert writer.register(large, day=DAY) == result
        assert len(all_changes(writer)) == 6


def test_missing_registry_is_refused_and_not_made_by_a_reader(path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="disrupt serve"), sqlite.open_reader(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_missing_directory_is_refused(path: Path) -> None:
    lost = path.parent / "nowhere" / "registry.db"
    with pytest.raises(DataDirectoryError), sqlite.open_writer(lost):
        pass


@pytest.mark.parametrize("content", [b"", b"this is no database at all" * 1000])
def test_reader_refuses_a_file_that_is_no_registry(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(DataDirectoryError), sqlite.open_reader(path):
        pass
    assert path.read_bytes() == content


def test_writer_refuses_a_file_that_is_no_database(path: Path) -> None:
    content = b"this is no database at all" * 1000
    path.write_bytes(content)
    with pytest.raises(DataDirectoryError), sqlite.open_writer(path):
        pass
    assert path.read_bytes() == content


def test_unreadable_column_is_refused_without_quoting_it(path: Path) -> None:
    with sqlite.open_writer(path) as writer:
        writer.register(registration(random.Random(3)), day=DAY)
        alter(path, "UPDATE fingerprints SET fingerprints = CAST(x'416263646566FFFE' AS TEXT)")
        with pytest.raises(DataDirectoryError) as caught:
            all_changes(writer)
    assert "Abcdef" not in "".join(traceback.format_exception(caught.value))


def test_registry_in_use_by_another_writer_is_refused(path: Path) -> None:
    with (
        sqlite.open_writer(path) as writer,
        writer._writable.writer.begin(),
        pytest.raises(DataDirectoryError, match="other process"),
        sqlite.open_writer(path),
    ):
        pass


def test_locked_registry_is_unavailable_and_then_works_again(path: Path) -> None:
    request = registration(random.Random(4))
    with sqlite.open_writer(path) as writer:
        with closing(sqlite3.connect(path, isolation_level=None)) as locker:
            locker.execute("BEGIN IMMEDIATE")
            with pytest.raises(UnavailableError):
                writer.register(request, day=DAY)
            locker.execute("ROLLBACK")
        assert writer.register(request, day=DAY).cursor == writer.head()


def test_reader_cannot_write(path: Path) -> None:
    with (
        sqlite.open_writer(path),
        sqlite.open_reader(path) as reader,
        reader.database.reader.connect() as connection,
        pytest.raises(DBAPIError, match="readonly"),
    ):
        connection.exec_driver_sql("DELETE FROM banks")


def test_error_texts_carry_no_values(path: Path) -> None:
    chance = random.Random(5)
    taken = NewCase(new_case(chance).number, "hash of a PIN")
    with sqlite.open_writer(path) as writer:
        writer.register(registration(chance, taken), day=DAY)
        with pytest.raises(UnavailableError) as caught:
            writer.register(registration(chance, taken), day=DAY)
    text = "".join(traceback.format_exception(caught.value))
    assert "IntegrityError" in text
    assert taken.number not in text
    assert taken.pin_hash not in text


def test_files_are_the_owners_alone(path: Path) -> None:
    with sqlite.open_writer(path) as writer:
        writer.register(registration(random.Random(7)), day=DAY)
        files = sorted(path.parent.iterdir())
        assert [file.name for file in files] == [
            "registry.db",
            "registry.db-shm",
            "registry.db-wal",
            "registry.reserve",
            "registry.wal-owner",
            "removals.journal",
        ]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE items SET kind = 7",
        "UPDATE items SET assurance = 9",
        "UPDATE fingerprints SET fingerprints = x'ff'",
        "DELETE FROM fingerprints",
        "UPDATE keys SET rights = '[99]'",
        "UPDATE keys SET rights = '[2'",
        "UPDATE cases SET status = 9",
        "UPDATE cases SET pin_hash = CAST(x'24e9ff' AS TEXT)",
    ],
)
def test_a_record_that_cannot_be_read_is_named_as_such(path: Path, statement: str) -> None:
    request = registration(random.Random(3))
    assert isinstance(request.case, NewCase)
    number = request.case.number
    with sqlite.open_writer(path) as writer:
        start = writer.head()
        writer.register(request, day=DAY)
        writer.add_key(api_key("00000001"), act=ACT)
        alter(path, statement)
        with sqlite.open_reader(path) as reader:
            reads: list[Callable[[], object]] = [
                reader.keys,
                lambda: reader.case(number),
                lambda: reader.pin_hash(number),
                lambda: reader.changes(start, 100),
            ]
            assert any(map(is_refused, reads))


def is_refused(read: Callable[[], object]) -> bool:
    try:
        read()
    except DataDirectoryError as error:
        return "damaged" in error.message
    return False
