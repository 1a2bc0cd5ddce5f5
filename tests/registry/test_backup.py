"""Backups are whole, checked, consistent beside a running writer, and hold nothing withdrawn."""

import json
import os
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from disrupt.data_directory import DataDirectory
from disrupt.errors import DataDirectoryError
from disrupt.operators.restore import restore
from disrupt.registry import backup, opening, sqlite
from disrupt.registry.backup import back_up, bring_up_to_date, check, unpack
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import DAY, all_changes, new_item, plain, registration


@pytest.fixture
def writer(data_dir: Path) -> Iterator[RegistryWriter]:
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        yield writer


def test_backup_is_the_registry_as_it_is_with_what_is_only_in_the_log(
    writer: RegistryWriter, data_dir: Path, tmp_path: Path, chance: random.Random
) -> None:
    writer.register(registration(chance), day=DAY)
    assert writer.checkpoint()
    writer.register(registration(chance), day=DAY)
    target = tmp_path / "backup"
    manifest = back_up(data_dir, target)
    head = writer.head()
    assert (manifest.epoch, manifest.sequence) == (head.epoch.hex(), head.sequence)
    assert check(target) == manifest
    writer.register(registration(chance), day=DAY)
    with sqlite.open_reader(target / "registry.db") as copy:
        assert copy.head() == head
        assert list(map(plain, all_changes(copy))) == list(map(plain, all_changes(writer)))[:2]
    assert (target / "secrets.json").read_bytes() == (data_dir / "secrets.json").read_bytes()


def test_backup_is_the_owners_alone_and_has_no_journal(
    writer: RegistryWriter, data_dir: Path, tmp_path: Path, chance: random.Random
) -> None:
    writer.register(registration(chance), day=DAY)
    target = tmp_path / "backup"
    back_up(data_dir, target)
    assert target.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o777 for file in target.iterdir()} == dict.fromkeys(
        ["backup.json", "registry.db", "secrets.json"], 0o600
    )
    assert {path.name for path in tmp_path.iterdir()} == {"data", "backup"}


def test_backup_holds_no_byte_of_what_was_withdrawn_before(
    writer: RegistryWriter, data_dir: Path, tmp_path: Path, chance: random.Random
) -> None:
    gone = registration(chance, None, *(new_item(chance, 50) for _ in range(20)))
    writer.register(registration(chance), day=DAY)
    writer.withdraw(writer.register(gone, day=DAY).case_number, None, day=DAY)
    back_up(data_dir, tmp_path / "backup")
    content = b"".join(file.read_bytes() for file in (tmp_path / "backup").iterdir())
    hashes = [row["hash"].tobytes() for item in gone.items for row in item.fingerprints]
    assert not any(hash_[:16] in content or hash_[16:] in content for hash_ in hashes)


def test_backups_beside_registrations_hold_every_one_that_came_before(
    writer: RegistryWriter, data_dir: Path, tmp_path: Path, chance: random.Random
) -> None:
    stop = threading.Event()

    def register() -> None:
        while not stop.is_set():
            writer.register(registration(chance, None, new_item(chance, 100)), day=DAY)

    thread = threading.Thread(target=register)
    thread.start()
    try:
        for number in range(3):
            before = writer.head()
            manifest = back_up(data_dir, tmp_path / f"{number}")
            assert manifest.sequence >= before.sequence
            with sqlite.open_reader(tmp_path / f"{number}" / "registry.db") as copy:
                changes = all_changes(copy)
            assert [change.sequence for change in changes] == list(range(1, manifest.sequence + 1))
    finally:
        stop.set()
        thread.join()


