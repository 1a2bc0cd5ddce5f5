"""The measurement of an index's life, at tiny size: it counts and checks."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.lifecycle import changes as lifecycle_changes
from benchmarks.lifecycle import swaps as lifecycle_swaps

ROOT = Path(__file__).parents[2]


@pytest.fixture
def short_tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Room for a server, whose socket's path must be short."""
    with tempfile.TemporaryDirectory() as path:
        monkeypatch.setenv("TMPDIR", path)
        yield


@pytest.mark.usefixtures("short_tmp")
def test_every_part_of_the_life_of_an_index_is_measured(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    words = ["--size", "24000", "--hashes-per-item", "8", "--most-changes", "1000"]
    quick = ["--rounds", "2", "--repeats", "2", "--seconds", "1", "--openings", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.lifecycle.lifecycle", *words, *quick, "--json", report],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    assert (found["build"]["items"], found["build"]["hashes"]) == (3000, 24_000)
    assert 0 < found["build"]["own_peak_mb"] < found["build"]["peak_mb"]
    assert all(0 < one["answered_s"] < one["process_s"] for one in found["open"])
    assert [(one["changes"], one["count"]) for one in found["changes"]] == [
        (kind, count) for kind in lifecycle_changes.KINDS for count in (0, 1000)
    ]
    assert all(one["queries"] == 1000 and one["wrong"] == 0 for one in found["changes"])
    assert {one["wrong"] for one in found["crowd"]} == {0}
    assert {one["found"] for one in found["crowd"]} == {0, 100}
    swaps = found["swaps"]
    assert [one["beside"] for one in swaps["rows"]] == list(lifecycle_swaps.CONDITIONS)
    assert all(one["lookups"] > 100 and one["wrong"] == 0 for one in swaps["rows"])
    assert swaps["swaps"] == len(swaps["in_swaps_longest_ms"]) == 2
    assert found["memory"]["steady_mb"] < found["memory"]["during_a_swap_mb"]
    assert found["freshness"]["workers"] == 2
    assert found["wrong"] == 0
    assert "longest lookup" in done.stdout
