"""Run the load benchmark at tiny size, and its parts against what they must see."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.load.arrivals import (
    OK,
    Call,
    Called,
    closed_loop,
    due,
    goodput,
    open_loop,
    quantiles_ms,
)
from benchmarks.load.mix import SHARES
from benchmarks.load.soak import Sample, judged, slope
from tests.benchmarks.bench import bench

STALL_S = 0.4


def test_arrivals_come_at_their_mean_rate_and_independently() -> None:
    times_s = [*due(50.0, 200.0, random.Random(1))]
    assert times_s == sorted(times_s)
    assert len(times_s) == pytest.approx(10_000, rel=0.05)
    gaps_s = np.diff(times_s)
    assert gaps_s.std() == pytest.approx(gaps_s.mean(), rel=0.1)  # as of an exponential


async def stall() -> str:
    """Stand still once, as a server does that answers nobody for a moment."""
    await asyncio.sleep(STALL_S)
    return OK


def test_calls_that_a_stall_keeps_waiting_have_waited_since_they_were_due() -> None:
    lock, first = asyncio.Lock(), [True]

    async def one_at_a_time() -> str:
        async with lock:
            if first:
                first.clear()
                return await stall()
        return OK

    called: list[Called] = []
    times_s = [at * 0.01 for at in range(20)]
    asyncio.run(open_loop(lambda: Call("lookup", one_at_a_time), times_s, called))
    took_s = {call.due_s: call.took_s for call in called}
    assert [*took_s] == times_s
    for due_s, each_s in took_s.items():
        assert each_s >= STALL_S - due_s - 0.001


def test_a_call_that_begins_late_has_waited_and_was_served_soon() -> None:
    call = Called("lookup", due_s=1.0, began_s=3.0, ended_s=3.5, outcome=OK)
    assert (call.took_s, call.served_s) == (2.5, 0.5)
    assert quantiles_ms([0.1, 0.2, 0.3], 0.5) == [200.0]
    assert quantiles_ms([], 0.5) == []
    late = Called("lookup", due_s=1.0, began_s=1.0, ended_s=5.5, outcome=OK)
    failed = Called("lookup", due_s=1.0, began_s=1.0, ended_s=1.5, outcome="OVERLOADED")
    assert goodput([call, late, failed], 4.0) == 0.25


def test_callers_of_a_closed_loop_wait_for_each_answer() -> None:
    under_way, most = [0], [0]

    async def counted() -> str:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        await asyncio.sleep(0.001)
        under_way[0] -= 1
        return OK

    called: list[Called] = []
    asyncio.run(closed_loop(lambda: Call("lookup", counted), 3, 0.1, called))
    assert most == [3]
    assert len(called) >= 3
    assert all(call.due_s == call.began_s for call in called)


def test_growth_for_each_call_is_told_with_an_interval_that_holds_it() -> None:
    noise = np.random.default_rng(1).normal(0, 5000, 180)
    calls = np.arange(180) * 1000.0
    growth, low, high = slope(calls, 1e8 + 3.0 * calls + noise)
    assert low < 3.0 < high
    assert low < growth < high
    assert high - low < 1.0
    _, low, high = slope(calls, 1e8 + noise)
    assert low < 0 < high
    with pytest.raises(ValueError, match="1 samples, and 30 are needed"):
        slope([1.0], [1.0])
    with pytest.raises(ValueError, match="no calls"):
        slope([7.0] * 60, [1.0] * 60)


def soaked(**change: Any) -> list[str]:
    """Return what is wrong with a steady soak in which something was changed."""
    given: dict[str, Any] = {"leak": 0.0, "pid": 11, "files": 50, "outcome": OK, "late_s": 0.0}
    given |= change
    samples = [
        Sample(
            1000 * at,
            1e8 + given["leak"] * 1000 * at,
            given["files"] if at > 90 else 50,
            (given["pid"] if at > 90 else 11, 12),
        )
        for at in range(180)
    ]
    called = [
        Called("lookup", at / 10, at / 10, at / 10 + 0.01 + given["late_s"] * (at > 900), OK)
        for at in range(1800)
    ]
    called.append(Called("picture", 1.0, 1.0, 2.0, given["outcome"]))
    soak = judged(samples, called, seconds=180, rate_per_s=10, generations=3, most_bytes=1.0)
    return soak.failures


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"leak": 2.0}, "memory may grow"),
        ({"pid": 13}, "processes ended"),
        ({"files": 90}, "files are open"),
        ({"outcome": "UNAVAILABLE"}, "calls failed"),
        ({"late_s": 0.5}, "p99"),
    ],
)
def test_a_soak_fails_for_what_changes_and_for_nothing_else(
    change: dict[str, Any], words: str
) -> None:
    assert soaked() == []
    (failure,) = soaked(**change)
    assert words in failure


@pytest.mark.usefixtures("short_tmp")
def test_loops_and_soak_are_reported(tmp_path: Path) -> None:
    words = ["--size", "3000", "--seconds", "1", "--soak-minutes", "0.1", "--workers", "1"]
    report = bench("load", tmp_path / "out.json", *words).report
    assert report["peak_per_s"] > 0
    assert {row["load"] for row in report["rows"]} == {0.0, 0.2, 0.5, 0.7, 0.9}
    assert {row["kind"] for row in report["rows"]} <= {*SHARES}
    for row in report["rows"]:
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["p999_ms"]
        assert row["served_p99_ms"] <= row["p99_ms"]
    soak = report["soak"]
    assert len(soak["p99_ms"]) == 10
    assert soak["calls"] > 0
    assert min(soak["memory_mb"]) > 10
    assert report["failed"] == bool(soak["failures"])
