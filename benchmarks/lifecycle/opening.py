"""Measure an index up to its first answer: the build, and the opening of what was built."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba.core import caching

from benchmarks.harness.brute_force import Codes
from benchmarks.harness.deployment import BIN
from benchmarks.harness.processes import memory_mb
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.index.generations import current, directory_of
from disrupt.index.known_answers import check_table_search
from disrupt.index.live import LiveIndex
from disrupt.index.multi_index.tables import Tables
from disrupt.index.snapshot import Snapshot

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Built:
    """A rebuild from the registry by command: wall-clock and processor time, in s.

    ``own_peak_mb``: most memory of the process without pages of files; ``peak_mb``: with them,
    mainly those of the index that it writes. ``from_codes_s``: tables from codes in memory.
    """

    rebuild_s: float
    rebuild_cpu_s: float
    own_peak_mb: float
    peak_mb: float
    items: int
    hashes: int
    size_mb: float
    from_codes_s: float


@dataclass(frozen=True, slots=True)
class Opened:
    """A process that opens a verified generation; ``cache``: state of numba's compiled code.

    ``compiled_s``: compiling the search, or loading it; ``answered_s``: from opening the files to
    the first answer, with the search compiled before; ``process_s``: from the process's start.
    """

    cache: str
    compiled_s: float
    answered_s: float
    process_s: float


def build(data_dir: Path, codes: Codes) -> Built:
    """Rebuild the index of a data directory, then sort the same codes in memory."""
    began_s = time.perf_counter()
    before_s = _children_cpu_s()
    process = subprocess.Popen(
        [BIN / "disrupt-index", "rebuild", "--json", "--data-dir", data_dir],
        stdout=subprocess.PIPE,
        text=True,
    )
    own_mb = peak_mb = 0.0
    while process.poll() is None:
        own, file = memory_mb(process.pid)
        own_mb, peak_mb = max(own_mb, own), max(peak_mb, own + file)
        time.sleep(_POLL_S)
    took_s = time.perf_counter() - began_s
    printed, _ = process.communicate()
    cpu_s = _children_cpu_s() - before_s
    if process.returncode:
        raise RuntimeError(f"disrupt-index rebuild: exit code {process.returncode}")
    built = json.loads(printed)
    directory = directory_of(data_dir / "index", built["generation"])
    size = sum(path.stat().st_size for path in directory.iterdir())
    in_memory = np.array(codes)
    began_s = time.perf_counter()
    Tables.of(in_memory, os.cpu_count() or 1)
    from_codes_s = time.perf_counter() - began_s
    return Built(
        round(took_s, 2),
        round(cpu_s, 2),
        round(own_mb, 1),
        round(peak_mb, 1),
        built["items"],
        built["hashes"],
        round(size / 1e6, 1),
        round(from_codes_s, 2),
    )


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def opened(index_dir: Path, query: Codes, cache: str) -> Opened:
    """Open and ask once, in a process that has done nothing before.

    ``cache``: "kept" from earlier processes, "empty", or "none" where none can be written.
    """
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""}
    with tempfile.TemporaryDirectory() as empty:
        if cache != "kept":
            environment["NUMBA_CACHE_DIR"] = empty
        began_s = time.perf_counter()
        done = subprocess.run(
            [BIN / "python", "-m", __name__, index_dir, query.tobytes().hex(), cache],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        process_s = time.perf_counter() - began_s
    compiled_s, answered_s = json.loads(done.stdout)
    return Opened(cache, round(compiled_s, 3), round(answered_s, 3), round(process_s, 3))


def _open(index_dir: Path, query: Codes) -> tuple[float, float]:
    began_s = time.perf_counter()
    check_table_search()
    compiled_s = time.perf_counter()
    snapshot = Snapshot.open(directory_of(index_dir, current(index_dir)))
    snapshot.warm()
    hits = LiveIndex(snapshot).search(query[None], MAX_DISTANCE_BITS)
    ended_s = time.perf_counter()
    if not len(hits):
        raise RuntimeError("a stored hash was not found")
    return compiled_s - began_s, ended_s - compiled_s


def _main() -> None:
    """Run one process of ``opened`` and print how long each step took."""
    index_dir, query, cache = sys.argv[1:]
    if cache == "none":
        # Act as if no cache directory were writable.
        caching.CacheImpl._locator_classes = []  # noqa: SLF001 numba has no switch for it
    code = np.frombuffer(bytes.fromhex(query), np.uint8)
    print(json.dumps(_open(Path(index_dir), code)))


if __name__ == "__main__":
    _main()
