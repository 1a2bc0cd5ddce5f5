"""Every benchmark with ``--sabotage`` reports failure: by its exit code, and in its report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from benchmarks.harness import strace
from benchmarks.harness.browsers import missing
from tests.benchmarks.bench import ROOT, bench, command

TOOLS: dict[str, Callable[[], bool]] = {
    "strace": strace.is_there,
    "chromium": lambda: not missing("chromium"),
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


def too_early(report: Report) -> bool:
    violations: dict[str, int] = (report.get("order") or report)["violations"]
    return violations.get("a registration was acknowledged before it was durable", 0) > 0


def failing_checks(*claims: str) -> Callable[[Report], bool]:
    return lambda report: (
        tuple(check["claim"] for check in report["checks"] if not check["held"]) == claims
    )


def failure(text: str) -> Callable[[Report], bool]:
    return lambda report: any(text in failure for failure in report["failures"])


def beyond(row: int, figure: str, most: float) -> Callable[[Report], bool]:
    return lambda report: report["rows"][row][figure] > most


def leak(text: str, *, opened: bool) -> Callable[[Report], bool]:
    return lambda report: (
        any(secret.startswith(text) for secret in report["leaks"])
        and bool(report["unknown_files"]) == opened
    )


def broken(*promises: str) -> Callable[[Report], bool]:
    return lambda report: bool({*promises} & {*report["attacks"][0]["failed"]})


FEW = "--count 12 --bomb-every 100 --good-every 1 --workers 1"
ATTACKED = "--rounds 1 --size 500 --every-s 0.1 --seconds"
QUICK = "--within-s 120"
SMALL = "--size 3000"
INDEXER = "--target indexer --kills"
ORDER = "--acknowledgements 6"

SABOTAGES = [
    *(
        Sabotage("abuse", name, broken(*promises), f"{ATTACKED} 4")
        for name, *promises in (
            ("unthrottled-pins", "pin_checks_per_s"),
            ("unlimited-messages", "peak_worker_mb"),
            ("unreserved-health", "health_true"),
            ("patient-videos", "videos_answered_share"),
            ("endless-messages", "peak_worker_mb"),
            ("endless-headers", "peak_worker_mb"),
            ("unbounded-comparisons", "peak_worker_mb", "others_throughput_share"),
        )
    ),
    # its calls take some seconds to fill all places
    Sabotage(
        "abuse",
        "greedy-callers",
        broken("others_throughput_share"),
        f"{ATTACKED} 8",
    ),
    Sabotage(
        "quotas",
        "unmetered",
        lambda report: report["failed"] and report["rows"][0]["others_share"] < 0.9,
        "--bursts 3 --seconds 1 --size 2000",
    ),
    Sabotage(
        "crash", "early-acknowledgement", lambda report: report["lost"] > 0, f"--kills 3 {ORDER}"
    ),
    Sabotage("crash", "synchronous-off", too_early, f"--kills 0 {ORDER}", "strace"),
    Sabotage(
        "crash",
        "partial-generation",
        lambda report: report["partial_loads"] + report["wrong_lookups"] > 0,
        f"{INDEXER} 2",
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
        f"{INDEXER} 0 --hashes 2000",
    ),
    *(
        Sabotage("chaos", name, is_found, "--faults 1 --workers 1 --kind connection-cut")
        for name, is_found in (
            ("uncommitted-writes", lambda report: report["lost"] > 0),
            ("forgetful-answers", lambda report: report["wrong_answers"] > 0),
            ("frozen-metrics", lambda report: report["unseen"] > 0),
        )
    ),
    Sabotage(
        "reloads",
        "hasty-ends",
        lambda report: any(row["dropped"] for row in report["rows"]),
        "--reloads 2 --workers 1",
    ),
    Sabotage(
        "load",
        "leaky-lookups",
        lambda report: any("memory may grow" in text for text in report["soak"]["failures"]),
        "--size 3000 --seconds 1 --soak-minutes 0.2 --workers 1 --most-bytes 100000",
    ),
    Sabotage(
        "overload",
        "endless-queues",
        lambda report: "nothing was refused" in report["failures"],
        "--seconds 3",
    ),
    Sabotage(
        "browser",
        "",
        lambda report: report["rows"][0]["differing"] > 0,
        "--megapixels 12 --shrink 4 --warm-runs 0",
        "chromium",
    ),
    *(
        Sabotage(
            "browser_agreement",
            name,
            beyond(0, figure, 8),
            "--engine chromium --kind jpeg --count 1",
            "chromium",
        )
        for name, figure in (("other-file", "picture_bits"), ("other-pixels", "port_bits"))
    ),
    Sabotage(
        "browser_input",
        "",
        beyond(1, "p99_ms", 100),
        "--files 1 --input jpeg_1920",
        "chromium",
    ),
    Sabotage(
        "browser_video",
        "",
        lambda report: report["rows"][0]["differing"] > 0,
        "--codec H.264 --seconds 1 --height 180",
        "chromium",
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
        "lifecycle",
        "",
        lambda report: report["wrong"] > 0,
        "--size 8000 --hashes-per-item 8 --most-changes 1000 --rounds 1 --openings 1",
    ),
    Sabotage(
        "mutate",
        "no-memory-limit",
        failure("MiB, more than"),
        # File 259, a WebP of 49 megapixels, takes more memory than the limit.
        "--first 259 --count 1 --bomb-every 20 --good-every 1 --workers 1",
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
        "reference", "", lambda report: report["unexplained"] > 15, "--photographs 2 --count 20"
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
    *(
        Sabotage("states", name, lambda report: report["differences"] > 0, "--steps 300")
        for name in ("disabling-ignored", "return-forgotten", "renewal-revives", "left-silently")
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


@pytest.mark.usefixtures("short_tmp")
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=[sabotage.id for sabotage in SABOTAGES])
def test_a_sabotage_is_reported_as_a_failure(sabotage: Sabotage, tmp_path: Path) -> None:
    if sabotage.tool and not os.environ.get("CI") and not TOOLS[sabotage.tool]():
        pytest.skip(f"{sabotage.tool} is not installed: scripts/system-packages")
    options = [*sabotage.options.split(), *filter(None, ("--sabotage", sabotage.name))]
    done = bench(sabotage.benchmark, tmp_path / "report.json", *options)
    assert done.code == 1, done.output
    assert sabotage.is_found(done.report), done.report


def test_no_sabotage_is_left_out() -> None:
    offered = {
        (path.stem, name)
        for path in (ROOT / "benchmarks").glob("*/*.py")
        if '"--sabotage"' in path.read_text() and path.stem not in MEASURED
        for name in offered_by(path.stem)
    }
    assert offered == {(sabotage.benchmark, sabotage.name) for sabotage in SABOTAGES}


def offered_by(benchmark: str) -> list[str]:
    (kind,) = (option.type for option in command(benchmark).params if option.name == "sabotage")
    return [*kind.choices] if isinstance(kind, click.Choice) else [""]
