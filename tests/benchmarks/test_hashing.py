from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.speed.hashing_pipelines import PIPELINES

ROOT = Path(__file__).parents[2]


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = ["--photographs", "1", "--seconds", "0", "--input", "jpeg_720", *arguments]
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.hashing", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_each_pipeline_is_measured_and_lookups_agree_with_what_is_registered(
    tmp_path: Path,
) -> None:
    report = tmp_path / "out.json"
    done = bench("--input", "png_1920", "--json", report)
    assert done.returncode == 0, done.stderr
    rows = json.loads(report.read_text())["rows"]
    for row in rows:
        assert row.keys() == {
            *("pipeline", "input", "stage", "ms", "peak_mb", "bits_from_registration"),
        }
        assert row["ms"] > 0
        assert row["peak_mb"] > 1
        assert 0 <= row["bits_from_registration"] <= 8
        assert row["input"] in done.stdout
    assert {(row["input"], row["pipeline"]) for row in rows} == {
        (kind, pipeline) for kind in ("jpeg_720", "png_1920") for pipeline in PIPELINES
    }
    stages = {row["stage"] for row in rows if row["pipeline"] == "disrupt_lookup"}
    assert stages == {"decode", "reduce", "pdq", "total"}
