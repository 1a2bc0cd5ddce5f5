"""Figures of all processes add up, whoever ends, and Prometheus reads what was counted."""

from __future__ import annotations

import os
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from disrupt import errors
from disrupt.isolation.child import Cause
from disrupt.server.metrics import families
from disrupt.server.metrics.counting import Counting
from disrupt.server.metrics.exposition import Exposition
from disrupt.server.metrics.figures import BUCKETS_S, Family, Figures, Kind

COUNTED = Family("a_counted", "Counted.", Kind.COUNTER, {"way": ("in", "out"), "who": range(5)})
TOOK = Family("a_took_seconds", "Took.", Kind.HISTOGRAM, {"way": ("in", "out")})
PRESENT = Family("a_present", "Present.", Kind.GAUGE, {}, "worker")
ALL = (COUNTED, TOOK, PRESENT, families.SEEN)
ROWS = ("supervisor", "worker 0", "worker 1")
WHO = {1: "nobody", 3: "somebody"}


def samples(figures: Figures) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return what Prometheus reads: values by name and labels, which it sorts by name."""
    registry = CollectorRegistry()
    registry.register(Exposition(figures, lambda: {"who": WHO}))
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


ways, who = st.sampled_from(["in", "out"]), st.integers(0, 4)


@given(st.lists(st.tuples(st.sampled_from(ROWS), ways, who, st.integers(1, 1000))))
def test_counters_are_the_sums_over_processes_of_what_has_a_name(
    adds: list[tuple[str, str, int, int]],
) -> None:
    figures, expected = Figures(ALL, ROWS), Counter[tuple[str, str]]()
    for row, way, number, amount in adds:
        figures.row(row).add(COUNTED, way, number, amount=amount)
        if number in WHO:
            expected[way, WHO[number]] += amount
    read = samples(figures)
    assert expected == {
        labels: value for (name, labels), value in read.items() if name == "a_counted_total"
    }


def test_counters_without_numbers_are_there_from_the_beginning() -> None:
    ends = Family("an_end", "Ended.", Kind.COUNTER, {"role": ("worker", "writer")})
    figures = Figures((ends, *ALL), ROWS)
    figures.row("supervisor").add(ends, "writer")
    read = samples(figures)
    assert {key: value for key, value in read.items() if key[0] == "an_end_total"} == {
        ("an_end_total", ("worker",)): 0,
        ("an_end_total", ("writer",)): 1,
    }
    assert not any(name.startswith(("a_counted", "a_took")) for name, _ in read)


@given(st.lists(st.tuples(ways, st.floats(0, 200)), min_size=1))
def test_histograms_count_each_duration_in_its_bucket(took: list[tuple[str, float]]) -> None:
    figures = Figures(ALL, ROWS)
    row = figures.row("worker 0")
    for way, seconds in took:
        row.observe(TOOK, way, value_s=seconds)
    read = samples(figures)
    for way in {way for way, _ in took}:
        mine = [seconds for other, seconds in took if other == way]
        assert read["a_took_seconds_count", (way,)] == len(mine)
        assert read["a_took_seconds_sum", (way,)] == pytest.approx(sum(mine))
        for bound in BUCKETS_S:
            within = sum(seconds <= bound for seconds in mine)
            assert read["a_took_seconds_bucket", (f"{bound:g}", way)] == within


def test_a_process_that_is_killed_leaves_its_counts_to_the_next() -> None:
    figures = Figures(ALL, ROWS)
    for _ in range(2):
        if not (child := os.fork()):
            row = figures.row("worker 1")
            row.add(COUNTED, "in", 3)
            row.set(PRESENT, value=7)
            row.set(families.SEEN, value=1)
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
    read = samples(figures)
    assert read["a_counted_total", ("in", "somebody")] == 2
    assert read["a_present", ("worker 1",)] == 7
    figures.clear_gauges("worker 1")
    read = samples(figures)
    assert read["a_counted_total", ("in", "somebody")] == 2
    assert not any(name == "a_present" for name, _ in read)


def test_no_count_of_any_thread_is_lost() -> None:
    figures = Figures(ALL, ROWS)
    row = figures.row("worker 0")

    def count() -> None:
        for _ in range(20_000):
            row.add(COUNTED, "out", 3)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert samples(figures)["a_counted_total", ("out", "somebody")] == 80_000


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.name)
def test_every_series_has_a_place_of_its_own(family: Family) -> None:
    count = family.size // family.width
    places = {family.place(tuple(family.values(series))) for series in range(count)}
    assert places == {series * family.width for series in range(count)}


def test_every_reason_of_an_error_is_an_outcome() -> None:
    reasons = {
        each.reason
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.DisruptError)
    }
    assert reasons <= {*families.OUTCOMES}


def test_an_outcome_that_is_not_known_is_counted_as_another() -> None:
    figures = families.figures_of(1)
    row = figures.row(families.worker_row(0))
    counting = Counting(row)
    counting.called("/disrupt.v1.MatchService/MatchImage", Cause.CRASH, 0.1)
    counting.called("/disrupt.v1.MatchService/MatchImage", "NEVER_HEARD_OF", 0.1)
    registry = CollectorRegistry()
    registry.register(Exposition(figures, dict))
    outcomes = {
        sample.labels["outcome"]: sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if sample.name == "disrupt_call_duration_seconds_count"
    }
    assert outcomes == {"CRASH": 1, "other": 1}
