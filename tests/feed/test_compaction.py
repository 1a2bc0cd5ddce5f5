"""A compaction publishes, byte for byte, what a rebuild from the registry would."""

from __future__ import annotations

import fcntl
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.changes import Cursor
from disrupt.core.states import ItemState
from disrupt.data_directory import HEAD_NOTE
from disrupt.errors import OtherHistoryError, SnapshotRefusedError
from disrupt.feed.follower import Follower
from disrupt.index import writing
from disrupt.index.generations import create_first, current, directory_of
from disrupt.index.live import LiveIndex
from disrupt.index.manifest import FILES, TABLES
from disrupt.registry import head_note, sqlite
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryWriter
from disrupt.upkeep import compaction
from disrupt.upkeep.compaction import compact, is_due
from disrupt.upkeep.erasure import erase
from disrupt.upkeep.rebuild import rebuild
from rig.media.codes import search
from rig.media.registrations import DAY, new_item, registration


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def writer(tmp_path: Path, index_dir: Path) -> Iterator[RegistryWriter]:
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        create_first(index_dir, writer.head().epoch)
        yield writer


def register(writer: RegistryWriter, chance: random.Random, count: int) -> list[str]:
    """Register cases of one item each and return their numbers."""
    return [
        writer.register(
            registration(chance, None, new_item(chance, hashes=1 + at % 4)), day=DAY
        ).case_number
        for at in range(count)
    ]


def set_state(writer: RegistryWriter, case_number: str, state: ItemState) -> None:
    case = writer.case(case_number)
    assert case is not None
    act = Act(OPERATOR, "", Action.DISABLE, 1_795_000_000)
    writer.set_states([item.item_id for item in case.items], state, act)


def is_live(writer: RegistryWriter, case_number: str) -> bool:
    case = writer.case(case_number)
    return case is not None and case.items[0].state == ItemState.LIVE


def content(index_dir: Path) -> dict[str, bytes]:
    directory = directory_of(index_dir, current(index_dir))
    return {
        name: (directory / name).read_bytes()
        for name in (*FILES, *TABLES)
        if (directory / name).exists()
    }


def test_a_compaction_equals_a_rebuild(
    writer: RegistryWriter, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_BLOCK_ITEMS", 7)
    monkeypatch.setattr(writing, "TABLES_FROM_HASHES", 50)
    chance = random.Random(1)
    cases: list[str] = []
    for round_ in range(4):
        cases += register(writer, chance, 20)
        chance.shuffle(cases)
        # Some of these are withdrawn below, and some are of this round.
        for case in cases[-15:]:
            set_state(writer, case, chance.choice([ItemState.LIVE, ItemState.DISABLED]))
        for case in cases[:10]:
            set_state(writer, case, ItemState.DISABLED)
            set_state(writer, case, ItemState.LIVE)
        for _ in range(5):  # cases of this round and of earlier ones
            writer.withdraw(cases.pop(), None, day=DAY)
        compacted = compact(writer, index_dir)
        written = content(index_dir)
        assert len(written) == len(FILES) + (len(TABLES) if round_ else 0)
        rebuilt = rebuild(writer, index_dir)
        assert content(index_dir) == written
        assert (compacted.items, compacted.hashes) == (rebuilt.items, rebuilt.hashes)
        assert compacted.items == sum(map(partial(is_live, writer), cases))
        if round_ % 2:  # the next compaction starts from a compacted generation
            compact(writer, index_dir)


def test_a_compaction_is_due_once_hashes_enough_have_come(
    writer: RegistryWriter, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(2)
    cases = register(writer, chance, 4)  # the cases have 1, 2, 3 and 4 hashes
    assert is_due(writer, index_dir, 10)
    assert not is_due(writer, index_dir, 11)
    compact(writer, index_dir)
    assert not is_due(writer, index_dir, 1)
    writer.withdraw(cases[3], None, day=DAY)
    assert is_due(writer, index_dir, 1)
    assert not is_due(writer, index_dir, 2)
    compact(writer, index_dir)
    register(writer, chance, 2)  # cases of 1 and 2 hashes, beside 6 in the index
    monkeypatch.setattr(compaction, "_SHARE", 2)
    assert is_due(writer, index_dir, 1)
    monkeypatch.setattr(compaction, "_SHARE", 1)
    assert not is_due(writer, index_dir, 1)
    (index_dir / "CURRENT").unlink()
    assert not is_due(writer, index_dir, 1)


def before_the_next_lock(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have another process act just before the index is locked next."""
    flock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        act()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)


def test_what_is_erased_just_before_a_compaction_does_not_come_back(
    writer: RegistryWriter, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(3)
    item: NewItem = new_item(chance)
    case = writer.register(registration(chance, None, item), day=DAY).case_number
    register(writer, chance, 2)
    rebuild(writer, index_dir)
    before_the_next_lock(monkeypatch, lambda: writer.withdraw(case, None, day=DAY))
    compact(writer, index_dir)
    assert item.item_id not in content(index_dir)["items.npy"]


def test_what_a_rebuild_published_just_before_a_compaction_can_be_withdrawn_and_erased(
    writer: RegistryWriter, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    register(writer, chance, 1)
    item: NewItem = new_item(chance)
    cases: list[str] = []

    def another_process() -> None:
        cases.append(writer.register(registration(chance, None, item), day=DAY).case_number)
        rebuild(writer, index_dir)

    before_the_next_lock(monkeypatch, another_process)
    compact(writer, index_dir)
    writer.withdraw(cases[0], None, day=DAY)
    live = LiveIndex()
    Follower(writer, live, index_dir).step()
    assert len(search(live, item.fingerprints["hash"], 0)) == 0
    erase(writer, index_dir)
    value = item.fingerprints["hash"][0].tobytes()
    assert [path for path in index_dir.rglob("codes.*") if value in path.read_bytes()] == []


def test_a_head_older_than_the_served_generation_is_refused_and_nothing_published(
    writer: RegistryWriter, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(writer, random.Random(6), 2)
    rebuild(writer, index_dir)
    earlier = Cursor(writer.head().epoch, 1)
    monkeypatch.setattr(writer, "head", lambda: earlier)
    with pytest.raises(SnapshotRefusedError, match="newer than what the registry holds"):
        compact(writer, index_dir)
    assert current(index_dir) == 2


def test_an_older_copy_of_the_registry_is_refused_and_nothing_published(
    writer: RegistryWriter, index_dir: Path
) -> None:
    register(writer, random.Random(7), 1)
    newer = replace(writer.head(), sequence=writer.head().sequence + 1)
    head_note.write(index_dir.with_name(HEAD_NOTE), newer)
    with pytest.raises(OtherHistoryError):
        compact(writer, index_dir)
    assert current(index_dir) == 1


def test_a_damaged_generation_is_refused_and_nothing_published(
    writer: RegistryWriter, index_dir: Path
) -> None:
    register(writer, random.Random(4), 3)
    rebuild(writer, index_dir)
    before = current(index_dir)
    path = directory_of(index_dir, before) / "codes.faiss"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SnapshotRefusedError, match=r"codes\.faiss"):
        compact(writer, index_dir)
    assert current(index_dir) == before
    assert not (index_dir / "building").exists()
    assert rebuild(writer, index_dir, accept_registry=True).items == 3
    assert erase(writer, index_dir).generation == current(index_dir)
