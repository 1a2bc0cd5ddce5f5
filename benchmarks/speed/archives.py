"""Scan an archive of hashes: disrupt scan, here and on Ray, beside the bare engine on all cores.

The bare engine gets the same hashes, in memory, in a process for each core, and only its searches
are timed; the commands are timed whole, with their start. Processor time is told too, as other work
lengthens it less (not that of Ray's processes). Answers are compared with the engine's, and it
exits with 1 if any differ.

    ./scripts/bench archives --rows 10000000 --size 1000000 --json out.json
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.harness import report
from benchmarks.harness.hash_sets import Distribution, queries, stored
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.data_directory import DataDirectory
from disrupt.distinctiveness.limits import are_within, check_limits
from disrupt.index.generations import current, directory_of
from disrupt.index.nearest import ItemColumns, same_limits
from disrupt.index.snapshot import Snapshot
from rig.model.brute_force import Codes
from rig.servers import ray_cluster, registries
from rig.servers.deployment import BIN

_BLOCK = 4096
_MOST_ITEMS = 10
_ROW_GROUP = 1 << 18

Answers = NDArray[np.uint64]
"""Row, number of the item and distance of each match, (n, 3), sorted."""


@dataclass(frozen=True, slots=True)
class Row:
    """Rate of one way over the whole archive; ``of_engine`` as a share of the bare engine's."""

    way: str
    rows_per_s: float
    took_s: float
    of_engine: float
    cpu_us_per_row: float | None
    matches: int
    wrong: int


class _Engine:
    """The bare engine over the served generation, in a process of a pool."""

    def __init__(self, index_dir: Path, asked: Path) -> None:
        self.snapshot = Snapshot.open(directory_of(index_dir, current(index_dir)), checked=True)
        self.snapshot.warm()
        check_limits()
        self.asked = np.load(asked, mmap_mode="r")
        self.items = ItemColumns(
            self.snapshot.entries["row"],
            self.snapshot.entries["below_bits"],
            self.snapshot.items["bank"],
            np.zeros(len(self.snapshot.items), np.bool_),
        )

    def answers(self, first: int, last: int) -> tuple[float, float, Answers]:
        """Search for some rows; return time and processor time of it, and what is near enough."""
        limits_bits, parts = same_limits(MAX_DISTANCE_BITS), [np.empty((0, 3))]
        took_s = cpu_s = 0.0
        for at in range(first, last, _BLOCK):
            block = np.array(self.asked[at : min(at + _BLOCK, last)])
            wanted = (MAX_DISTANCE_BITS, self.items, limits_bits, _MOST_ITEMS)
            began_s, began_cpu_s = time.perf_counter(), time.thread_time()
            near = self.snapshot.index.search(block, *wanted)
            took_s += time.perf_counter() - began_s
            cpu_s += time.thread_time() - began_cpu_s
            if not len(near.query):
                continue
            kept = are_within(block, near.query, near.distance, compiled=True)
            number = self.snapshot.items["number"][self.items.row[near.entry]]
            rows = np.stack([near.query + np.uint64(at), number, near.distance], axis=1)
            parts.append(rows[kept])
        return took_s, cpu_s, np.concatenate(parts).astype(np.uint64)


_engine: list[_Engine] = []


def _begin(index_dir: Path, asked: Path) -> None:
    _engine[:] = [_Engine(index_dir, asked)]
    _engine[0].answers(0, _BLOCK)


def _answers(first: int, last: int) -> tuple[float, float, Answers]:
    return _engine[0].answers(first, last)


def engine(index_dir: Path, asked: Path, rows: int) -> tuple[float, float, Answers]:
    """Search in a process for each core, each with an equal part.

    Returns the time of the slowest, the processor time of all, and the answers.
    """
    cores = len(os.sched_getaffinity(0))
    bounds = np.linspace(0, rows, cores + 1).astype(int).tolist()
    with ProcessPoolExecutor(
        cores,
        multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(index_dir, asked),
    ) as pool:
        list(pool.map(_answers, [0] * cores, [_BLOCK] * cores))  # all of them have begun
        parts = list(pool.map(_answers, bounds[:-1], bounds[1:]))
    took_s, cpu_s, answers = zip(*parts, strict=True)
    return max(took_s), sum(cpu_s), _sorted(np.concatenate(answers))


