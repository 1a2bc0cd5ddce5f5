"""Killed writers of the registry lose nothing, and readers miss nothing."""

import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from disrupt.core import media
from disrupt.core.changes import Addition, Cursor, Removal
from disrupt.registry.contract import NewItem, RegistryReader
from disrupt.registry.sql import SqlRegistry
from tests.registry import register_until_killed
from tests.registry.examples import DAY, all_changes, plain
from tests.registry.register_until_killed import renewal_of, request_of

pytestmark = pytest.mark.slow


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
        lines = [process.stdout.readline() for _ in range(chance.randint(3, 40))]
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
        elif word == "registered":
            assert stored == sent
        elif word == "withdrawn":
            assert erased
        else:  # the kill interrupted it: it is there as a whole, or not at all
            assert (stored == sent) != erased


def test_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    chance = random.Random()
    words: dict[int, str] = {}
    for _ in range(4):
        for line in lines_until_killed(path, chance):
            word, seed = line.split()
            words[int(seed)] = word
        with SqlRegistry.open_reader(path) as reader:
            check_acknowledged(reader, words)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert set(words.values()) >= {"registered", "withdrawn", "renewed"}
    with SqlRegistry.open_writer(path) as writer:
        check_acknowledged(writer, words)
        kept = next(seed for seed, word in words.items() if word == "registered")
        head = writer.head()
        writer.register(request_of(kept), day=DAY)
        assert writer.head() == head  # the retry of an acknowledged request was a replay


def test_reader_in_another_process_misses_nothing_and_never_waits_for_the_writer_to_close(
    tmp_path: Path,
) -> None:
    path = tmp_path / "registry.db"
    with registering(path, 7) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("registered")
        with SqlRegistry.open_reader(path) as reader:
            cursor = Cursor(reader.head().epoch, 0)
            seen: list[object] = []
            rounds = 0
            while len(seen) < 200:
                page, cursor = reader.changes(cursor, 7)
                assert cursor.sequence <= reader.head().sequence
                seen += [plain(change)[1] for change in page]
                rounds += bool(page)
            process.kill()
            process.wait()
            everything = [plain(change)[1] for change in all_changes(reader)]
            assert seen == everything[: len(seen)]
            assert rounds > 1
