"""Run the lifecycle benchmark at tiny size: it counts and checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.lifecycle import changes as lifecycle_changes
from benchmarks.lifecycle import swaps as lifecycle_swaps
from tests.benchmarks.bench import bench


@pytest.mark.usefixtures("short_tmp")
def test_every_part_of_the_life_of_an_index_is_measured(tmp_path: Path) -> None:
    words = ["--size", "8000", "--hashes-per-item", "4", "--most-changes", "1000"]
    quick = ["--rounds", "1", "--repeats", "1", "--seconds", "1", "--openings", "1"]
    done = bench("lifecycle", tmp_path / "out.json", *words, *quick)
    assert done.code == 0, done.output
    result = done.report
    assert (result["build"]["items"], result["build"]["hashes"]) == (2000, 8_000)
    assert 0 < result["build"]["own_peak_mb"] < result["build"]["peak_mb"]
    assert all(0 < opening["answered_s"] < opening["process_s"] for opening in result["open"])
    assert [(row["changes"], row["count"]) for row in result["changes"]] == [
        (kind, count) for kind in lifecycle_changes.KINDS for count in (0, 1000)
    ]
    assert all(row["queries"] == 1000 and row["wrong"] == 0 for row in result["changes"])
    assert {row["wrong"] for row in result["crowd"]} == {0}
    assert {row["found"] for row in result["crowd"]} >= {0, 100}
    swaps = result["swaps"]
    assert [row["beside"] for row in swaps["rows"]] == list(lifecycle_swaps.CONDITIONS)
    assert all(row["lookups"] > 100 and row["wrong"] == 0 for row in swaps["rows"])
    assert swaps["swaps"] == len(swaps["in_swaps_longest_ms"]) == 1
    assert result["memory"]["steady_mb"] < result["memory"]["during_a_swap_mb"]
    assert result["freshness"]["workers"] == 2
    assert result["wrong"] == 0
    assert "longest lookup" in done.output
