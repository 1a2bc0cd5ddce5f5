"""Run the overload benchmark at tiny size, and its verdicts on made-up figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.load.arrivals import OK, Called
from benchmarks.load.overload import Report, recovery_s
from tests.benchmarks.bench import bench

GOOD = Report(
    peak_per_s=50.0,
    calm_p99_ms=40.0,
    goodput_per_s=45.0,
    goodput_share=0.9,
    refused=800,
    refused_p99_ms=20.0,
    outcomes={OK: 900, "OVERLOADED": 800},
    lookups=400,
    recovery_s=1.0,
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"goodput_share": 0.79}, "goodput is less than 80%"),
        ({"refused_p99_ms": 51.0}, "more than 50 ms"),
        ({"refused": 0}, "nothing was refused"),
        ({"outcomes": {OK: 1, "DEADLINE_EXCEEDED": 1}}, "DEADLINE_EXCEEDED"),
        ({"outcomes": {OK: 1, "OVERLOADED without a time to try again": 1}}, "without a time"),
        ({"lookup_errors": 1}, "lookups by hash failed"),
        ({"recovery_s": 5.5}, "recovery takes more than 5 s"),
    ],
)
def test_each_bound_that_is_missed_is_named(change: dict[str, Any], words: str) -> None:
    assert GOOD.failures == []
    (failure,) = replace(GOOD, **change).failures
    assert words in failure


def test_a_server_has_recovered_from_when_on_99_of_100_calls_are_well() -> None:
    def call(due_s: float, took_s: float, outcome: str = OK) -> Called:
        return Called("picture", due_s, due_s, due_s + took_s, outcome)

    well = [call(20.0 + at / 10, 0.1) for at in range(100)]
    assert recovery_s(well, 20.0, 0.2) == 0.0
    assert recovery_s([*well, call(29.0, 0.1, "OVERLOADED")], 20.0, 0.2) == 0.0
    late = [call(20.0 + at / 10, 0.3) for at in range(30)]
    assert recovery_s([*late, *well[30:]], 20.0, 0.4) == 0.0
    assert recovery_s([*late, *well[30:]], 20.0, 0.2) == pytest.approx(2.8)
    assert recovery_s([call(25.0, 9.0)] * 2, 20.0, 0.2) == 5.0


@pytest.mark.usefixtures("short_tmp")
def test_an_overload_is_measured(tmp_path: Path) -> None:
    report = bench("overload", tmp_path / "out.json", "--seconds", "3").report
    assert report["peak_per_s"] > 0
    assert report["lookups"] > 0
    assert report["outcomes"].get("OVERLOADED", 0) == report["refused"]
    assert report["recovery_s"] <= 3
