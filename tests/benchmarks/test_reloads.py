"""The benchmark of reloads counts the calls that a server drops."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load.reloads import prepared, reloads


def test_calls_that_end_with_their_worker_are_counted_as_dropped(tmp_path: Path) -> None:
    start, stored = prepared(tmp_path, 1, "connection_max_age_s = 1.0\n", "hasty-ends")
    report = reloads(start, stored, 1)
    assert report.dropped
    assert report.failed
    assert not report.lost
