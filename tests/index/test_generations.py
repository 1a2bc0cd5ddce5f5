from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from disrupt.core.changes import Cursor
from disrupt.core.media import StoredItem
from disrupt.errors import (
    DataDirectoryError,
    OtherHistoryError,
    SnapshotRefusedError,
    StorageFullError,
    UnavailableError,
)
from disrupt.index import writing
from disrupt.index.generations import (
    check_history,
    create_first,
    current,
    delete,
    directory_of,
    generations,
    known_whole_from,
    open_current,
    open_generation,
    publish,
    roll_back,
)
from rig.media.codes import EPOCH, HEAD, Unmarked, blocks, damage, published, some_items


def names(index_dir: Path) -> set[str]:
    return {path.name for path in index_dir.iterdir()}


def test_the_previous_generation_stays_and_older_ones_go(tmp_path: Path) -> None:
    for count in range(1, 5):
        published(tmp_path, some_items(count), count)
    assert generations(tmp_path) == [4, 3]
    assert current(tmp_path) == 4


def test_the_generation_that_was_served_stays_even_if_it_is_not_the_newest(tmp_path: Path) -> None:
    for count in range(1, 3):
        published(tmp_path, some_items(count), count)
    (tmp_path / "CURRENT").write_text("00000001\n")
    assert published(tmp_path, some_items(3), 3).generation == 3
    assert generations(tmp_path) == [3, 1]


@pytest.mark.parametrize("lost", ["generations", "CURRENT"])
def test_numbers_are_not_reused_when_something_is_lost(lost: str, tmp_path: Path) -> None:
    for count in range(1, 4):
        published(tmp_path, some_items(count), count)
    if lost == "CURRENT":
        (tmp_path / "CURRENT").unlink()
    else:
        for generation in generations(tmp_path):
            shutil.rmtree(directory_of(tmp_path, generation))
    assert published(tmp_path, some_items(1), 1).generation == 4


def test_a_reader_of_a_deleted_generation_goes_on(tmp_path: Path) -> None:
    old = published(tmp_path, some_items(3), 3)
    for _ in range(2):
        published(tmp_path, some_items(1), 4)
    assert not old.path.exists()
    assert old.flat.view().any(axis=1).tolist() == [True] * 6


def test_a_failed_build_publishes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    published(tmp_path, some_items(2), 2)

    def breaking() -> Iterator[StoredItem]:
        yield from some_items(1)
        raise DataDirectoryError("the registry broke")

    with pytest.raises(DataDirectoryError, match="broke"):
        publish(tmp_path, blocks(breaking()), Cursor(EPOCH, 3))
    assert names(tmp_path) == {"00000001", "CURRENT", "lock"}
    assert open_current(tmp_path, HEAD).generation == 1


def test_what_a_killed_writer_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "building").mkdir()
    (tmp_path / "building" / "codes.faiss").write_bytes(b"half")
    published(tmp_path, some_items(2), 2)
    assert not (tmp_path / "building").exists()


def test_a_second_writer_is_refused_while_items_are_still_being_read(tmp_path: Path) -> None:
    def nested() -> Iterator[StoredItem]:
        with pytest.raises(DataDirectoryError, match="Another process"):
            published(tmp_path, some_items(2), 2)
        yield from some_items(1)

    assert publish(tmp_path, blocks(nested()), Cursor(EPOCH, 1)).generation == 1


def test_a_damaged_current_generation_is_refused_by_name_and_the_previous_one_serves(
    tmp_path: Path,
) -> None:
    published(tmp_path, some_items(1), 1)
    published(tmp_path, some_items(2), 2)
    (tmp_path / "00000002" / "codes.faiss").unlink()
    with capture_logs() as logs:
        assert open_current(tmp_path, HEAD).generation == 1
    assert [entry["event"] for entry in logs] == ["snapshot_refused"]
    assert "00000002/codes.faiss" in logs[0]["reason"]


def test_a_generation_found_damaged_at_the_start_is_not_served_by_its_status(
    tmp_path: Path,
) -> None:
    published(tmp_path, some_items(1), 1)
    published(tmp_path, some_items(2), 2)
    damage(tmp_path / "00000002" / "codes.faiss")
    assert open_current(tmp_path, HEAD, checked_from=2).generation == 2  # nobody looked
    opened = open_current(tmp_path, HEAD)
    checked_from = known_whole_from(tmp_path, opened)
    assert (opened.generation, checked_from) == (1, 3)
    assert open_current(tmp_path, HEAD, checked_from=checked_from).generation == 1
    opened = published(tmp_path, some_items(3), 3)
    assert known_whole_from(tmp_path, opened) == opened.generation == 3
    assert open_current(tmp_path, HEAD, checked_from=checked_from).generation == 3