def test_a_backup_during_the_restore_of_another_servers_is_refused(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DataDirectory(tmp_path / "other")
    other.make()
    for directory in (DataDirectory(data_dir), other):
        with opening.writing(directory):
            pass
    back_up(other.path, tmp_path / "of another server")

    def restore_then_copy(source: Path, target: Path) -> None:
        monkeypatch.undo()
        restore(tmp_path / "of another server", data_dir, accept_unknown_removals=True)
        shutil.copyfile(source, target)

    monkeypatch.setattr(backup, "_copy", restore_then_copy)
    with pytest.raises(DataDirectoryError, match="restored while the backup was made"):
        back_up(data_dir, tmp_path / "backup")
    assert not list(tmp_path.glob("backup*"))
    back_up(data_dir, tmp_path / "backup")


@pytest.mark.parametrize("kind", ["directory", "file", "dangling link", "unfinished"])
def test_what_exists_is_never_written_over(
    writer: RegistryWriter, data_dir: Path, tmp_path: Path, kind: str
) -> None:
    del writer
    target = tmp_path / "backup"
    if kind == "file":
        target.write_text("mine")
    elif kind == "dangling link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        (target if kind == "directory" else tmp_path / "backup.unfinished").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataDirectoryError, match="exists already"):
        back_up(data_dir, target)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("by", ["name", "link", "dots"])
def test_a_place_in_the_data_directory_is_refused_as_erasures_do_not_reach_it(
    writer: RegistryWriter, data_dir: Path, tmp_path: Path, by: str
) -> None:
    del writer
    before = sorted(data_dir.iterdir())
    (tmp_path / "link").symlink_to(data_dir)
    place = {"name": data_dir, "link": tmp_path / "link", "dots": data_dir / "index" / ".."}[by]
    with pytest.raises(DataDirectoryError, match="lies in the data directory"):
        back_up(data_dir, place / "backup")
    assert sorted(data_dir.iterdir()) == before


@pytest.mark.parametrize("target", [".", "/", "x" * 250, "x" * 300, "a/" * 3000])
def test_an_impossible_place_is_refused_in_words(
    writer: RegistryWriter,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
) -> None:
    del writer
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataDirectoryError, match=r"exists already|cannot be written"):
        back_up(data_dir, Path(target))


def test_an_incomplete_or_damaged_data_directory_is_refused_and_leaves_nothing(
    data_dir: Path, tmp_path: Path, chance: random.Random
) -> None:
    with pytest.raises(DataDirectoryError, match="no registry"):
        back_up(data_dir, tmp_path / "backup")
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        for _ in range(40):
            writer.register(registration(chance, None, new_item(chance, 100)), day=DAY)
    (data_dir / "secrets.json").rename(data_dir / "elsewhere")
    with pytest.raises(DataDirectoryError, match=r"secrets\.json"):
        back_up(data_dir, tmp_path / "backup")
    (data_dir / "elsewhere").rename(data_dir / "secrets.json")
    with (data_dir / "registry.db").open("r+b") as file:
        file.seek(40_000)
        file.write(b"\xff" * 8192)
    with pytest.raises(DataDirectoryError, match="damaged"):
        back_up(data_dir, tmp_path / "backup")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("name", ["registry.db", "secrets.json", "backup.json"])
@pytest.mark.parametrize("harm", ["remove", "truncate", "alter"])
def test_a_damaged_backup_is_refused_by_name(
    writer: RegistryWriter, data_dir: Path, tmp_path: Path, name: str, harm: str
) -> None:
    writer.register(registration(random.Random(1)), day=DAY)
    back_up(data_dir, tmp_path / "backup")
    file = tmp_path / "backup" / name
    content = bytearray(file.read_bytes())
    if harm == "remove":
        file.unlink()
    elif harm == "truncate":
        os.truncate(file, len(content) - 2)
    else:
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    with pytest.raises(DataDirectoryError, match=r"Backup file .*(registry\.db|\.json) refused"):
        check(tmp_path / "backup")


def test_a_manifest_of_another_state_or_version_or_with_other_files_is_refused(
    writer: RegistryWriter, data_dir: Path, tmp_path: Path, chance: random.Random
) -> None:
    writer.register(registration(chance), day=DAY)
    back_up(data_dir, tmp_path / "backup")
    file = tmp_path / "backup" / "backup.json"
    body = json.loads(file.read_text())
    for change in (
        {"sequence": 2},
        {"epoch": "00" * 16},
        {"schema_revision": "0000"},
        {"format_version": 2},
        {"files": body["files"] | {"../secrets.json": body["files"]["secrets.json"]}},
        {"more": 1},
    ):
        file.write_text(json.dumps(body | change))
        with pytest.raises(DataDirectoryError, match=r"backup\.json refused"):
            check(tmp_path / "backup")


def test_unpacked_backup_of_an_empty_registry_is_one(
    writer: RegistryWriter, data_dir: Path, tmp_path: Path, chance: random.Random
) -> None:
    del writer
    back_up(data_dir, tmp_path / "backup")
    place = tmp_path / "place"
    place.mkdir()
    unpack(tmp_path / "backup", place)
    bring_up_to_date(place, ())
    with sqlite.open_writer(place / "registry.db") as restored:
        restored.register(registration(chance), day=DAY)
        assert len(all_changes(restored)) == 1
    with closing(sqlite3.connect(place / "registry.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
