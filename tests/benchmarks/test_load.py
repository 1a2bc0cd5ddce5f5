"""Loads time calls from when they were due, check answers, and notice a server that is broken."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.load import load, probing, turns
from benchmarks.load.arrivals import OK, Call, Called, open_loop
from benchmarks.load.calls import SHARES
from benchmarks.load.soak import Sample, growth_bytes, judged
from rig.servers.proxied import unusable
from tests.benchmarks.conftest import Bench


def test_a_call_that_is_held_up_has_waited_since_it_was_due() -> None:
    times_s = [0.0, 0.01, 0.02]
    called: list[Called] = []

    held_up_s = iter((0.1, 0.0, 0.0))

    async def answer() -> str:
        time.sleep(next(held_up_s))  # noqa: ASYNC251 holds up the loop, and with it all that is due
        return OK

    asyncio.run(open_loop(lambda: Call("lookup", answer), times_s, called))
    assert [call.due_s for call in called] == times_s
    for call in called[1:]:
        assert call.took_s - call.served_s == pytest.approx(call.sent_s - call.due_s)
        assert call.took_s > 0.07 > call.served_s


def test_growth_of_memory_is_known_within_an_interval_or_not_at_all() -> None:
    calls = np.arange(300.0) * 50
    noise = np.random.default_rng(1).normal(0, 1000, 300)
    low, mean, high = growth_bytes(calls, 5e8 + 3 * calls + noise)
    assert low < 3 < high
    assert mean == pytest.approx((low + high) / 2)
    low, _, high = growth_bytes(calls, 5e8 + noise)
    assert low < 0 < high < 1
    assert growth_bytes(calls[:9], calls[:9])[::2] == (-math.inf, math.inf)


CALLS = [Called("lookup", at / 100, at / 100, at / 100 + 0.002, OK) for at in range(10_000)]
SAMPLES = [Sample(at * 100, 5e8 + at % 3, 80, (1, 2, 3)) for at in range(100)]


@pytest.mark.parametrize(
    ("samples", "calls", "failure"),
    [
        (SAMPLES, CALLS, None),
        (SAMPLES, [*CALLS, Called("picture", 1, 1, 2, "OVERLOADED")], "calls failed"),
        ([replace(s, memory_bytes=5e8 + 9 * s.calls) for s in SAMPLES], CALLS, "memory"),
        ([*SAMPLES[:-1], replace(SAMPLES[-1], pids=(1, 2, 4))], CALLS, "processes"),
        ([replace(s, files=s.calls // 100) for s in SAMPLES], CALLS, "files"),
        (SAMPLES, [replace(c, ended_s=c.due_s + c.due_s / 1000) for c in CALLS], "p99"),
    ],
)
def test_a_soak_fails_for_its_reason_alone(
    samples: list[Sample], calls: list[Called], failure: str | None
) -> None:
    parts = [calls[at : at + 1000] for at in range(0, len(calls), 1000)]
    soak = judged(samples, parts, seconds=100, generations=1, most_bytes=1)
    assert len(soak.failures) == bool(failure)
    assert not failure or failure in soak.failures[0]


def test_a_server_that_keeps_what_it_was_asked_fails_the_soak(bench: Bench) -> None:
    words = ("--profile", "soak", "--size", "2000", "--minutes", "0.1")
    code, report = bench(load.main, *words, "--sabotage", "leaky-lookups")
    assert code == 1
    assert "memory may grow by more than 1 bytes a call" in report["failures"]
    assert (
        report["soak"][0]["growth_bytes_a_call"] > 1 << 14
    )  # a quarter of what it keeps of each lookup
    assert not any("wrong" in failure for failure in report["failures"])
    assert report["soak"][0]["generations"] > 0


def test_a_server_that_finds_nothing_fails_the_load(bench: Bench) -> None:
    words = ("--size", "2000", "--seconds", "1", "--sabotage", "empty-answers")
    code, report = bench(load.main, *words)
    assert code == 1
    assert ["wrong" in failure for failure in report["failures"]] == [True]
    assert {row["kind"] for row in report["rows"]} <= set(SHARES)
    for row in report["rows"]:
        assert not row["p50_ms"] or row["p50_ms"] <= row["p99_ms"] <= row["p999_ms"]


def test_a_flood_gains_what_the_limits_allow_and_delays_neighbours_by_what_it_paid(
    bench: Bench,
) -> None:
    words = ("--scale", "0.1", "--pictures", "200", "--turns", "60")
    code, report = bench(turns.main, *words)
    assert (code, report["failures"]) == (0, [])
    rows = {row["scenario"]: row for row in report["rows"]}
    alone, paid = (
        rows["a mobile network: 40 people in a day"],
        rows["mobile, and a flood of 100 cases, a proof each"],
    )
    unpaid = rows["mobile, and a flood of 100 cases, unpaid"]
    assert alone["first_median_h"] == 0
    assert unpaid["flood_live"] >= 200
    assert unpaid["first_worst_h"] <= 3 / 60, "nobody pays for a turn before a neighbour's"
    assert paid["first_worst_h"] <= 100 / 60 + 3 / 60


def test_turns_that_come_too_soon_fail_the_simulation(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "_H_S", 1800.0)
    code, report = bench(turns.main, "--scale", "0.1")
    assert code == 1
    assert report["failures"]


def test_a_server_that_lets_everything_wait_fails_the_overload(bench: Bench) -> None:
    words = ("--profile", "overload", "--size", "2000", "--seconds", "1")
    code, report = bench(load.main, *words, "--sabotage", "endless-queues")
    assert code == 1
    assert "nothing was refused" in report["failures"]
    figures = {row["figure"]: row["value"] for row in report["overload"]}
    assert figures["offered_per_s"] > figures["sustained_per_s"] > 0


def test_calls_that_end_with_their_worker_are_counted_as_dropped(bench: Bench) -> None:
    words = ("--profile", "reload", "--size", "2000", "--reloads", "1", "--age-s", "1")
    code, report = bench(load.main, *words, "--sabotage", "hasty-ends")
    assert code == 1
    (row,) = report["reloads"]
    assert row["dropped"]
    assert row["lost"] == 0
    assert report["outage"][0]["outage_s"] > 0


@pytest.mark.skipif(bool(why := unusable()), reason=why)
def test_callers_are_answered_rightly_beside_an_attack(bench: Bench) -> None:
    words = ("--profile", "hostile", "--attack", "keys-of-strangers", "--seconds", "2")
    code, report = bench(load.main, *words, "--size", "2000")
    (row,) = report["attacks"]
    assert row["attack"] == "keys-of-strangers"
    assert row["answered"] == pytest.approx(1, abs=0.1), "a share of the baseline's share"
    assert row["health"]
    assert " 8" in row["attackers_answers"], "the proxy refuses RESOURCE_EXHAUSTED"
    assert code == bool(row["broken"]) == bool(report["failures"])


@pytest.mark.parametrize("sabotage", [False, True])
def test_attackers_gain_a_stored_hash_and_only_a_walk_among_ordinary_lookups_is_counted(
    sabotage: bool, bench: Bench
) -> None:
    sizes = ("--lookups", "2000", "--viral", "4", "--copies", "2", "--photographs", "1")
    code, report = bench(probing.main, *sizes, *(["--sabotage"] if sabotage else []))
    assert (code, report["failures"]) == (0, [])
    assert {row["bits"] for row in report["attacks"]} == {256}
    assert report["ordinary"][0]["counted"] == sabotage