def test_without_a_good_generation_there_is_none(tmp_path: Path) -> None:
    for count in (1, 2):
        published(tmp_path, some_items(count), count)
    for generation in (1, 2):
        os.truncate(directory_of(tmp_path, generation) / "items.npy", 10)
    with pytest.raises(SnapshotRefusedError, match=r"00000002/items\.npy .*disrupt-index rebuild"):
        open_current(tmp_path, HEAD)
    assert published(tmp_path, some_items(3), 3).generation == 3
    assert open_current(tmp_path, HEAD).generation == 3


@pytest.mark.parametrize(
    "content", [b"", b"3\n", b"../00000001", b"00000001/..", b"\xff" * 8, b"0000000A"]
)
def test_a_damaged_current_file_is_refused_and_the_newest_good_generation_serves(
    tmp_path: Path, content: bytes
) -> None:
    for count in (1, 2):
        published(tmp_path, some_items(count), count)
    (tmp_path / "CURRENT").write_bytes(content)
    with pytest.raises(SnapshotRefusedError, match="CURRENT"):
        current(tmp_path)
    assert open_current(tmp_path, HEAD).generation == 2


def test_a_generation_of_another_epoch_is_refused(tmp_path: Path) -> None:
    published(tmp_path, some_items(1), 1)
    with pytest.raises(OtherHistoryError, match=r"index/00000001 .*may be an older copy"):
        open_generation(tmp_path, 1, Unmarked(bytes(16), 5))
    with pytest.raises(OtherHistoryError, match=r"index/00000001 .*disrupt restore"):
        open_current(tmp_path, Unmarked(bytes(16), 5))


def test_a_generation_ahead_of_the_registry_is_refused(tmp_path: Path) -> None:
    published(tmp_path, some_items(1), 6)
    assert open_generation(tmp_path, 1, Unmarked(EPOCH, 6)).generation == 1
    with pytest.raises(OtherHistoryError, match="does not know change 6"):
        open_generation(tmp_path, 1, Unmarked(EPOCH, 5))


def test_no_older_generation_serves_a_registry_that_the_current_one_is_not_of(
    tmp_path: Path,
) -> None:
    for sequence in (2, 6):
        published(tmp_path, some_items(1), sequence)
    older = Unmarked(EPOCH, 5)
    assert open_generation(tmp_path, 1, older).generation == 1
    with pytest.raises(OtherHistoryError, match="index/00000002 "):
        open_current(tmp_path, older)
    (tmp_path / "CURRENT").unlink()  # then the newest generation is served
    with pytest.raises(OtherHistoryError, match="index/00000002 "):
        open_current(tmp_path, older)
    # The manifest is not readable any more.
    os.truncate(directory_of(tmp_path, 2) / "manifest.json", 10)
    assert open_current(tmp_path, older).generation == 1


