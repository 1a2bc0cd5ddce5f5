"""The measurement of freshness counts every worker, at tiny size."""

from __future__ import annotations

from pathlib import Path

from benchmarks.harness.writes import Write
from benchmarks.proofs.freshness import EVENTS, Event, _row, freshness


def test_every_worker_is_measured_for_every_event(tmp_path: Path) -> None:
    report = freshness(tmp_path, 2, seed=1, sabotage=None, lookup_threads=1)
    assert report["workers"] == 2
    assert [row["event"] for row in report["rows"]] == [*EVENTS]
    (samples,) = {row["samples"] for row in report["rows"]}
    assert samples >= 2 * report["workers"]
    for row in report["rows"]:
        assert 0 <= row["p50_ms"] <= row["p99_ms"] <= row["max_ms"] < row["from_sending_max_ms"]


def test_worker_that_never_knew_counts_as_the_longest_wait() -> None:
    never = Event(
        Write.__new__(Write), "registration", matches=True, sent_s=1.0, acknowledged_s=2.0
    )
    never.seen_s[7] = 2.5
    row = _row("registration", [never], workers=2)
    assert row.samples == 2
    assert row.max_ms > 10_000
