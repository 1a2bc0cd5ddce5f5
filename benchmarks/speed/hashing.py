"""Hash the same files with Disrupt and with python-threatexchange, in the same run.

It prints tables and, with --json, writes rows. Each pipeline gets a fresh process for each file,
and one thread: times are the least of several of that thread, memory is the most that the process
ever had. It exits with 1 if a lookup's hash is too far from what is registered of the file.

    ./scripts/bench hashing --json out.json
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import fmean

import click
import numpy as np
import pdqhash
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.harness.photographs import KINDS, encode, photographs
from benchmarks.speed.hashing_pipelines import PIPELINES, least_ms
from disrupt.hashing.pdq.linear import hash_dihedral, hash_luma

MAX_LOOKUP_BITS = 8
"""Largest distance of a lookup's hash from the registered one of the same file, per photo."""

MAX_MEAN_LOOKUP_BITS = 2

_FILE_WIDTH = 130
_PACKAGES = ("disrupt-hashes", "numpy", "pdqhash", "pillow", "pillow-heif", "threatexchange")
_STAGES = ("decode", "reduce", "pdq", "total")


@dataclass(frozen=True, slots=True)
class Row:
    """One stage of a pipeline on files of one kind: means over the photographs.

    ``peak_mb`` and ``bits_from_registration`` are of the whole pipeline: the most memory, and the
    greatest distance from the nearest hash that registration stores of the file.
    """

    pipeline: str
    input: str
    stage: str
    ms: float
    peak_mb: float
    bits_from_registration: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Results of one process for one file."""

    ms: dict[str, float]
    peak_mb: float
    hashes: list[str]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A number that the project promises, with its floor or ceiling."""

    name: str
    found: float
    bound: float
    at_least: bool


@click.command(help=__doc__)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the rows.")
@click.option("--photographs", "n_photographs", default=8, show_default=True, help="At most.")
@click.option("--seconds", default=0.3, show_default=True, help="To repeat each stage for.")
@click.option(
    "--input", "inputs", multiple=True, type=click.Choice(list(KINDS)), help="Only these."
)
@click.option("--sabotage", is_flag=True, help="Look up the mirrored picture: must fail.")
def main(
    *,
    json_path: Path | None,
    n_photographs: int,
    seconds: float,
    inputs: tuple[str, ...],
    sabotage: bool,
) -> None:
    """Measure, print, write; exit with 1 if lookups do not agree with what is registered."""
    console = Console() if sys.stdout.isatty() else Console(width=_FILE_WIDTH)
    absent = {} if find_spec("pillow_heif") else {"heic_1920": "the extra heic is not installed"}
    if not absent:
        from pillow_heif import register_heif_opener  # noqa: PLC0415

        register_heif_opener()
    by_input: dict[tuple[str, str], list[Measured]] = {}
    names = []
    with tempfile.TemporaryDirectory() as folder:
        for name, load in islice(photographs(), n_photographs):
            console.print(f"{name} …", highlight=False)
            names.append(name)
            photograph = load()
            for kind in [wanted for wanted in inputs or KINDS if wanted not in absent]:
                path = Path(folder) / kind
                path.write_bytes(encode(photograph, KINDS[kind]))
                for pipeline in PIPELINES:
                    measured = _alone(pipeline, path, seconds, sabotage=sabotage)
                    by_input.setdefault((kind, pipeline), []).append(measured)
    bits = _bits(by_input)
    rows = _rows(by_input, bits)
    report: dict[str, object] = {
        "rows": [asdict(row) for row in rows],
        "ratios": [asdict(ratio) for ratio in [*_ratios(rows), *_pdq_ratios(photograph, seconds)]],
        "bits": [
            {"pipeline": pipeline, "input": kind, "mean": fmean(distances), "each": distances}
            for (kind, pipeline), distances in bits.items()
        ],
        "absent": absent,
        "photographs": names,
        "versions": {name: _version(name) for name in _PACKAGES},
        "machine": {"cores": os.cpu_count(), "os": platform.platform(), "threads": 1},
    }
    _show(console, rows, report)
    if json_path:
        json_path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if wrong := _disagreeing(bits):
        console.print(f"[red]Lookups do not agree with registration: {', '.join(wrong)}.[/red]")
        raise SystemExit(1)


def _alone(pipeline: str, path: Path, seconds: float, *, sabotage: bool) -> Measured:
    words = [pipeline, str(path), str(seconds), *(["sabotage"] if sabotage else [])]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.hashing_pipelines", *words],
        capture_output=True,
        check=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    return Measured(**json.loads(done.stdout))


