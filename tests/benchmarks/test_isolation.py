"""The benchmark of isolation runs and reports what it says it does."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.isolation import INPUTS


def test_both_ways_and_all_numbers_of_workers_are_measured(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    options = ["--rounds", "2", "--round-s", "0.05", "--json", str(file)]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.isolation", *options], check=True, timeout=110
    )
    report = json.loads(file.read_text())
    assert [row["input"] for row in report["rows"]] == list(INPUTS)
    for row in report["rows"]:
        assert row["in_threads_per_s"] > 0
        assert row["isolated_per_s"] > 0
        assert row["isolated_of_in_threads"] > 0
    assert report["match_image"]["rows"][0]["workers"] == 1
    assert all(row["per_s"] > 0 for row in report["match_image"]["rows"])
