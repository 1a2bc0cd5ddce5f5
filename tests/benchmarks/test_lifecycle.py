"""The life of an index is measured at tiny size, and answers after changes are exact."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.hash_sets import stored
from benchmarks.speed import changes, lifecycle


def test_the_life_of_an_index_is_measured_and_answers_are_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_QUERIES", 200)
    path = stored("uniform", 24_000)
    measured = lifecycle.measure(tmp_path, path, "uniform", 8, (0, 500), rounds=1, openings=1)
    assert measured["wrong"] == 0
    assert [(row["changes"], row["count"]) for row in measured["changes"]] == [
        (kind, count) for kind in changes.KINDS for count in (0, 500)
    ]
    assert all(value > 0 for value in (*measured["build"].values(), *measured["memory"].values()))
