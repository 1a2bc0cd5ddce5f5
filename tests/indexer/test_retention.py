"""The commands rollback and gc."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from disrupt.index.generations import current, generations
from disrupt.registry.registry import RegistryWriter
from disrupt.upkeep.rebuild import rebuild
from indexer.commands import main
from indexer.verify import verify
from rig.media.registrations import DAY, registration


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def index_dir(data_dir: Path, writer: RegistryWriter) -> Path:
    """Make generations 3 (served) and 2, with changes before, between and after them."""
    chance = random.Random(41)
    for _ in range(2):
        done = writer.register(registration(chance), day=DAY)
        rebuild(writer, data_dir / "index")
        writer.withdraw(done.case_number, None, day=DAY)
    return data_dir / "index"


def test_after_a_rollback_index_and_registry_are_equal(
    data_dir: Path, index_dir: Path, writer: RegistryWriter
) -> None:
    done = run("rollback", "--data-dir", data_dir)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Generation 2 is served again, instead of 3")
    assert current(index_dir) == 2
    assert verify(writer, index_dir).differences == ()
    again = run("rollback", "--data-dir", data_dir)
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr.startswith("Error: There is no good generation before 2")


def test_gc_keeps_the_served_generation_and_as_many_before_it_as_asked(
    data_dir: Path, index_dir: Path, writer: RegistryWriter
) -> None:
    assert json.loads(run("gc", "--json", "--keep", "1", "--data-dir", data_dir).stdout) == {
        "generation": 3,
        "deleted": [],
        "freed_bytes": 0,
    }
    size_bytes = sum(path.stat().st_size for path in (index_dir / "00000002").iterdir())
    (index_dir / "building").mkdir()
    (index_dir / "building" / "codes.faiss").write_bytes(bytes(1000))
    assert json.loads(run("gc", "--json", "--data-dir", data_dir).stdout) == {
        "generation": 3,
        "deleted": [{"generation": 2, "size_bytes": size_bytes}],
        "freed_bytes": size_bytes + 1000,
    }
    assert generations(index_dir) == [3]
    assert not (index_dir / "building").exists()
    assert verify(writer, index_dir).differences == ()


def test_gc_deletes_nothing_while_the_served_generation_is_damaged(
    data_dir: Path, index_dir: Path
) -> None:
    os.truncate(index_dir / "00000003" / "codes.faiss", 10)
    done = run("gc", "--data-dir", data_dir)
    assert done.exit_code == 1
    assert "00000003/codes.faiss refused" in done.stderr
    assert generations(index_dir) == [3, 2]
