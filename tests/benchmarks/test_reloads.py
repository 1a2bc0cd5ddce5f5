"""The benchmark of reloads counts the calls that a server drops."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load.reloads import reloads


def test_calls_that_end_with_their_worker_are_counted_as_dropped(tmp_path: Path) -> None:
    report = reloads(
        tmp_path,
        1,
        hashes=1,
        age_s=1.0,
        workers=1,
        through_proxy=False,
        sabotage="hasty-ends",
    )
    assert report.dropped
    assert report.failed
    assert not report.lost
