"""Every benchmark with ``--sabotage`` reports failure: by its exit code, and in its report."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

ROOT = Path(__file__).parents[2]
TOOLS: dict[str, Callable[[], bool]] = {"h2load": lambda: shutil.which("h2load") is not None}

Report = Any
"""A benchmark's report, read from JSON."""


@dataclass(frozen=True)
class Sabotage:
    """One sabotage of one benchmark, at tiny size; ``name`` is empty where the option is a flag."""

    benchmark: str
    name: str
    is_found: Callable[[Report], bool]
    options: str = ""
    tool: str = ""

    @property
    def id(self) -> str:
        return " ".join(filter(None, (self.benchmark, self.name, *self.options.split()[:2])))


def module(benchmark: str) -> str:
    """Return the name of the module that ``scripts/bench`` starts by this name."""
    (path,) = (ROOT / "benchmarks").glob(f"*/{benchmark}.py")
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def broken(*promises: str) -> Callable[[Report], bool]:
    return lambda report: bool({*promises} & {*report["attacks"][0]["failed"]})


ATTACKED = "--seconds 4 --rounds 1 --size 500 --every-s 0.1"
SMALL = "--size 3000"

SABOTAGES = [
    *(
        Sabotage("abuse", name, broken(*promises), ATTACKED)
        for name, *promises in (
            ("unthrottled-pins", "pin_checks_per_s"),
            ("unlimited-messages", "peak_worker_mb"),
            ("greedy-callers", "others_throughput_share"),
            ("patient-videos", "videos_answered_share"),
            ("unbounded-comparisons", "peak_worker_mb", "others_throughput_share"),
        )
    ),
    Sabotage(
        "hashing",
        "",
        lambda report: all(
            row["bits_from_registration"] > 31
            for row in report["rows"]
            if row["pipeline"] == "disrupt_lookup"
        ),
        "--photographs 1 --seconds 0 --input jpeg_720",
    ),
    Sabotage(
        "search",
        "",
        lambda report: all(0 < row["recall"] < 1 for row in report["rows"]),
        f"{SMALL} --queries 300 --engine disrupt --distribution uniform",
    ),
    Sabotage(
        "service",
        "empty-answers",
        lambda report: report["wrong"] > 0,
        f"{SMALL} --seconds 1 --rounds 1 --checked 100",
        "h2load",
    ),
    Sabotage(
        "video",
        "copied-source",
        lambda report: (
            report["false_matches"]["found"] > 0 and report["false_matches"]["bound"] is None
        ),
        "--only false_matches --sources 1 --trials 1 --seconds 4",
    ),
]

MEASURED = {"recall", "unrelated"}
"""Benchmarks that need photographs. ``test_recall.py`` holds their sabotages."""


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Yield an environment with a TMPDIR of its own, short enough for a server's socket."""
    with tempfile.TemporaryDirectory() as path:
        yield os.environ | {"TMPDIR": path}


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=[sabotage.id for sabotage in SABOTAGES])
def test_a_sabotage_is_reported_as_a_failure(
    sabotage: Sabotage, tmp_path: Path, environment: dict[str, str]
) -> None:
    if sabotage.tool and not os.environ.get("CI") and not TOOLS[sabotage.tool]():
        pytest.skip(f"{sabotage.tool} is not installed: scripts/system-packages")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", module(sabotage.benchmark), "--json", report),
            *sabotage.options.split(),
            *filter(None, ("--sabotage", sabotage.name)),
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert report.exists(), done.stderr
    result = json.loads(report.read_text())
    assert sabotage.is_found(result), result


def test_no_sabotage_is_left_out() -> None:
    offered = {
        (path.stem, name)
        for path in (ROOT / "benchmarks").glob("*/*.py")
        if '"--sabotage"' in path.read_text() and path.stem not in MEASURED
        for name in offered_by(path.stem)
    }
    assert offered == {(sabotage.benchmark, sabotage.name) for sabotage in SABOTAGES}


def offered_by(benchmark: str) -> list[str]:
    command: Any = importlib.import_module(module(benchmark)).main
    (kind,) = (option.type for option in command.params if option.name == "sabotage")
    return [*kind.choices] if isinstance(kind, click.Choice) else [""]
