"""Run the chaos benchmark at tiny size: it breaks, compares, and notices what is lost or wrong."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos import panels, watch
from benchmarks.chaos.chaos import chaos
from benchmarks.chaos.model import Model, Record
from benchmarks.chaos.traffic import Clock
from benchmarks.harness.writes import Write
from disrupt.client.results import HashAnswer
from disrupt.server.metrics.scrape import Scrape
from disrupt.v1 import registration_pb2

pytestmark = pytest.mark.usefixtures("short_tmp")

ID = bytes(range(16))


@dataclass
class _Known(Model):
    """A model whose answers carry their position as text."""

    def sequence(self, answer: HashAnswer) -> int:
        return int(answer.index_cursor)


@dataclass(frozen=True)
class _Match:
    item_id: str


def judged(record: Record, sequence: int, *matched: bytes) -> int:
    """Return how many answers are wrong that name these items at a position of the registry."""
    model = _Known(Path("nowhere"), records=[record])
    asked = model.questions(random.Random(1), 1)
    nothing = HashAnswer((), truncated=False, low_quality=False, index_cursor=str(sequence))
    matches: Any = tuple(_Match(item_id.hex()) for item_id in matched)
    model.check(asked, [replace(nothing, matches=matches), *[nothing] * (len(asked) - 1)])
    assert model.lookups == len(asked)
    assert len(model.problems) == model.wrong_answers
    return model.wrong_answers


def record(**state: Any) -> Record:
    write = Write.new(random.Random(2), items=1, hashes=1)
    write.receipt = registration_pb2.Receipt()
    write.receipt.items.add(item_id=ID)
    return Record(write, present_from=5, **state)


def test_what_is_registered_must_match_where_the_answer_includes_it() -> None:
    assert judged(record(), 5, ID) == 0
    assert judged(record(), 5) == 1
    assert judged(record(), 4) == 0
    assert judged(record(), 4, ID) == 0


def test_what_is_gone_must_not_match_where_the_answer_includes_that() -> None:
    gone = record(leaving=True, absent_from=7)
    assert judged(gone, 7) == 0
    assert judged(gone, 7, ID) == 1
    assert judged(gone, 6, ID) == 0
    assert judged(gone, 6) == 0


def test_what_is_leaving_may_match_or_not() -> None:
    leaving = record(leaving=True)
    assert judged(leaving, 9, ID) == judged(leaving, 9) == 0


def test_an_item_that_nobody_asked_for_is_a_wrong_answer() -> None:
    assert judged(record(), 5, ID, bytes(16)) == 1


def test_a_wait_counts_until_it_is_over() -> None:
    clock = Clock("lookups", waits=[(10.0, 4.0), (20.0, 2.0)])
    assert [clock.longest_s(since_s) for since_s in (0, 15, 25)] == [4.0, 2.0, 0.0]


def test_a_panel_without_a_finite_value_is_empty() -> None:
    values = {math.nan: True, math.inf: True, 0.0: False}
    for value, is_empty in values.items():
        series = [panels.Series("worker 0", [1.0, 2.0], [math.nan, value])]
        assert panels.Panel("Lag", "s", series).is_empty == is_empty
    assert panels.Panel("Lag", "s").is_empty


def scrape(samples: dict[str, Any]) -> Scrape:
    named = {
        name: {frozenset(labels): value for labels, value in values.items()}
        for name, values in samples.items()
    }
    return Scrape(0.0, named, ())


def test_a_sign_is_seen_in_what_changed_and_in_nothing_else() -> None:
    role = {(("role", "worker"),): 2.0, (("role", "writer"),): 5.0}
    more = role | {(("role", "worker"),): 3.0}
    before = scrape({"disrupt_process_ends_total": role})
    now = watch.Sight(100.0, scrape({"disrupt_process_ends_total": more}))
    assert watch.ends("worker")(before, now)
    assert not watch.ends("writer")(before, now)
    seen = {(("process", "worker 0"),): 97.0, (("process", "writer"),): 99.5}
    now = watch.Sight(100.0, scrape({"disrupt_seen_timestamp_seconds": seen}))
    assert watch.is_silent("worker", 2.0)(before, now)
    assert not watch.is_silent("writer", 2.0)(before, now)
    took = "disrupt_call_duration_seconds_bucket"
    method = ("method", "RegistrationService/RegisterHashes")
    buckets = {(method, ("le", "0.25")): 4.0, (method, ("le", "+Inf")): 4.0}
    slow = watch.is_slow(method[1], "0.25")
    empty = scrape({})
    assert not slow(empty, watch.Sight(1.0, scrape({took: buckets})))
    buckets[method, ("le", "+Inf")] = 5.0
    assert slow(empty, watch.Sight(1.0, scrape({took: buckets})))
    refused = {(method, ("outcome", "STORAGE_FULL")): 1.0}
    answered = {(method, ("outcome", "OK")): 1.0}
    assert watch.refuses_writes(empty, watch.Sight(1.0, scrape({watch.CALLS: refused})))
    assert not watch.refuses_writes(empty, watch.Sight(1.0, scrape({watch.CALLS: answered})))
    started = scrape({"disrupt_start_timestamp_seconds": {(): 7.0}})
    assert watch.begins_anew(empty, watch.Sight(1.0, started))
    assert not watch.begins_anew(started, watch.Sight(1.0, started))


def test_faults_lose_nothing(tmp_path: Path) -> None:
    kinds = ["worker-killed", "writer-killed", "connection-cut"]
    plot = None if panels.missing() else tmp_path / "panels.svg"
    report = chaos(tmp_path, kinds, len(kinds), seed=1, workers=1, back_within_s=600, plot=plot)
    assert report.problems == []
    assert report.unseen == 0
    if plot:
        assert report.panels > 20
        assert {"Calls a second, by method", "Serving"}.isdisjoint(report.empty_panels)
        assert plot.read_text("utf-8").startswith("<?xml")
    assert (report.lost, report.wrong_answers, report.verify_failures) == (0, 0, 0)
    assert {row.kind: row.times for row in report.faults} == dict.fromkeys(kinds, 1)
    assert report.acknowledged >= report.acknowledged_by_kind["registrations"] > len(kinds)
    assert report.lookups > 100
    assert report.restarts == 0
