"""The crash benchmark, at tiny size: it passes, and it notices what it is there to notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.crash_server import crash
from benchmarks.sabotages import broken_by

pytestmark = pytest.mark.timeout(180)


def test_server_that_is_killed_loses_nothing_acknowledged(tmp_path: Path) -> None:
    tally = crash(tmp_path / "data", 3, seed=3, acknowledged_per_kill=3)
    assert tally.problems == []
    assert tally.kills == 3
    assert tally.kills_of == {"writer": 2, "everything": 1}
    assert tally.acknowledged >= 9
    assert tally.least_in_flight >= 1
    assert tally.kept_in_flight + tally.dropped_in_flight >= tally.kills
    assert (tally.lost, tally.verify_failures) == (0, 0)


def test_acknowledging_before_the_commit_is_found_out(tmp_path: Path) -> None:
    broken = broken_by("early-acknowledgement")
    tally = crash(tmp_path / "data", 3, seed=4, acknowledged_per_kill=3, wrapper=broken)
    assert tally.lost > 0
    assert tally.failed
