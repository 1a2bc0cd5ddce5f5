"""A log is never written into another file than that which it belongs to."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from disrupt.core.changes import Cursor
from disrupt.errors import DataDirectoryError
from disrupt.registry import sqlite
from disrupt.registry.sqlite.copying import copy_database
from rig.media.registrations import DAY, registration


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


@pytest.fixture
def late_copy(tmp_path: Path) -> Path:
    return tmp_path / "late.db"


@pytest.fixture
def killed(
    tmp_path: Path, chance: random.Random, backup: Path, copy: Path, late_copy: Path
) -> tuple[Path, Cursor]:
    """Return a registry as a kill leaves it, and its head, which only the log knows."""
    path = tmp_path / "data" / "registry.db"
    path.parent.mkdir()
    with sqlite.open_writer(path) as writer:
        writer.register(registration(chance), day=DAY)
    shutil.copyfile(path, copy)
    with sqlite.open_writer(path) as writer:
        copy_database(path, backup)
        shutil.copyfile(path, late_copy)
        writer.register(registration(chance), day=DAY)
        writer.checkpoint()  # as a withdrawal does
        writer.check_storage()  # as the server does every few seconds
        head = writer.register(registration(chance), day=DAY).cursor
        shutil.copytree(path.parent, tmp_path / "killed")
    return tmp_path / "killed" / "registry.db", head


def content(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


@pytest.mark.parametrize("instead", ["backup", "copy", "late_copy"])
@pytest.mark.parametrize("put", [shutil.copyfile, shutil.move], ids=["into it", "in its place"])
def test_beside_the_log_of_another_file_nothing_is_opened_or_changed(
    killed: tuple[Path, Cursor],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    instead: str,
    put: Callable[[Path, Path], object],
) -> None:
    path, head = killed
    right = shutil.copyfile(path, tmp_path / "right.db")
    put(request.getfixturevalue(instead), path)
    before = content(path)
    for opened in (sqlite.open_writer, sqlite.open_reader):
        refused = pytest.raises(DataDirectoryError, match=r"registry\.db-wal .* to another file")
        with refused, opened(path):
            pass
        assert content(path) == before
    put(right, path)
    with sqlite.open_writer(path) as writer:
        assert writer.head() == head


def test_a_killed_registry_opens_again_and_so_does_a_copy_of_its_directory(
    killed: tuple[Path, Cursor], tmp_path: Path
) -> None:
    path, head = killed
    shutil.copytree(path.parent, tmp_path / "moved")
    for place in (path, tmp_path / "moved" / path.name):
        with sqlite.open_reader(place) as reader:
            assert reader.head() == head
        with sqlite.open_writer(place) as writer:
            assert writer.head() == head


def test_a_file_that_was_put_without_a_log_opens_again_after_each_kill(
    killed: tuple[Path, Cursor], tmp_path: Path, backup: Path, copy: Path
) -> None:
    path, _ = killed
    path.with_name("registry.db-wal").unlink()
    shutil.copyfile(backup, path)
    with sqlite.open_writer(path):
        pass
    shutil.copyfile(copy, path)
    with sqlite.open_reader(path) as reader, reader.database.reader.begin() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM items").all()  # no log is cleared now
        for kill in range(3):
            with sqlite.open_writer(path):
                again = shutil.copytree(path.parent, tmp_path / f"again{kill}")
            with sqlite.open_reader(again / path.name):
                pass
    for _ in range(2):  # the first clears the log at its end
        with sqlite.open_writer(path):
            pass
    assert len(path.with_name("registry.wal-owner").read_text().split()) == 2


def test_the_file_stays_locked_as_sqlite_locked_it(tmp_path: Path) -> None:
    """POSIX drops the locks of a process on a file when any descriptor of it is closed."""
    path = tmp_path / "registry.db"
    with sqlite.open_writer(path) as writer:
        writer.checkpoint()
        writer.check_storage()
        locks = Path("/proc/locks").read_text().splitlines()
        assert [line for line in locks if f":{path.stat().st_ino} " in line and "READ" in line]
