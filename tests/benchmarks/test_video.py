from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.videos.edits import EDITS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        report = tmp_path / "video.json"
        words = ["--sources", "1", "--trials", "1", "--seconds", "4", "--json", str(report)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.videos.video", *words, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert report.exists(), done.stderr
        return done.returncode, json.loads(report.read_text())

    return run


def test_every_figure_of_the_report_is_there(bench: Any) -> None:
    code, report = bench("--size", "480p", "--stored", "3000")
    assert code == 0
    assert [(row["size"], row["codec"]) for row in report["cost"]] == [
        ("480p", "h264"),
        ("480p", "hevc"),
    ]
    for row in report["cost"]:
        assert row["lookup_to_sampled_decode"] == pytest.approx(
            row["lookup_s"] / row["sampled_decode_s"]
        )
    matches = {(row["minutes"], row["found"]): row["matches"] for row in report["lookup"]}
    assert matches[60, False] == 0
    assert matches[60, True] > 0
    assert [row["edit"] for row in report["recall"]] == list(EDITS)
    for row in report["recall"]:
        assert 0 <= row["low"] <= row["recall"] <= row["high"] <= 1
    assert report["segments"].keys() >= {"median_error_s", "p95_error_s"}
    assert report["false_matches"]["found"] == 0
    assert report["false_matches"]["bound"] == 3 / report["false_matches"]["sources"]
    assert 0 < report["stored_hashes"]["of_an_hour"] <= 4000
