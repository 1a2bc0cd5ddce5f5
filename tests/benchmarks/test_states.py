"""The proof of states takes all its kinds of steps, and finds nothing wrong, at small size."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.proofs.states import states

pytestmark = pytest.mark.slow


def test_what_is_read_is_what_the_model_says(tmp_path: Path) -> None:
    report = states(tmp_path, steps=250, seed=3)
    assert report.differences == []
    assert report.steps == 250
    assert {"change_states", "compact", "erase", "kill", "restore", "roll_back"} <= {*report.acts}
