from __future__ import annotations

from pathlib import Path

from tests.benchmarks.bench import bench
from tests.web.engines import needs


@needs("chromium")
def test_a_browser_fingerprints_a_photograph_as_python_does(tmp_path: Path) -> None:
    words = ["--megapixels", "12", "--shrink", "4", "--warm-runs", "1"]
    done = bench("browser", tmp_path / "out.json", *words)
    (row,) = done.report["rows"]
    assert row["differing"] == 0
    assert row["fingerprints"] > 200
    assert row["cold_ms"] > 0
    assert row["warm_ms"] > 0
    assert row["peak_mb"] >= row["idle_mb"] > 1
