"""Rebuild, verify and stats over a real registry."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from disrupt.core.changes import Addition
from disrupt.core.media import FINGERPRINT, MediaKind, StoredItem
from disrupt.data_directory import DataDirectory
from disrupt.errors import SnapshotRefusedError
from disrupt.index import writing
from disrupt.index.generations import create_first, current, locked, open_current, publish
from disrupt.index.multi_index import engine
from disrupt.index.multi_index.tables import Tables
from disrupt.registry import opening
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryWriter
from disrupt.upkeep.rebuild import rebuild
from indexer.commands import main
from indexer.stats import stats
from indexer.verify import verify
from rig.media.codes import Codes, blocks, damage, rewrite_manifest
from rig.media.registrations import DAY, all_changes, registration


def run(*arguments: str | Path, **environment: str) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)


def living(writer: RegistryWriter) -> list[StoredItem]:
    return [change.item for change in all_changes(writer) if isinstance(change, Addition)]


def test_changes_made_while_a_rebuild_reads_come_after_its_cursor(
    data_dir: Path, writer: RegistryWriter
) -> None:
    before = writer.head()

    def meanwhile(_doing: str, _done: int, _to_do: int) -> None:
        writer.register(registration(random.Random(77)), day=DAY)

    rebuilt = rebuild(writer, data_dir / "index", meanwhile)
    assert rebuilt.sequence == before.sequence < writer.head().sequence
    assert verify(writer, data_dir / "index").differences == ()


def test_index_and_registry_are_equal_before_and_after_a_rebuild(
    data_dir: Path, writer: RegistryWriter
) -> None:
    first = verify(writer, data_dir / "index")
    assert (first.generation, first.items, first.differences) == (1, 28, ())
    rebuild(writer, data_dir / "index")
    writer.register(registration(random.Random(78)), day=DAY)
    second = verify(writer, data_dir / "index")
    assert (second.generation, second.items, second.differences) == (2, 29, ())
    assert second.hashes == first.hashes + 2
    assert first.lookups == second.lookups == 32


def broken(items: list[StoredItem], how: str) -> Iterator[StoredItem]:
    """Yield the registry's items as an index with an error in the fourth would hold them."""
    for place, item in enumerate(items):
        if place != 3:
            yield item
        elif how == "bank":
            yield dataclasses.replace(item, bank=2)
        elif how == "item_id":
            yield dataclasses.replace(item, item_id=bytes(16))
        elif how in {"hash", "start_ms", "ordinal", "profile"}:
            fingerprints = np.array(item.fingerprints)
            fingerprints[how][0] ^= 1
            yield dataclasses.replace(item, fingerprints=fingerprints)
        elif how == "below_bits":
            yield dataclasses.replace(item, below_bits=item.below_bits - 1)
        elif how == "fewer":
            yield dataclasses.replace(
                item, fingerprints=item.fingerprints[:0], below_bits=item.below_bits[:0]
            )


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("missing", "in the registry, not in the index"),
        ("bank", "differs in its items"),
        ("item_id", "differs in its items"),
        ("hash", "differs in its codes"),
        ("start_ms", "differs in its entries"),
        ("ordinal", "differs in its entries"),
        ("profile", "differs in its entries"),
        ("below_bits", "differs in its entries"),
        ("fewer", "differs in its codes"),
    ],
)
def test_any_difference_is_found_and_named(
    data_dir: Path, writer: RegistryWriter, how: str, problem: str
) -> None:
    items = living(writer)
    publish(data_dir / "index", blocks(broken(items, how)), writer.head())
    verification = verify(writer, data_dir / "index")
    assert [(difference.number, difference.problem) for difference in verification.differences] == [
        (items[3].number, problem)
    ]
    result = run("verify", "--data-dir", data_dir)
    assert result.exit_code == 1
    assert f"item {items[3].number}: {problem}" in result.stdout


def test_an_item_that_the_registry_no_longer_has_is_a_difference(
    data_dir: Path, writer: RegistryWriter
) -> None:
    items = living(writer)
    extra = dataclasses.replace(items[0], number=10**6)
    publish(data_dir / "index", blocks([*items, extra]), writer.head())
    (difference,) = verify(writer, data_dir / "index").differences
    assert (difference.number, difference.problem) == (10**6, "in the index, not in the registry")


