"""The benchmark of videos in a browser checks the fingerprints, at tiny size."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.bench import bench
from tests.web.engines import needs


@needs("chromium")
def test_a_browser_fingerprints_a_video_as_python_does(tmp_path: Path) -> None:
    words = ["--codec", "H.264", "--seconds", "1", "--height", "180"]
    done = bench("browser_video", tmp_path / "out.json", *words)
    (row,) = done.report["rows"]
    assert row["differing"] == 0
    assert row["fingerprints"] > 1
    assert row["cold_ms"] > 0
    assert row["peak_mb"] >= row["idle_mb"] > 1
