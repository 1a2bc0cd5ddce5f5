"""The benchmark of input finds the page hashing, and each input answered, at tiny size."""

from __future__ import annotations

from pathlib import Path

from tests.benchmarks.bench import bench
from tests.web.engines import needs


@needs("chromium")
def test_inputs_are_answered_at_rest_and_while_a_photograph_is_hashed(tmp_path: Path) -> None:
    done = bench("browser_input", tmp_path / "out.json", "--files", 1, "--input", "jpeg_1920")
    at_rest, hashing = done.report["rows"]
    assert at_rest["inputs"] == 50
    assert hashing["inputs"] > 0
    for row in (at_rest, hashing):
        assert 0 < row["median_ms"] <= row["p99_ms"] <= row["slowest_ms"]
