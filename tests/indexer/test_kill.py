"""A rebuild that is killed leaves the old snapshot served."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from disrupt.index.generations import current, open_current
from disrupt.registry.registry import RegistryWriter
from disrupt.upkeep.rebuild import rebuild
from indexer.verify import verify
from rig.faults.dying import ended_at, rebuild_index
from rig.processes import strace


def test_a_rebuild_killed_at_each_step_of_publishing_leaves_a_whole_snapshot(
    data_dir: Path, writer: RegistryWriter
) -> None:
    index_dir = data_dir / "index"
    rebuild(writer, index_dir)
    served: list[int] = []
    for step in range(1, 60):
        before = current(index_dir)
        code = ended_at(step, rebuild_index, data_dir)
        after = open_current(index_dir, writer)
        assert after.generation == current(index_dir)
        assert verify(writer, index_dir).differences == ()
        if code == 0:
            break
        served.append(after.generation - before)
    assert code == 0
    assert len(served) > 8
    assert served[0] == 0
    assert served[-1] > 0


_TABLED = "from disrupt.index import writing; writing.TABLES_FROM_HASHES = 1; "
_REBUILD = "from indexer.commands import main; main()"


@pytest.mark.skipif(not strace.is_there(), reason="needs strace")
@pytest.mark.parametrize(
    ("call", "name"),
    [("fallocate", "search-tags.npy"), ("fsync", "items.npy")],
)
def test_a_disk_that_is_full_publishes_nothing_and_says_so(
    data_dir: Path, writer: RegistryWriter, call: str, name: str
) -> None:
    index_dir = data_dir / "index"
    rebuild(writer, index_dir)
    before = current(index_dir)
    injected = ("-e", f"trace={call}", "-e", f"inject={call}:error=ENOSPC")
    process = subprocess.run(
        [
            *("strace", "-f", "-qqq", "-o", "/dev/null", *injected),
            *("-P", index_dir / "building" / name),
            *(sys.executable, "-c", _TABLED + _REBUILD, "rebuild", "--data-dir", data_dir),
        ],
        capture_output=True,
        check=False,
    )
    _refused(process, data_dir, writer, before, b"Error: The disk is full: no index was published")


def _refused(
    process: subprocess.CompletedProcess[bytes],
    data_dir: Path,
    writer: RegistryWriter,
    before: int,
    text: bytes,
) -> None:
    index_dir = data_dir / "index"
    assert process.returncode == 1
    assert process.stderr.startswith(text)
    assert process.stderr.count(b"\n") == 1
    assert current(index_dir) == before
    assert not (index_dir / "building").exists()
    assert verify(writer, index_dir).differences == ()
