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

from benchmarks.harness import strace

ROOT = Path(__file__).parents[2]
TOOLS: dict[str, Callable[[], bool]] = {
    "strace": strace.is_there,
    "h2load": lambda: shutil.which("h2load") is not None,
}

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


def too_early(report: Report) -> bool:
    violations: dict[str, int] = (report.get("order") or report)["violations"]
    return violations.get("a registration was acknowledged before it was durable", 0) > 0


def failing_checks(*claims: str) -> Callable[[Report], bool]:
    return lambda report: (
        tuple(check["claim"] for check in report["checks"] if not check["held"]) == claims
    )


def failure(text: str) -> Callable[[Report], bool]:
    return lambda report: any(text in failure for failure in report["failures"])


def leak(text: str, *, opened: bool) -> Callable[[Report], bool]:
    return lambda report: (
        any(secret.startswith(text) for secret in report["leaks"])
        and bool(report["unknown_files"]) == opened
    )


def broken(*promises: str) -> Callable[[Report], bool]:
    return lambda report: bool({*promises} & {*report["attacks"][0]["failed"]})


FEW = "--count 12 --bomb-every 100 --good-every 1"
ATTACKED = "--seconds 4 --rounds 1 --size 500 --every-s 0.1"
QUICK = "--within-s 120"
SMALL = "--size 3000"
INDEXER = "--target indexer --kills"
ORDER = "--acknowledgements 6"

SABOTAGES = [
    *(
        Sabotage("abuse", name, broken(*promises), ATTACKED)
        for name, *promises in (
            ("unthrottled-pins", "pin_checks_per_s"),
            ("unlimited-messages", "peak_worker_mb"),
            ("greedy-callers", "others_throughput_share"),
            ("unreserved-health", "health_true"),
            ("patient-videos", "videos_answered_share"),
            ("endless-messages", "peak_worker_mb"),
            ("endless-headers", "peak_worker_mb"),
            ("unbounded-comparisons", "peak_worker_mb", "others_throughput_share"),
        )
    ),
    Sabotage(
        "crash", "early-acknowledgement", lambda report: report["lost"] > 0, f"--kills 3 {ORDER}"
    ),
    Sabotage("crash", "synchronous-off", too_early, f"--kills 0 {ORDER}", "strace"),
    Sabotage(
        "crash",
        "partial-generation",
        lambda report: report["partial_loads"] > 0,
        f"{INDEXER} 1 --seed 2",
    ),
    Sabotage(
        "crash",
        "unsynced-index",
        lambda report: (
            {
                "rebuild: codes.faiss was named before it was synced",
                "compact: a generation went before CURRENT was synced",
            }
            <= set(report["disorder"])
        ),
        f"{INDEXER} 0",
    ),
    Sabotage("ordering", "synchronous-off", too_early, ORDER, "strace"),
    Sabotage("ordering", "early-acknowledgement", too_early, ORDER, "strace"),
    Sabotage("erasure", "erasure-skipped", failing_checks("after erasing it is in no file"), QUICK),
    Sabotage(
        "erasure",
        "journal-lost",
        failing_checks(
            "after a restore it is in no file", "after a restore it matches in no worker"
        ),
        QUICK,
    ),
    Sabotage(
        "erasure",
        "unattended-off",
        failing_checks("unattended it is gone from every file in time"),
        "--unattended-s 0 --slack-s 1",
    ),
    Sabotage(
        "freshness",
        "slow-follower",
        lambda report: max(row["p99_ms"] for row in report["rows"]) > report["limit_ms"],
        "--seconds 1 --lookup-threads 1",
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
        "mutate",
        "no-memory-limit",
        failure("MiB, more than"),
        # File 259, a WebP of 49 megapixels, takes more memory than the limit.
        "--first 259 --count 1 --bomb-every 20 --good-every 1",
    ),
    Sabotage("mutate", "server-crash", failure("a process of the server died"), FEW),
    Sabotage("mutate", "unnamed-error", failure("answered with INTERNAL"), FEW),
    Sabotage(
        "mutate",
        "endless-call",
        failure("answered with DEADLINE_EXCEEDED"),
        f"{FEW} --deadline-s 3",
    ),
    Sabotage("mutate", "late-answer", failure("the good one after"), FEW),
    Sabotage(
        "mutate",
        "swallowed-crash",  # a new decoder takes a second or two to start
        failure("decoders died of CRASH, and 0 calls were told so"),
        FEW.replace("12", "4"),
    ),
    Sabotage("mutate", "unnamed-error", failure("answered with INTERNAL"), f"--kind videos {FEW}"),
    Sabotage(
        "mutate",
        "swallowed-crash",
        failure("decoders died of CRASH, and 0 calls were told so"),
        f"--kind videos {FEW}",
    ),
    *(
        Sabotage("privacy", name, leak(text, opened=opened), "--format png", "strace")
        for name, text, opened in (
            ("spooled-upload", "file of picture.png, raw: server wrote /", True),
            ("spooled-video", "file of picture.mp4, raw: server wrote /", True),
            ("logged-upload", "file of picture.png, base64 from byte 0: data.log", False),
            ("leaked-window", "pixels of picture.png, raw: data/lock", False),
        )
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