def test_a_manifest_that_cannot_be_read_now_does_not_leave_an_older_one_to_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sequence in (2, 6):
        published(tmp_path, some_items(1), sequence)
    opened = Path.open

    def short_of_descriptors(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == tmp_path / "00000002" / "manifest.json":
            raise OSError(errno.EMFILE, "Too many open files")
        return opened(path, *arguments, **options)

    older = Unmarked(EPOCH, 5)
    with monkeypatch.context() as patches:
        patches.setattr(Path, "open", short_of_descriptors)
        for refused in (check_history, open_current):
            with pytest.raises(
                UnavailableError, match=r"00000002/manifest\.json cannot be read now"
            ):
                refused(tmp_path, older)
    with pytest.raises(OtherHistoryError, match="index/00000002 "):
        open_current(tmp_path, older)


def test_a_generation_keeps_the_mark_of_its_change(tmp_path: Path) -> None:
    cursor = Cursor(EPOCH, 3, b"12345678")
    assert publish(tmp_path, (), cursor).cursor == cursor
    with pytest.raises(OtherHistoryError):
        open_generation(tmp_path, 1, HEAD)


def test_what_fails_after_publishing_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for count in (1, 2):
        published(tmp_path, some_items(count), count)
    sync, rmtree = writing.sync, shutil.rmtree

    def sync_unless_published(path: Path) -> None:
        sync(path)
        if path == tmp_path and current(tmp_path) == 3:
            raise OSError(errno.EIO, "broken")

    def refuse(path: Path, *arguments: Any, **options: Any) -> None:
        if path.name == "00000001":
            raise PermissionError(errno.EACCES, "denied", str(path))
        rmtree(path, *arguments, **options)

    monkeypatch.setattr(writing, "sync", sync_unless_published)
    monkeypatch.setattr(shutil, "rmtree", refuse)
    with capture_logs() as logs:
        snapshot = published(tmp_path, some_items(3), 3)
    assert snapshot.generation == current(tmp_path) == 3
    reasons = [event["reason"] for event in logs if event["event"] == "snapshot_published_but"]
    assert [reason.split(":")[0] for reason in reasons] == [
        "Generation 00000003 is published and served, but a crash of the machine may undo that",
        "Generation 00000003 is published and served, but generation 00000001 could not be deleted",
    ]
    monkeypatch.undo()
    published(tmp_path, some_items(4), 4)
    assert generations(tmp_path) == [4, 3], "the next one deletes what is left"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_publishes_nothing_at_whichever_file_it_fills(small_disk: Path) -> None:
    published(small_disk, some_items(100), 1)
    filler = small_disk / "filler"
    full = 0
    for room_pages in range(2, 40):
        filler.write_bytes(b"")
        free_pages = os.statvfs(small_disk).f_bavail
        filler.write_bytes(bytes((free_pages - room_pages) * 4096))
        try:
            published(small_disk, some_items(500), 2)
        except StorageFullError:
            full += 1
            assert current(small_disk) == 1
            assert open_current(small_disk, HEAD).manifest.items == 100
        else:
            break
    assert full > 8
    assert generations(small_disk) == [current(small_disk), 1]
    assert open_current(small_disk, HEAD).manifest.items == 500


def test_a_new_data_directory_gets_an_empty_generation(tmp_path: Path) -> None:
    create_first(tmp_path / "index", EPOCH)
    snapshot = open_current(tmp_path / "index", HEAD)
    assert (snapshot.generation, snapshot.cursor, snapshot.manifest.items) == (
        1,
        Cursor(EPOCH, 0),
        0,
    )
    create_first(tmp_path / "index", EPOCH)
    assert generations(tmp_path / "index") == [1]


def test_a_lost_index_is_not_replaced_by_an_empty_one(tmp_path: Path) -> None:
    create_first(tmp_path, EPOCH)
    shutil.rmtree(tmp_path / "00000001")
    create_first(tmp_path, EPOCH)
    assert generations(tmp_path) == []


def test_only_the_owner_can_enter_the_index(tmp_path: Path) -> None:
    create_first(tmp_path / "index", EPOCH)
    for path in (tmp_path / "index", tmp_path / "index" / "00000001"):
        assert path.stat().st_mode & 0o777 == 0o700


def test_rolling_back_names_the_newest_good_generation_before_the_served_one(
    tmp_path: Path,
) -> None:
    for count in (1, 2):
        published(tmp_path, some_items(count), count)
    assert roll_back(tmp_path, HEAD).generation == 1
    assert current(tmp_path) == 1
    assert generations(tmp_path) == [2, 1]
    with pytest.raises(SnapshotRefusedError, match="no good generation before 1"):
        roll_back(tmp_path, HEAD)
    assert current(tmp_path) == 1
    assert published(tmp_path, some_items(3), 3).generation == 3
    assert generations(tmp_path) == [3, 1]


def test_rolling_back_never_names_a_damaged_or_foreign_generation(tmp_path: Path) -> None:
    for count in (1, 2):
        published(tmp_path, some_items(count), count)
    os.truncate(directory_of(tmp_path, 1) / "items.npy", 10)
    with pytest.raises(SnapshotRefusedError):
        roll_back(tmp_path, HEAD)
    with pytest.raises(SnapshotRefusedError):
        roll_back(tmp_path, Unmarked(bytes(16), 5))
    assert current(tmp_path) == 2


def test_deleting_never_takes_the_served_generation_but_what_a_killed_writer_left(
    tmp_path: Path,
) -> None:
    for count in (1, 2):
        published(tmp_path, some_items(count), count)
    (tmp_path / "building").mkdir()
    (tmp_path / "building" / "codes.faiss").write_bytes(b"half")
    assert delete(tmp_path, [1, 2, 3]) == (1,)
    assert names(tmp_path) == {"00000002", "CURRENT", "lock"}
    assert open_current(tmp_path, HEAD).generation == 2


def test_neither_rolls_back_nor_deletes_while_another_process_writes(tmp_path: Path) -> None:
    for count in (1, 2):
        published(tmp_path, some_items(count), count)
    descriptor = os.open(tmp_path / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    for attempt in (lambda: roll_back(tmp_path, HEAD), lambda: delete(tmp_path, [1])):
        with pytest.raises(DataDirectoryError, match="Another process"):
            attempt()
    os.close(descriptor)
    assert (current(tmp_path), generations(tmp_path)) == (2, [2, 1])