def test_a_search_that_misses_is_found_out(
    data_dir: Path, writer: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that an index whose tables are of other codes fails, though its checksums fit."""
    monkeypatch.setattr(writing, "TABLES_FROM_HASHES", 1)
    monkeypatch.setattr(engine, "CODE_NS", 1e9)
    rebuild(writer, data_dir / "index")
    assert verify(writer, data_dir / "index").differences == ()
    write = Tables.write

    def write_others(directory: Path, codes: Codes, *rest: Any) -> Tables:
        return write(directory, np.ascontiguousarray(~codes), *rest)

    monkeypatch.setattr(Tables, "write", write_others)
    rebuild(writer, data_dir / "index")
    problems = {difference.problem for difference in verify(writer, data_dir / "index").differences}
    assert problems == {"not found by searching for it"}


def test_a_byte_that_changed_since_the_files_were_found_good_is_found_out(
    data_dir: Path, writer: RegistryWriter
) -> None:
    rebuild(writer, data_dir / "index")
    assert verify(writer, data_dir / "index").differences == ()
    damage(data_dir / "index" / "00000002" / "codes.faiss")
    open_current(data_dir / "index", writer, checked_from=2)
    with pytest.raises(SnapshotRefusedError, match=r"codes\.faiss refused: altered"):
        verify(writer, data_dir / "index")


def test_an_item_withdrawn_while_it_is_compared_is_no_difference(
    data_dir: Path, writer: RegistryWriter
) -> None:
    done = writer.register(registration(random.Random(79)), day=DAY)
    rebuild(writer, data_dir / "index")
    matched_items = writer.matched_items

    def withdrawing(after, until, limit):  # type: ignore[no-untyped-def]
        writer.withdraw(done.case_number, None, day=DAY)
        return matched_items(after, until, limit)

    writer.matched_items = withdrawing  # type: ignore[method-assign]
    assert verify(writer, data_dir / "index").differences == ()


def test_stats_count_what_is_there(data_dir: Path, writer: RegistryWriter) -> None:
    rebuild(writer, data_dir / "index")
    writer.register(registration(random.Random(80)), day=DAY)
    counted = stats(writer, data_dir / "index")
    items = living(writer)[:-1]
    assert (counted.generation, counted.items, counted.engine) == (2, 28, "flat")
    assert counted.changes_behind == 1
    assert counted.items_per_bank == {"adults": 28}
    assert counted.items_per_kind == {"IMAGE": 28}
    assert sum(counted.hashes_per_plan.values()) == counted.hashes
    profiles = np.concatenate([item.fingerprints["profile"] for item in items])
    assert counted.hashes_per_profile.get("PDQ_512", 0) == int(np.sum(profiles == 1))
    assert [(generation.generation, generation.served) for generation in counted.generations] == [
        (2, True),
        (1, False),
    ]
    files = (data_dir / "index" / "00000002").iterdir()
    assert counted.size_bytes == sum(path.stat().st_size for path in files)
    assert 0 < counted.memory_bytes < counted.size_bytes
    assert (counted.tombstones, counted.oldest_withdrawn_s) == (0, 0)


def test_stats_before_the_first_compaction_say_what_is_looked_up_all_the_same(
    tmp_path: Path,
) -> None:
    directory = DataDirectory(tmp_path / "new")
    directory.make()
    with opening.writing(directory) as writer:
        create_first(directory.index, writer.head().epoch)
        for chance in (random.Random(1), random.Random(2)):
            case = writer.register(registration(chance), day=DAY).case_number
        writer.withdraw(case, None, day=DAY)
    told = run("stats", "--data-dir", directory.path).stdout
    assert "items               0\n" in told
    assert "added since         1 items, 2 hashes; looked up too\n" in told


def test_stats_tell_without_a_server_what_is_still_to_be_erased(
    data_dir: Path, writer: RegistryWriter
) -> None:
    case = writer.register(registration(random.Random(80)), day=DAY).case_number
    rebuild(writer, data_dir / "index")
    writer.withdraw(case, None, day=DAY)
    begun_s = int(time.time()) - 90_000
    rewrite_manifest(data_dir / "index/00000002", lambda body: body.update(begun_s=begun_s))
    counted = stats(writer, data_dir / "index")
    assert (counted.tombstones, 90_000 <= counted.oldest_withdrawn_s < 100_000) == (1, True)


def test_stats_say_what_a_lookup_and_its_tables_cost(
    data_dir: Path, writer: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "TABLES_FROM_HASHES", 1)
    monkeypatch.setattr(engine, "CODE_NS", 1e9)
    rebuild(writer, data_dir / "index")
    even = stats(writer, data_dir / "index")
    assert even.engine == "multi_index"
    chance = random.Random(81)
    near = np.zeros(300, FINGERPRINT)
    near["hash"][:, 2:] = np.random.default_rng(1).integers(0, 256, (300, 30))
    item = NewItem(chance.randbytes(16), MediaKind.IMAGE, near)
    writer.register(registration(chance, None, item), day=DAY)
    rebuild(writer, data_dir / "index")
    skewed = stats(writer, data_dir / "index")
    assert skewed.expected_lookup_us > even.expected_lookup_us > 0
    assert skewed.memory_bytes - even.memory_bytes > 300 * 32
    assert "engine              multi_index\n" in run("stats", "--data-dir", data_dir).stdout


def test_a_rebuild_published_while_verify_and_stats_begin_is_no_difference(
    data_dir: Path, writer: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild(writer, data_dir / "index")
    chance = random.Random(8)

    def meanwhile(index_dir: Path) -> int:
        """Another process registers and publishes before CURRENT is read."""
        writer.register(registration(chance), day=DAY)
        rebuild(writer, index_dir)
        return current(index_dir)

    monkeypatch.setattr("indexer.verify.current", meanwhile)
    outcome = verify(writer, data_dir / "index")
    assert outcome.differences == ()
    assert outcome.sequence == writer.head().sequence
    monkeypatch.setattr("indexer.stats.current", meanwhile)
    assert stats(writer, data_dir / "index").changes_behind == 0


@pytest.mark.parametrize("command", ["rebuild", "compact", "verify", "stats"])
@pytest.mark.usefixtures("writer")
def test_every_command_prints_one_json_object_if_asked(data_dir: Path, command: str) -> None:
    result = run(command, "--json", DISRUPT_DATA_DIR=str(data_dir))
    assert result.exit_code == 0
    assert {"generation", "items", "hashes"} <= json.loads(result.stdout).keys()


@pytest.mark.parametrize("command", ["rebuild", "compact", "verify", "stats", "rollback", "gc"])
def test_every_command_has_help_and_refuses_wrong_usage_and_a_folder_without_a_registry(
    tmp_path: Path, command: str
) -> None:
    assert f"Example: disrupt-index {command} --data-dir data" in run(command, "--help").stdout
    assert run(command).exit_code == 2
    assert run(command, "--data-dir", tmp_path / "nowhere").exit_code == 2
    result = run(command, "--data-dir", tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: There is no registry")
    assert result.stderr.count("\n") == 1


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("command", ["verify", "stats"])
def test_a_damaged_index_is_one_clear_line_and_a_rebuild_mends_it(
    data_dir: Path, command: str
) -> None:
    os.truncate(data_dir / "index" / "00000001" / "codes.faiss", 10)
    result = run(command, "--data-dir", data_dir)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Snapshot file 00000001/codes.faiss refused")
    assert result.stderr.count("\n") == 1
    assert run("rebuild", "--data-dir", data_dir).exit_code == 0
    assert current(data_dir / "index") == 2
    assert run("verify", "--data-dir", data_dir).exit_code == 0


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("command", ["rebuild", "compact", "rollback", "gc"])
def test_a_second_indexer_is_refused_and_changes_nothing(data_dir: Path, command: str) -> None:
    (data_dir / "index" / "building").mkdir()
    with locked(data_dir / "index"):
        result = run(command, "--data-dir", data_dir)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: Another process is writing an index here")
    assert result.stderr.count("\n") == 1
    assert current(data_dir / "index") == 1


@pytest.mark.usefixtures("writer")
def test_what_cannot_be_printed_was_done_all_the_same(data_dir: Path) -> None:
    start = "from indexer.commands import main; main()"
    said = "Error: It is done, but standard output cannot be written: No space left on device.\n"
    for command, generation in (("rebuild", 2), ("rollback", 1)):
        with Path("/dev/full").open("w") as full:
            result = subprocess.run(
                [sys.executable, "-c", start, command, "--data-dir", data_dir],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert (result.returncode, result.stderr) == (1, said)
        assert current(data_dir / "index") == generation
