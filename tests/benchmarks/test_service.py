from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    shutil.which("h2load") is None, reason="h2load is missing: scripts/system-packages"
)


def bench(report: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = ["--size", "3000", "--seconds", "0.3", "--rounds", "1", "--checked", "100"]
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.speed.service",
            *words,
            "--json",
            str(report),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_every_way_of_calling_is_measured_beside_its_bounds(tmp_path: Path) -> None:
    done = bench(tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["wrong"] == 0
    assert [row["calls"] for row in report["rows"]] == ["unary", "batches of 64", "batches of 1000"]
    for row in report["rows"]:
        assert row["calls"] in done.stdout
        for name in ("calls_per_s", "items_per_cpu_s", "nothing_items_per_cpu_s", "of_engine"):
            assert row[name] > 0
    for latency in report["latencies"]:
        assert 0 < latency["p50_us"] <= latency["p99_us"] <= latency["p999_us"]
