from __future__ import annotations

from pathlib import Path

from benchmarks.speed.hashing_pipelines import PIPELINES
from tests.benchmarks.bench import bench


def test_each_pipeline_is_measured_and_lookups_agree_with_what_is_registered(
    tmp_path: Path,
) -> None:
    words = ["--photographs", "1", "--seconds", "0", "--input", "jpeg_720", "--input", "png_1920"]
    done = bench("hashing", tmp_path / "out.json", *words)
    assert done.code == 0, done.output
    rows = done.report["rows"]
    for row in rows:
        assert row.keys() == {
            *("pipeline", "input", "stage", "ms", "peak_mb", "bits_from_registration"),
        }
        assert row["ms"] > 0
        assert row["peak_mb"] > 1
        assert 0 <= row["bits_from_registration"] <= 8
        assert row["input"] in done.output
    assert {(row["input"], row["pipeline"]) for row in rows} == {
        (kind, pipeline) for kind in ("jpeg_720", "png_1920") for pipeline in PIPELINES
    }
    stages = {row["stage"] for row in rows if row["pipeline"] == "disrupt_lookup"}
    assert stages == {"decode", "reduce", "pdq", "total"}
