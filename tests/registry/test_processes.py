"""Killed writers of the registry lose nothing, and readers miss nothing."""

import random
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from disrupt.core import media
from disrupt.core.acts import ActRecord
from disrupt.core.changes import Addition, Removal
from disrupt.core.policy import ADULTS
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.data_directory import DataDirectory
from disrupt.registry import opening
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryReader
from rig.media.registrations import DAY, all_changes
from rig.servers.postgresql import commands
from tests.registry import register_until_killed
from tests.registry.register_until_killed import act_of, hides_all, renewal_of, request_of

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def registering(path: Path, seed: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", register_until_killed.__name__, str(path), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_until_killed(path: Path, chance: random.Random) -> list[str]:
    with registering(path, chance.getrandbits(32)) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(chance.randint(40, 60))]
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        lines += process.stdout.readlines()
    assert process.returncode == -9
    return [line for line in lines if line.endswith("\n")]


def packed(item: NewItem) -> bytes:
    return media.pack(item.fingerprints)


def check_acknowledged(reader: RegistryReader, words: dict[int, str]) -> None:
    changes = all_changes(reader)
    added = {
        change.item.item_id: media.pack(change.item.fingerprints)
        for change in changes
        if isinstance(change, Addition)
    }
    removed = {change.item_id for change in changes if isinstance(change, Removal)}
    acts = defaultdict[int, list[ActRecord]](list)
    for record in reader.acts(1_000_000):
        acts[record.act.at_s].append(record)
    for seed, word in words.items():
        request = request_of(seed)
        stored = [added.get(item.item_id) for item in request.items]
        sent = list(map(packed, request.items))
        erased = all(item.item_id in removed for item in request.items)
        if word in {"renewing", "renewed"}:
            *rest, old = stored
            (renewal,) = renewal_of(seed).items
            new = added.get(renewal.item_id)
            assert rest == sent[:-1]
            assert {new, old} == {None, sent[-1] if new is None else packed(renewal)}
            assert old is None or word == "renewing"
        elif word in {"hiding", "hidden"}:
            check_hidden(reader, seed, acts[seed], acknowledged=word == "hidden")
        elif word == "registered":
            assert stored == sent
        elif word == "withdrawn":
            assert erased
        else:  # the kill interrupted it: it is there as a whole, or not at all
            assert (stored == sent) != erased


def check_hidden(
    reader: RegistryReader, seed: int, acts: list[ActRecord], *, acknowledged: bool
) -> None:
    """Check that the items of a registration were hidden with their acts, all of them or none."""
    item_ids = frozenset(item.item_id for item in request_of(seed).items)
    items = reader.items_for_review(ItemFilter(frozenset({ADULTS.number}), item_ids=item_ids), 9)
    assert {item.item_id for item in items.items} == item_ids
    (state,) = {item.state for item in items.items}
    assert state == ItemState.DISABLED or (state == ItemState.LIVE and not acknowledged)
    assert {record.act for record in acts} == ({act_of(seed)} if state != ItemState.LIVE else set())
    named = [(record.item_id, record.items) for record in acts]
    each = [(b"", len(item_ids))] if hides_all(seed) else [(item_id, None) for item_id in item_ids]
    assert sorted(named) == (sorted(each) if acts else [])


def kill_writers(directory: DataDirectory, chance: random.Random, kills: int) -> dict[int, str]:
    """Kill so many writers, and check all that they acknowledged after each; return it."""
    words: dict[int, str] = {}
    for _ in range(kills):
        for line in lines_until_killed(directory.path, chance):
            word, seed = line.split()
            words[int(seed)] = word
        with opening.reading(directory) as reader:
            check_acknowledged(reader, words)
        if directory.registry_url is not None:
            continue
        with closing(sqlite3.connect(directory.registry)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert set(words.values()) >= {"registered", "withdrawn", "renewed", "hidden"}
    return words


def test_killed_writer_loses_nothing_that_it_acknowledged(data_dir: Path) -> None:
    check_killed(DataDirectory(data_dir))


@pytest.mark.skipif(commands() is None, reason="PostgreSQL is not installed")
def test_nor_does_one_with_postgresql(data_dir: Path, database: str) -> None:
    directory = DataDirectory(data_dir)
    directory.note_registry_url(database)
    check_killed(directory)


def check_killed(directory: DataDirectory) -> None:
    words = kill_writers(directory, random.Random(), kills=2)
    with opening.writing(directory, wait=True) as writer:
        check_acknowledged(writer, words)
        kept = next(seed for seed, word in words.items() if word == "registered")
        head = writer.head()
        writer.register(request_of(kept), day=DAY)
        assert writer.head() == head  # the retry of an acknowledged request was a replay
