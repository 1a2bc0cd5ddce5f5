"""The benchmark of isolation runs and reports what it says it does."""

from pathlib import Path

import pytest

from benchmarks.speed.isolation import SERVED
from tests.benchmarks.bench import bench

INPUTS = ("png_1920", SERVED[0])


@pytest.mark.usefixtures("short_tmp")
def test_both_ways_and_all_numbers_of_workers_are_measured(tmp_path: Path) -> None:
    options = ["--rounds", "1", "--round-s", "0", *(f"--input={kind}" for kind in INPUTS)]
    done = bench("isolation", tmp_path / "report.json", *options)
    assert done.code == 0, done.output
    report = done.report
    assert tuple(row["input"] for row in report["rows"]) == INPUTS
    for row in report["rows"]:
        assert row["in_threads_per_s"] > 0
        assert row["isolated_per_s"] > 0
        assert row["isolated_of_in_threads"] > 0
    assert [media["input"] for media in report["match_image"]] == [SERVED[0]]
    for media in report["match_image"]:
        assert media["rows"][0]["workers"] == 1
        for row in media["rows"]:
            assert row["per_s"] > 0
            assert all(cost_ms > 0 for cost_ms in row["cpu_ms_per_picture"].values())
