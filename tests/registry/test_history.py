"""A registry knows the points of its own history, and of no other with equal numbers."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from disrupt.core.changes import Cursor
from disrupt.errors import (
    CursorExpiredError,
    DataDirectoryError,
    OtherHistoryError,
    RegistryReplacedError,
)
from disrupt.index.generations import check_history, open_current, roll_back
from disrupt.registry import sqlite
from disrupt.upkeep.rebuild import rebuild
from rig.media.registrations import DAY, all_changes, new_case, registration


def grow(path: Path, chance: random.Random, changes: int) -> Cursor:
    with sqlite.open_writer(path) as writer:
        for _ in range(changes):
            writer.register(registration(chance), day=DAY)
        return writer.head()


@pytest.mark.parametrize("again", [2, 3])
def test_an_older_copy_that_has_grown_knows_no_change_made_after_it(
    path: Path, chance: random.Random, again: int
) -> None:
    shared = grow(path, chance, 2)
    older = path.read_bytes()
    newer = grow(path, chance, 3)
    path.write_bytes(older)
    regrown = grow(path, chance, again)
    assert regrown.epoch == newer.epoch
    with sqlite.open_reader(path) as reader:
        assert reader.knows(shared)
        assert reader.knows(regrown)
        assert not reader.knows(newer)
        for read in (
            lambda: reader.changes(newer, 10),
            lambda: reader.matched_items(0, newer, 10),
            lambda: reader.removed_since(newer),
            lambda: reader.hashes_since(newer),
        ):
            with pytest.raises(CursorExpiredError):
                read()


def test_an_index_is_refused_by_an_older_copy_that_has_grown_to_its_change(
    path: Path, chance: random.Random
) -> None:
    index_dir = path.with_name("index")
    grow(path, chance, 1)
    older = path.read_bytes()
    grow(path, chance, 2)
    with sqlite.open_reader(path) as reader:
        rebuild(reader, index_dir)
    path.write_bytes(older)
    for _ in range(4):
        with sqlite.open_reader(path) as reader:
            for refused in (check_history, open_current):
                with pytest.raises(OtherHistoryError, match="The registry is not the one"):
                    refused(index_dir, reader)
            with pytest.raises(OtherHistoryError):
                rebuild(reader, index_dir)
        grow(path, chance, 1)
    with sqlite.open_reader(path) as reader:
        rebuild(reader, index_dir, accept_registry=True)
        assert open_current(index_dir, reader).manifest.items == 5


def test_a_copy_made_after_the_newest_generation_is_refused_as_older(
    path: Path, chance: random.Random
) -> None:
    index_dir = path.with_name("index")
    grow(path, chance, 1)
    with sqlite.open_reader(path) as reader:
        rebuild(reader, index_dir)
    grow(path, chance, 1)
    older = path.read_bytes()
    grow(path, chance, 2)
    newer = path.read_bytes()
    path.write_bytes(older)
    for _ in range(3):  # a writer leaves the note of a newer registry as it is
        with sqlite.open_reader(path) as reader:
            for refused in (check_history, open_current):
                with pytest.raises(OtherHistoryError, match="change 4, which registry"):
                    refused(index_dir, reader)
            with pytest.raises(OtherHistoryError, match="change 4, which registry"):
                rebuild(reader, index_dir)
        grow(path, chance, 1)
    kept = path.read_bytes()
    path.write_bytes(newer)
    with sqlite.open_reader(path) as reader:
        check_history(index_dir, reader)
    path.write_bytes(kept)
    with sqlite.open_reader(path) as reader:
        rebuild(reader, index_dir, accept_registry=True)
        check_history(index_dir, reader)


def test_a_copy_older_than_a_generation_that_was_rolled_back_is_refused(
    path: Path, chance: random.Random
) -> None:
    index_dir = path.with_name("index")
    for _ in range(2):
        older = path.read_bytes() if path.exists() else b""
        grow(path, chance, 1)
        with sqlite.open_reader(path) as reader:
            rebuild(reader, index_dir)
    with sqlite.open_reader(path) as reader:
        roll_back(index_dir, reader)
    path.write_bytes(older)
    with (
        sqlite.open_reader(path) as reader,
        pytest.raises(OtherHistoryError, match="change 2, which registry"),
    ):
        check_history(index_dir, reader)


def test_a_note_that_is_missing_older_or_damaged_refuses_nothing(
    path: Path, chance: random.Random
) -> None:
    index_dir, note = path.with_name("index"), path.with_name("registry.head")
    grow(path, chance, 1)
    earlier = note.read_bytes()
    head = grow(path, chance, 1)
    for content in (None, earlier, b"", b"\xff"):
        if content is None:
            note.unlink()
        else:
            note.write_bytes(content)
        with sqlite.open_writer(path) as writer:
            check_history(index_dir, writer)
            writer.check_storage()  # as the server does every few seconds
            assert note.read_text().strip() == head.to_text()


def test_an_older_copy_is_refused_also_where_its_epoch_is_new_and_the_index_is_gone(
    path: Path, chance: random.Random
) -> None:
    index_dir = path.with_name("index")
    withdrawn = registration(chance)
    with sqlite.open_writer(path) as writer:
        case = writer.register(withdrawn, day=DAY).case_number
    older = path.read_bytes()
    with sqlite.open_writer(path) as writer:
        writer.register(registration(chance), day=DAY)
        head = writer.withdraw(case, None, day=DAY).cursor
    path.write_bytes(older)
    for _ in range(3):
        with sqlite.open_writer(path) as writer:
            assert writer.head().epoch != head.epoch, "the journal names what this copy holds"
            writer.check_storage()
            assert writer.lacks() == head
            with pytest.raises(OtherHistoryError, match="change 3, which registry"):
                check_history(index_dir, writer)
    with sqlite.open_reader(path) as reader:
        rebuild(reader, index_dir, accept_registry=True)
    with sqlite.open_writer(path) as writer:
        check_history(index_dir, writer)
        newest = writer.register(registration(chance), day=DAY).cursor
    assert path.with_name("registry.head").read_text().strip() == newest.to_text()


@pytest.mark.parametrize("remove", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_no_new_registry_takes_the_place_of_one_that_is_gone(
    remove: Callable[[Path], object], path: Path, chance: random.Random
) -> None:
    note = path.with_name("registry.head")
    head = grow(path, chance, 2)
    remove(path)
    with (
        pytest.raises(DataDirectoryError, match=r"registry\.head says that there was one"),
        sqlite.open_writer(path),
    ):
        pass
    assert note.read_text().strip() == head.to_text()
    note.unlink()
    with sqlite.open_writer(path) as writer:
        assert writer.head().sequence == 0


def replaced(path: Path) -> None:
    other_path = path.with_name("other.db")
    shutil.copyfile(path, other_path)
    other_path.replace(path)


@pytest.mark.parametrize("exchange", [replaced, Path.unlink])
def test_an_open_registry_whose_file_is_exchanged_is_neither_read_nor_written(
    path: Path, chance: random.Random, exchange: Callable[[Path], None]
) -> None:
    with sqlite.open_writer(path) as writer, sqlite.open_reader(path) as reader:
        done = writer.register(registration(chance), day=DAY)
        writer.checkpoint()
        assert reader.head() == writer.head()
        exchange(path)
        for call in (
            reader.head,
            reader.keys,
            lambda: writer.register(registration(chance, new_case(chance)), day=DAY),
            lambda: writer.withdraw(done.case_number, None, day=DAY),
        ):
            with pytest.raises(RegistryReplacedError, match=r"registry\.db was replaced"):
                call()
    if path.exists():
        for suffix in ("-wal", "-shm"):
            path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
        with sqlite.open_reader(path) as reader:
            assert len(all_changes(reader)) == 1