def write_archive(path: Path, asked: Codes) -> None:
    """Write hashes in hex to a Parquet file, each with its row as its id."""
    schema = pa.schema([("id", pa.int64()), ("hash", pa.string()), ("quality", pa.uint8())])
    with pq.ParquetWriter(path, schema) as file:
        for first in range(0, len(asked), _ROW_GROUP):
            block = asked[first : first + _ROW_GROUP]
            ids = np.arange(first, first + len(block))
            hashes = [code.tobytes().hex() for code in block]
            quality = np.full(len(block), 80, np.uint8)
            file.write_table(pa.table([ids, hashes, quality], schema=schema))


def read_answers(out: Path) -> Answers:
    """Read the matches of a scan."""
    table = pq.read_table(out, columns=["id", "item", "distance_bits"])
    number = np.array([int(item, 16) for item in table["item"].to_pylist()], np.uint64)
    ids, distance = (table[name].to_numpy().astype(np.uint64) for name in ("id", "distance_bits"))
    return _sorted(np.stack([ids, number, distance], axis=1))


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _sorted(rows: Answers) -> Answers:
    return rows[np.lexsort(rows.T[::-1])]


@click.command(help=__doc__)
@click.option("--rows", default=2_000_000, show_default=True, help="Hashes of the archive.")
@click.option("--size", default=1_000_000, show_default=True, help="Hashes of the list.")
@click.option("--distribution", default="uniform", show_default=True)
@click.option("--ray/--no-ray", "on_ray", default=True, help="Also on a Ray cluster; needs root.")
@report.outputs(
    cannot_show="Archives that lie on a network, and clusters of more than this machine."
)
def main(*, rows: int, size: int, distribution: Distribution, on_ray: bool) -> None:
    """Measure, print, write; exit with 1 if answers differ from the engine's."""
    if on_ray and (reason := ray_cluster.unusable()):
        raise click.ClickException(f"{reason}; leave Ray out by --no-ray.")
    with tempfile.TemporaryDirectory() as folder:
        data_dir, archive = Path(folder) / "data", Path(folder) / "archive.parquet"
        codes = np.load(stored(distribution, size), mmap_mode="r")
        registries.fill(data_dir, codes)
        rebuild: list[str | Path] = [BIN / "disrupt-index", "rebuild", "--data-dir", data_dir]
        subprocess.run(rebuild, check=True, stdout=subprocess.DEVNULL)
        asked = queries(distribution, codes, rows)
        write_archive(archive, asked)
        np.save(Path(folder) / "asked.npy", asked)
        del asked
        index_dir = DataDirectory(data_dir).index
        took_s, cpu_s, truth = engine(index_dir, Path(folder) / "asked.npy", rows)
        cpu_us = 1e6 * cpu_s / rows
        measured = [Row("bare engine", rows / took_s, took_s, 1.0, cpu_us, len(truth), 0)]

        def scan(way: str, cluster: ray_cluster.Cluster | None) -> None:
            out = Path(folder) / way
            words = ("scan", archive, "--data-dir", data_dir, "--out", out)
            began_s, began_cpu_s = time.perf_counter(), _children_cpu_s()
            process = (
                cluster.start(*words)
                if cluster
                else subprocess.Popen([BIN / "disrupt", *words], stdout=subprocess.PIPE, text=True)
            )
            process.communicate()
            taken_s = time.perf_counter() - began_s
            if process.returncode:
                raise click.ClickException(f"{way}: exit code {process.returncode}")
            answers = read_answers(out)
            wrong = len(set(map(tuple, answers.tolist())) ^ set(map(tuple, truth.tolist())))
            cpu_us = None if cluster else 1e6 * (_children_cpu_s() - began_cpu_s) / rows
            rate, share = rows / taken_s, took_s / taken_s
            measured.append(Row(way, rate, taken_s, share, cpu_us, len(answers), wrong))

        scan("disrupt scan", None)
        if on_ray:
            with ray_cluster.cluster(len(os.sched_getaffinity(0))) as cluster:
                scan("disrupt scan --ray", cluster)
    table = [asdict(row) for row in measured]
    report.show(table)
    failures = [f"{row.way}: {row.wrong} answers are wrong" for row in measured if row.wrong]
    report.publish({"ways": table}, failures=failures)


if __name__ == "__main__":
    main()
