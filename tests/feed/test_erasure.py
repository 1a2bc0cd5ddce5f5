"""After an erasure no generation holds a withdrawn item, and lookups never find it again."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from disrupt.core.policy import ADULTS, MINORS
from disrupt.errors import DataDirectoryError, SnapshotRefusedError
from disrupt.feed.follower import Follower
from disrupt.index import writing
from disrupt.index.generations import create_first, current, directory_of, generations, roll_back
from disrupt.index.live import LiveIndex
from disrupt.index.manifest import TABLES
from disrupt.registry import sqlite
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryWriter
from disrupt.upkeep.erasure import erase, oldest_withdrawn_s
from disrupt.upkeep.rebuild import rebuild
from rig.media.codes import rewrite_manifest, search
from rig.media.registrations import DAY, new_item, registration


@pytest.fixture
def chance() -> random.Random:
    return random.Random(31)


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def writer(tmp_path: Path, index_dir: Path) -> Iterator[RegistryWriter]:
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        create_first(index_dir, writer.head().epoch)
        yield writer


def register(writer: RegistryWriter, chance: random.Random) -> tuple[NewItem, str]:
    item = new_item(chance)
    return item, writer.register(registration(chance, None, item), day=DAY).case_number


def holding(index_dir: Path, item: NewItem) -> list[str]:
    """List the files of the index with a hash or the id of an item."""
    wanted = [item.item_id, *(row["hash"].tobytes() for row in item.fingerprints)]
    return [
        str(path.relative_to(index_dir))
        for path in sorted(index_dir.rglob("*"))
        if path.is_file() and any(secret in path.read_bytes() for secret in wanted)
    ]


def spelled_by_tables(index_dir: Path) -> set[bytes]:
    """Return the hashes put together from nothing but the search tables of all generations."""
    rows = set()
    for generation in generations(index_dir):
        directory = directory_of(index_dir, generation)
        if not (directory / TABLES[0]).exists():
            continue
        starts, _tags, low, high = (np.load(directory / name) for name in TABLES)
        chunks = np.zeros((low.shape[1], len(low)), "<u2")
        for chunk, lower in enumerate(low):
            keys = np.repeat(np.arange(2**16), np.diff(starts[chunk].astype(np.int64)))
            bits = np.unpackbits(high[chunk].view(np.uint8), bitorder="little")
            places = np.arange(len(lower))
            upper = np.flatnonzero(bits) - places - keys * (1 + (len(lower) - 1 >> 16))
            chunks[upper << 16 | lower, chunk] = keys
        rows |= {row.tobytes() for row in chunks}
    return rows


def backdate(index_dir: Path, generation: int, age_s: float) -> None:
    begun_s = int(time.time() - age_s)
    rewrite_manifest(directory_of(index_dir, generation), lambda body: body.update(begun_s=begun_s))


def test_no_generation_holds_a_withdrawn_item_afterwards(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    (gone, case), (kept, _) = register(writer, chance), register(writer, chance)
    rebuild(writer, index_dir)
    rebuild(writer, index_dir)
    in_both = holding(index_dir, gone)
    assert {name.partition("/")[0] for name in in_both} == {"00000002", "00000003"}
    writer.withdraw(case, None, day=DAY)
    assert holding(index_dir, gone) == in_both
    erased = erase(writer, index_dir)
    assert (erased.generation, erased.rebuilt, erased.deleted) == (4, True, (3,))
    assert generations(index_dir) == [4]
    assert holding(index_dir, gone) == []
    assert holding(index_dir, kept)


def test_the_search_tables_of_no_generation_spell_a_withdrawn_hash_afterwards(
    writer: RegistryWriter,
    index_dir: Path,
    chance: random.Random,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writing, "TABLES_FROM_HASHES", 1)
    (gone, case), (kept, _) = register(writer, chance), register(writer, chance)
    rebuild(writer, index_dir)
    went = {row["hash"].tobytes() for row in gone.fingerprints}
    stayed = {row["hash"].tobytes() for row in kept.fingerprints}
    assert spelled_by_tables(index_dir) == went | stayed
    writer.withdraw(case, None, day=DAY)
    erase(writer, index_dir)
    assert spelled_by_tables(index_dir) == stayed


def test_nothing_to_erase_leaves_everything_as_it_is(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    register(writer, chance)
    rebuild(writer, index_dir)
    _, case = register(writer, chance)
    writer.withdraw(case, None, day=DAY)  # it came and went between generations
    erased = erase(writer, index_dir)
    assert (erased.generation, erased.rebuilt, erased.deleted) == (2, False, ())
    assert generations(index_dir) == [2, 1]


def test_only_a_previous_generation_that_holds_it_is_deleted_without_a_rebuild(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    gone, case = register(writer, chance)
    rebuild(writer, index_dir)
    writer.withdraw(case, None, day=DAY)
    rebuild(writer, index_dir)
    assert holding(index_dir, gone)
    erased = erase(writer, index_dir)
    assert (erased.generation, erased.rebuilt, erased.deleted) == (3, False, (2,))
    assert holding(index_dir, gone) == []


def test_what_an_interrupted_rebuild_left_goes_too(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    gone, case = register(writer, chance)
    (index_dir / "building").mkdir()
    (index_dir / "building" / "items.npy").write_bytes(gone.item_id)
    writer.withdraw(case, None, day=DAY)
    erase(writer, index_dir)
    assert holding(index_dir, gone) == []


@pytest.mark.parametrize("harm", ["manifest", "CURRENT"])
def test_a_generation_of_which_nothing_is_known_is_replaced(
    writer: RegistryWriter, index_dir: Path, chance: random.Random, harm: str
) -> None:
    gone, case = register(writer, chance)
    rebuild(writer, index_dir)
    writer.withdraw(case, None, day=DAY)
    if harm == "manifest":
        os.truncate(index_dir / "00000002" / "manifest.json", 20)
    else:
        (index_dir / "CURRENT").unlink()
    assert erase(writer, index_dir).generation == 3
    assert holding(index_dir, gone) == []
    live = LiveIndex()
    Follower(writer, live, index_dir).step()
    assert live.status().generation == 3


def test_within_the_time_given_nothing_happens_and_at_its_end_everything(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    gone, case = register(writer, chance)
    rebuild(writer, index_dir)
    writer.withdraw(case, None, day=DAY)
    backdate(index_dir, 2, 3000)
    erased = erase(writer, index_dir, older_than_s=3600)
    assert (erased.rebuilt, erased.deleted) == (False, ())
    backdate(index_dir, 2, 3600)
    erase(writer, index_dir, older_than_s=3600)
    assert holding(index_dir, gone) == []


def test_the_oldest_withdrawn_byte_is_as_old_as_the_oldest_generation_that_holds_it(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    _, case = register(writer, chance)
    rebuild(writer, index_dir)
    backdate(index_dir, 2, 90_000)
    assert oldest_withdrawn_s(writer, index_dir) == 0
    writer.withdraw(case, None, day=DAY)
    rebuild(writer, index_dir)  # keeps the one before
    assert 90_000 <= oldest_withdrawn_s(writer, index_dir) < 100_000
    assert oldest_withdrawn_s(writer, index_dir, [ADULTS.number]) >= 90_000
    assert oldest_withdrawn_s(writer, index_dir, [MINORS.number]) == 0
    backdate(index_dir, 2, -86_400)
    assert oldest_withdrawn_s(writer, index_dir) > 1_000_000_000
    erase(writer, index_dir)
    assert oldest_withdrawn_s(writer, index_dir) == 0


def test_a_copy_of_the_index_is_as_old_as_what_was_copied(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    gone, case = register(writer, chance)
    rebuild(writer, index_dir)
    writer.withdraw(case, None, day=DAY)
    backdate(index_dir, 2, 3600)
    copied = index_dir.with_name("copied")
    shutil.copytree(index_dir, copied, copy_function=shutil.copyfile)
    erase(writer, copied, older_than_s=3600)
    assert holding(copied, gone) == []


def test_an_age_that_the_clock_cannot_tell_counts_as_over(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    gone, case = register(writer, chance)
    rebuild(writer, index_dir)
    writer.withdraw(case, None, day=DAY)
    backdate(index_dir, 2, -86_400)
    erase(writer, index_dir, older_than_s=3600)
    assert holding(index_dir, gone) == []


def test_an_erasure_beside_another_writer_of_the_index_says_that_it_did_not_happen(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    _, case = register(writer, chance)
    rebuild(writer, index_dir)
    writer.withdraw(case, None, day=DAY)
    descriptor = os.open(index_dir / "lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(DataDirectoryError, match="Another process"):
        erase(writer, index_dir)
    os.close(descriptor)
    assert current(index_dir) == 2


def test_rolled_back_index_replays_later_removals_before_it_serves(
    writer: RegistryWriter, index_dir: Path, chance: random.Random
) -> None:
    (gone, case), (kept, _) = register(writer, chance), register(writer, chance)
    rebuild(writer, index_dir)
    writer.withdraw(case, None, day=DAY)
    rebuild(writer, index_dir)
    running = LiveIndex()
    follower = Follower(writer, running, index_dir)
    follower.step()
    roll_back(index_dir, writer)
    follower.step()
    started = LiveIndex()
    Follower(writer, started, index_dir).step()
    for live in (running, started):
        assert live.status().generation == 2
        assert live.find(live.numbers()[0]) is not None
        assert gone.item_id not in search(live, gone.fingerprints["hash"], 0).item_id.tobytes()
        assert kept.item_id in search(live, kept.fingerprints["hash"], 0).item_id.tobytes()
    erase(writer, index_dir)
    assert holding(index_dir, gone) == []
    with pytest.raises(SnapshotRefusedError, match="no good generation before"):
        roll_back(index_dir, writer)
