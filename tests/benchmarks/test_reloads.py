"""Run the reloads benchmark at tiny size: it counts calls, and drops none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.bench import bench


@pytest.mark.usefixtures("short_tmp")
def test_reloads_drop_no_call(tmp_path: Path) -> None:
    done = bench("reloads", tmp_path / "out.json", "--reloads", "2", "--workers", "1")
    assert done.code == 0, done.output
    report = done.report
    assert report["reloads"] == 2
    assert report["longest_reload_s"] > 0
    assert [row["kind"] for row in report["rows"]] == [
        "lookups",
        "lookups on new connections",
        "registrations",
    ]
    for row in report["rows"]:
        assert row["calls"] > 2
        assert (row["dropped"], row["wrong"]) == (0, 0)
    assert report["acknowledged"] > 2
    assert (report["lost"], report["verify"], report["failed"]) == (0, "", False)
