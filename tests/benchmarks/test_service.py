from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.benchmarks.bench import bench

pytestmark = pytest.mark.skipif(
    shutil.which("h2load") is None, reason="h2load is missing: scripts/system-packages"
)


@pytest.mark.usefixtures("short_tmp")
def test_every_way_of_calling_is_measured_beside_its_bounds(tmp_path: Path) -> None:
    words = ["--size", "3000", "--seconds", "0.3", "--rounds", "1", "--checked", "100"]
    done = bench("service", tmp_path / "out.json", *words)
    assert done.code == 0, done.output
    report = done.report
    assert report["wrong"] == 0
    assert [row["calls"] for row in report["rows"]] == ["unary", "batches of 64", "flows of 64"]
    for row in report["rows"]:
        assert row["calls"] in done.output
        for name in ("calls_per_s", "items_per_cpu_s", "nothing_items_per_cpu_s", "of_engine"):
            assert row[name] > 0
    for latency in report["latencies"]:
        assert 0 < latency["p50_us"] <= latency["p99_us"] <= latency["p999_us"]