def _bits(by_input: dict[tuple[str, str], list[Measured]]) -> dict[tuple[str, str], list[int]]:
    """Return, per kind of file and pipeline, each photograph's distance from its registration."""
    return {
        (kind, pipeline): [
            min(
                (
                    (int(mine, 16) ^ int(stored, 16)).bit_count()
                    for mine in results.hashes
                    for stored in registered.hashes
                ),
                default=0 if results.hashes == registered.hashes else 256,
            )
            for results, registered in zip(
                measured, by_input[kind, "disrupt_registration"], strict=True
            )
        ]
        for (kind, pipeline), measured in by_input.items()
    }


def _disagreeing(bits: dict[tuple[str, str], list[int]]) -> list[str]:
    return [
        f"{kind} by up to {max(distances)} bits, {fmean(distances):.1f} on average"
        for (kind, pipeline), distances in bits.items()
        if pipeline == "disrupt_lookup"
        and (max(distances) > MAX_LOOKUP_BITS or fmean(distances) > MAX_MEAN_LOOKUP_BITS)
    ]


def _rows(
    by_input: dict[tuple[str, str], list[Measured]], bits: dict[tuple[str, str], list[int]]
) -> list[Row]:
    return [
        Row(
            pipeline,
            kind,
            stage,
            round(fmean(result.ms[stage] for result in measured), 3),
            round(max(result.peak_mb for result in measured), 1),
            max(bits[kind, pipeline]),
        )
        for (kind, pipeline), measured in by_input.items()
        for stage in _STAGES
        if stage in measured[0].ms
    ]


def _ratios(rows: list[Row]) -> list[Ratio]:
    total = {(row.input, row.pipeline): row for row in rows if row.stage == "total"}
    ratios = []
    for kind, floor in {"jpeg_1920": 5, "jpeg_12mp": 8}.items():
        if (kind, "disrupt_lookup") in total:
            faster = total[kind, "threatexchange"].ms / total[kind, "disrupt_lookup"].ms
            ratios.append(Ratio(f"{kind}: lookup, times faster", faster, floor, at_least=True))
    for pipeline in PIPELINES[:2]:
        if ("jpeg_24mp", pipeline) in total:
            mine = total["jpeg_24mp", pipeline].peak_mb
            share = mine / total["jpeg_24mp", "threatexchange"].peak_mb
            ratios.append(Ratio(f"jpeg_24mp: {pipeline}, memory", share, 0.25, at_least=False))
    return ratios


def _pdq_ratios(photograph: Image.Image, seconds: float) -> list[Ratio]:
    luma = np.asarray(photograph.convert("L").resize((512, 512)))
    pixels = np.dstack([luma] * 3)
    single = least_ms(lambda: hash_luma(luma), seconds)
    reference = least_ms(lambda: pdqhash.compute(pixels), seconds)
    eight = least_ms(lambda: hash_dihedral(luma), seconds)
    return [
        Ratio("PDQ at 512x512, times faster than pdqhash", reference / single, 4, at_least=True),
        Ratio("eight dihedral hashes, in times of one", eight / single, 2, at_least=False),
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _show(console: Console, rows: list[Row], report: dict[str, object]) -> None:
    table = Table(title="One picture to its hashes, one thread")
    for heading in ("input", "pipeline", *(f"{stage} ms" for stage in _STAGES)):
        table.add_column(heading, justify="left" if heading in {"input", "pipeline"} else "right")
    for heading in ("slower by", "peak MB", "bits"):
        table.add_column(heading, justify="right")
    ms = {(row.input, row.pipeline, row.stage): row.ms for row in rows}
    for row in rows:
        if row.stage == "total":
            stages = [ms.get((row.input, row.pipeline, stage)) for stage in _STAGES]
            table.add_row(
                row.input,
                row.pipeline,
                *("" if stage is None else f"{stage:.2f}" for stage in stages),
                f"{row.ms / ms[row.input, 'disrupt_lookup', 'total']:.1f}",
                f"{row.peak_mb:.0f}",
                str(row.bits_from_registration),
            )
    console.print(table)
    for ratio in report["ratios"]:  # type: ignore[attr-defined]
        bound = "at least" if ratio["at_least"] else "at most"
        console.print(f"{ratio['name']}: {ratio['found']:.2f} ({bound} {ratio['bound']:g})")
    for name in ("absent", "photographs", "versions", "machine"):
        console.print(f"{name}: {report[name]}", highlight=False)
    console.print(
        "Means over the photographs; bits are the greatest distance from the nearest hash that"
        " registration stores of the same file, peak MB the most of a process of its own.",
        highlight=False,
    )


if __name__ == "__main__":
    main()
