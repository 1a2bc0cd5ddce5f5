"""Hash the same files with Disrupt and with python-threatexchange, in the same run.

Each pipeline gets a fresh process for each file, and one thread: times are the least of several of
that thread, memory is the most that the process ever had. It exits with 1 if a lookup's hash is too
far from what is registered of the file.

    ./scripts/bench hashing --json out.json
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import click

from benchmarks.harness import report
from rig.media.photographs import KINDS, encode, photographs
from rig.processes.running import peak_bytes

if TYPE_CHECKING:
    from PIL import Image

MAX_LOOKUP_BITS = 8
"""Largest distance of a lookup's hash from the registered one of the same file, per photo."""

MAX_MEAN_LOOKUP_BITS = 2

Pipeline = Callable[[bytes], list[str]]


def _lookup() -> Pipeline:
    from disrupt.core.lookups import Effort
    from disrupt.hashing import ImageQuery, hash_image

    def hashes(data: bytes) -> list[str]:
        query = hash_image(data, effort=Effort.FAST)
        if not isinstance(query, ImageQuery):
            return []
        return [hash_.value.hex() for hash_, _ in query.hashes]

    return hashes


def _registration() -> Pipeline:
    from disrupt.hashing import ImageFingerprints, fingerprint_image

    def hashes(data: bytes) -> list[str]:
        outcome = fingerprint_image(data)
        if not isinstance(outcome, ImageFingerprints):
            return []
        return [fingerprint.hash.value.hex() for fingerprint in outcome.fingerprints]

    return hashes


def _threatexchange() -> Pipeline:
    from threatexchange.signal_type.pdq.pdq_hasher import pdq_from_bytes

    if find_spec("pillow_heif"):  # the peer does not read HEIC otherwise
        from pillow_heif import register_heif_opener

        register_heif_opener()
    return lambda data: [pdq_from_bytes(data)[0]]


PIPELINES = {
    "disrupt_lookup": _lookup,
    "disrupt_registration": _registration,
    "threatexchange": _threatexchange,
}
"""Functions that import a pipeline, so that each process loads one."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Results of one process for one file."""

    ms: float
    peak_mb: float
    hashes: list[str]


def measured(pipeline: str, path: Path, seconds: float) -> Measured:
    """Run a pipeline in this process; its imports do not count as a cost of the picture."""
    data, run = path.read_bytes(), PIPELINES[pipeline]()
    hashes = run(data)
    # getrusage would count the process that started this one, too.
    peak_mb = peak_bytes() / 1e6
    return Measured(least_ms(lambda: run(data), seconds), peak_mb, hashes)


def least_ms(work: Callable[[], object], seconds: float) -> float:
    """Return the least time of this process's one thread, which other work lengthens least."""
    times_s: list[float] = []
    until_s = time.perf_counter() + seconds
    while len(times_s) < 2 or time.perf_counter() < until_s:
        before_s = time.thread_time()
        work()
        times_s.append(time.thread_time() - before_s)
    return 1000 * min(times_s)


def rows_of(kind: str, results: dict[str, list[Measured]]) -> list[dict[str, object]]:
    """Return a row for each pipeline on files of a kind: means over the photographs.

    ``bits`` are distances from the nearest hash that registration stores of the same file.
    """
    registered = results["disrupt_registration"]
    lookup_ms = fmean(each.ms for each in results["disrupt_lookup"])
    rows: list[dict[str, object]] = []
    for pipeline, each in results.items():
        bits = [_bits(mine, theirs) for mine, theirs in zip(each, registered, strict=True)]
        rows.append(
            {
                "input": kind,
                "pipeline": pipeline,
                "ms": fmean(result.ms for result in each),
                "times_lookup": fmean(result.ms for result in each) / lookup_ms,
                "peak_mb": max(result.peak_mb for result in each),
                "mean_bits": fmean(bits),
                "most_bits": max(bits),
            }
        )
    return rows


def _bits(mine: Measured, registered: Measured) -> int:
    """Return the least distance of two files' hashes; 0 where neither has one."""
    distances = [
        (int(hex_of_mine, 16) ^ int(hex_of_registered, 16)).bit_count()
        for hex_of_mine in mine.hashes
        for hex_of_registered in registered.hashes
    ]
    return min(distances, default=0 if mine.hashes == registered.hashes else 256)


def pdq_row(photograph: Image.Image, seconds: float) -> dict[str, object]:
    """Compare PDQ of 512 x 512 pixels with pdqhash, and eight orientations with one."""
    import numpy as np
    import pdqhash

    from disrupt.hashing.pdq.linear import hash_dihedral, hash_luma

    luma = np.asarray(photograph.convert("L").resize((512, 512)))
    pixels = np.dstack([luma] * 3)
    single_ms = least_ms(lambda: hash_luma(luma), seconds)
    return {
        "pdq_ms": single_ms,
        "pdqhash_ms": least_ms(lambda: pdqhash.compute(pixels), seconds),
        "eight_orientations_ms": least_ms(lambda: hash_dihedral(luma), seconds),
    }


def disagreeing(rows: Sequence[dict[str, object]]) -> list[str]:
    """Return the kinds of files whose lookups do not agree with what is registered."""
    return [
        str(row["input"])
        for row in rows
        if row["pipeline"] == "disrupt_lookup"
        and (
            float(str(row["most_bits"])) > MAX_LOOKUP_BITS
            or float(str(row["mean_bits"])) > MAX_MEAN_LOOKUP_BITS
        )
    ]


@click.command(help=__doc__)
@report.outputs(
    cannot_show="Other processors, and other builds of libraries; peaks include the interpreter."
)
@click.option("--photographs", "count", default=8, show_default=True, help="At most.")
@click.option("--seconds", default=0.3, show_default=True, help="To repeat each pipeline for.")
@click.option(
    "--input", "inputs", multiple=True, type=click.Choice(list(KINDS)), help="Only these."
)
def main(*, count: int, seconds: float, inputs: tuple[str, ...]) -> None:
    """Measure, print, write; exit with 1 if lookups do not agree with what is registered."""
    kinds = inputs or tuple(KINDS)
    if find_spec("pillow_heif"):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    else:
        kinds = tuple(kind for kind in kinds if kind != "heic_1920")
    chosen = [load() for _, load in islice(photographs(), count)]
    rows: list[dict[str, object]] = []
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        # A process for each task: its memory is that of one pipeline and one file.
        ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as alone,
    ):
        for kind in kinds:
            results: dict[str, list[Measured]] = {pipeline: [] for pipeline in PIPELINES}
            for photograph in chosen:
                path = Path(folder) / kind
                path.write_bytes(encode(photograph, KINDS[kind]))
                for pipeline, each in results.items():
                    each.append(alone.submit(measured, pipeline, path, seconds).result())
            rows += rows_of(kind, results)
    pdq = pdq_row(chosen[0], seconds)
    report.show(rows)
    report.show([pdq])
    failures = [f"lookups of {kind} do not agree with registration" for kind in disagreeing(rows)]
    report.publish({"rows": rows, "pdq": [pdq]}, failures=failures)


if __name__ == "__main__":
    main()
