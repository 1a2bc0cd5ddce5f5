"""Run the abuse benchmark at tiny size: it plays, compares, and judges by its promises."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.abuse import sink
from benchmarks.abuse.attack import HEALTH as HEALTH_SERVICE
from benchmarks.abuse.attack import MATCH, Toll
from benchmarks.abuse.attacks import CHECKED
from benchmarks.abuse.measured_process import child
from benchmarks.abuse.rows import (
    HASHES,
    HEALTH,
    MAX_MESSAGE_BYTES,
    MOST_MESSAGES,
    PICTURES,
    VIDEOS,
    WITHDRAWALS,
    WITHDRAWN_WITHIN_S,
    Call,
    Row,
    Stretch,
    broken,
    compare,
)
from benchmarks.abuse.wire import Wire
from benchmarks.harness.h2load import framed

ROOT = Path(__file__).parents[2]


def stretch(*calls: Call, answers: dict[str, int] | None = None, cpu_s: float = 1.0) -> Stretch:
    return Stretch(100.0, 110.0, [*calls], [Toll(Counter(answers or {}), 10.0, cpu_s)])


def calls(kind: str, count: int, took_s: float = 0.1, *, answered: bool = True) -> list[Call]:
    return [Call(kind, 100 + at * 9.8 / count, took_s, answered) for at in range(count)]


def ordinary(hashes: int = 800, pictures: int = 200) -> list[Call]:
    rates = ((HASHES, hashes), (PICTURES, pictures), (VIDEOS, 5), (WITHDRAWALS, 9), (HEALTH, 9))
    return [call for kind, count in rates for call in calls(kind, count)]


def compared(attacked: Stretch, baseline: Stretch) -> Row:
    return compare(
        "some", [attacked], [baseline], worker_mb=(200.0, 190.0), writer_mb=(150.0, 150.0), ended=0
    )


def test_what_is_as_before_keeps_every_promise() -> None:
    row = compared(stretch(*ordinary()), stretch(*ordinary()))
    assert row.failed == []
    assert (row.others_throughput_share, row.shares) == (1.0, {HASHES: 1.0, PICTURES: 1.0})
    assert all(low <= 1 <= high for low, high in row.intervals.values())
    assert (row.withdrawals, row.withdrawal_p99_ms, row.health_true) == (9, 100.0, True)
    assert row.attackers_cpu_share == row.baseline_attackers_cpu_share == 0.1


def test_the_share_is_that_of_the_calls_that_suffer_most() -> None:
    row = compared(stretch(*ordinary(pictures=100)), stretch(*ordinary()))
    assert row.shares == {HASHES: 1.0, PICTURES: 0.5}
    assert row.others_throughput_share == 0.5
    assert row.failed == ["others_throughput_share"]
    low, high = row.intervals[PICTURES]
    assert low <= 0.5 <= high < 0.8


def test_calls_that_fail_are_no_throughput_and_the_longest_withdrawal() -> None:
    refused = [call for call in ordinary() if call.kind not in {HASHES, WITHDRAWALS}]
    refused += calls(HASHES, 800, answered=False) + calls(WITHDRAWALS, 9, answered=False)
    row = compared(stretch(*refused), stretch(*ordinary()))
    assert row.shares[HASHES] == 0
    assert row.withdrawal_p99_ms == 60_000
    assert row.failed == ["others_throughput_share", "withdrawal_p99_ms"]


def test_guesses_that_were_checked_are_counted_however_they_were_made() -> None:
    answers = dict.fromkeys(CHECKED, 20) | {"CASE_REFUSED": 3000, "TOO_MANY_ATTEMPTS": 3000}
    row = compared(stretch(*ordinary(), answers=answers), stretch(*ordinary()))
    assert row.pin_checks_per_s == 4
    assert row.failed == ["pin_checks_per_s"]


MESSAGES_MB = MOST_MESSAGES * MAX_MESSAGE_BYTES / 1e6


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("videos_answered_share", 0.5),
        ("withdrawal_p99_ms", 2001.0),
        ("peak_worker_mb", 190 + MESSAGES_MB + 1),
        ("peak_writer_mb", 150 + MESSAGES_MB + 1),
        ("health_true", False),
        ("processes_ended", 1),
    ],
)
def test_each_promise_is_judged(name: str, value: Any) -> None:
    row = compared(stretch(*ordinary()), stretch(*ordinary()))
    assert [*broken(replace(row, **{name: value}))] == [name]


@pytest.mark.parametrize(
    ("method", "message"),
    [(f"{MATCH}/MatchHashes", b"\0\0\0\1\0half"), (f"{HEALTH_SERVICE}/Watch", framed([b""]))],
)
def test_the_sink_ends_calls_that_last_so_that_attackers_begin_them_anew(
    method: str, message: bytes
) -> None:
    async def ended(address: str) -> None:
        wire = await Wire.open(address)
        call = wire.begin(method, None)
        assert call is not None
        await wire.send(call, message)
        while wire.calls:
            await asyncio.sleep(0.01)
        assert wire.is_open
        wire.close()

    with child(sink.serve) as serving:
        asyncio.run(ended(serving.hear()))


def test_attacks_are_played_together_beside_a_server_and_beside_a_sink(tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    kinds = ["--rounds", "0", "--only", "pin-guessing", "--only", "slow-uploads"]
    words = [*kinds, "--seconds-together", "8", "--size", "500", "--every-s", "0.1"]
    with tempfile.TemporaryDirectory() as short:  # a server's socket needs a short path
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.abuse.abuse", *words, "--json", report],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "TMPDIR": short},
            capture_output=True,
            text=True,
            check=False,
        )
    assert report.exists(), done.stderr
    result = json.loads(report.read_text())
    (row,) = result["attacks"]
    assert done.returncode == result["failed"] == bool(row["failed"])
    assert row["kind"] == "together"
    # All attacks begin in these seconds, so a busy machine may end no withdrawal in them.
    assert row["withdrawals"] > 0 or "withdrawal_p99_ms" in row["failed"]
    assert row["baseline_withdrawal_p99_ms"] < 1000 * WITHDRAWN_WITHIN_S
    assert 0 < row["idle_writer_mb"] <= row["peak_writer_mb"]
    assert 0 < row["idle_worker_mb"] <= row["peak_worker_mb"]
    assert row["attackers_cpu_share"] > 0
    assert row["baseline_attackers_cpu_share"] > 0
    assert row["answers"]
