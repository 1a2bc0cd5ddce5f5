"""A rebuild that is killed leaves the old snapshot served."""

from __future__ import annotations

import multiprocessing
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.harness import strace
from disrupt.feed.rebuild import rebuild
from disrupt.index.generations import current, generations, open_current
from disrupt.registry.sql import SqlRegistryWriter
from indexer.verify import verify
from tests.indexer.dying import rebuild_and_die

pytestmark = pytest.mark.slow


PROGRAM = str(Path(sys.executable).with_name("disrupt-index"))


def start(data_dir: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([PROGRAM, "rebuild", "--data-dir", str(data_dir), "--json"])


def test_a_rebuild_killed_at_any_point_leaves_a_whole_snapshot(
    data_dir: Path, writer: SqlRegistryWriter
) -> None:
    index_dir = data_dir / "index"
    begun_s = time.monotonic()
    assert start(data_dir).wait() == 0
    whole_s = time.monotonic() - begun_s
    chance = random.Random(3)
    killed = 0
    while killed < 3:
        before, newest = current(index_dir), generations(index_dir)[0]
        process = start(data_dir)
        time.sleep(whole_s * chance.uniform(0.5, 1.0))
        process.kill()
        if process.wait() == -signal.SIGKILL:
            killed += 1
        else:  # the rebuild ended before the kill
            whole_s *= 0.8
        after = open_current(index_dir, writer)
        assert after.generation == current(index_dir)
        assert after.generation in {before, newest + 1}
        assert verify(writer, index_dir).differences == ()
    rebuild(writer, index_dir)
    assert not (index_dir / "building").exists()
    assert verify(writer, index_dir).differences == ()


def test_a_rebuild_killed_at_each_step_of_publishing_leaves_a_whole_snapshot(
    data_dir: Path, writer: SqlRegistryWriter
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.indexer.dying"])
    index_dir = data_dir / "index"
    rebuild(writer, index_dir)
    served: list[int] = []
    for step in range(1, 60):
        before = current(index_dir)
        process = context.Process(target=rebuild_and_die, args=(step, data_dir))
        process.start()
        process.join()
        after = open_current(index_dir, writer)
        assert after.generation == current(index_dir)
        assert verify(writer, index_dir).differences == ()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        served.append(after.generation - before)
    assert process.exitcode == 0
    assert len(served) > 8
    assert served[0] == 0
    assert served[-1] > 0


def test_a_write_that_fails_publishes_nothing_and_says_so(
    data_dir: Path, writer: SqlRegistryWriter
) -> None:
    index_dir = data_dir / "index"
    rebuild(writer, index_dir)
    before = current(index_dir)
    process = subprocess.run(
        [PROGRAM, "rebuild", "--data-dir", str(data_dir)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        capture_output=True,
        check=False,
    )
    _refused(process, data_dir, writer, before, b"Error: ")


_TABLED = "from disrupt.index import writing; writing.TABLES_FROM_HASHES = 1; "
_REBUILD = "from indexer.commands import main; main()"


@pytest.mark.skipif(not strace.is_there(), reason="needs strace")
@pytest.mark.parametrize(
    ("call", "name"),
    [("write", "codes.faiss"), ("fallocate", "search-tags.npy"), ("fsync", "items.npy")],
)
def test_a_disk_that_is_full_publishes_nothing_and_says_so(
    data_dir: Path, writer: SqlRegistryWriter, call: str, name: str
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
    writer: SqlRegistryWriter,
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
