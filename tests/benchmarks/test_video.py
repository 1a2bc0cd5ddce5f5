from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.videos.edits import EDITS
from tests.benchmarks.bench import bench


def test_every_figure_of_the_report_is_there(tmp_path: Path) -> None:
    words = ["--sources", "1", "--trials", "1", "--seconds", "2"]
    done = bench("video", tmp_path / "video.json", *words, "--size", "480p", "--stored", "3000")
    assert done.code == 0, done.output
    report = done.report
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
