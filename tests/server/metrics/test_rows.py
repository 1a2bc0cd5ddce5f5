"""What processes count adds up, whoever ends, and Prometheus reads what was counted."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from disrupt.server.metrics import families
from disrupt.server.metrics.families import BUCKETS_S, Family
from disrupt.server.metrics.rows import Row, Rows
from disrupt.server.supervisor.exposition import exposed

PROCESSES = ("writer", "worker 1", "worker 2")
Samples = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture(autouse=True)
def own_row() -> Iterator[None]:
    yield
    Family.use(Row())


def samples(rows: Rows) -> Samples:
    """Return what Prometheus reads: values by name and labels, which it sorts by name."""
    return {
        (sample.name, tuple(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(exposed(rows).decode())
        for sample in family.samples
    }


keys = st.text(st.characters(codec="utf-8"), max_size=20)


@given(st.lists(st.tuples(st.sampled_from(PROCESSES), keys, st.integers(0, 100))))
def test_counters_add_up_over_processes_each_of_which_is_started_anew_all_the_time(
    adds: list[tuple[str, str, int]],
) -> None:
    rows, expected = Rows(PROCESSES), Counter[tuple[str, ...]]()
    for process, key, amount in adds:
        Family.use(rows.of(process))
        families.REFUSALS.add("OVERLOADED", key, amount=amount)
        expected[key, "OVERLOADED"] += amount
    shown = {labels: value for (_, labels), value in samples(rows).items()}
    assert shown == expected


@given(st.lists(st.floats(0, 200)))
def test_a_histogram_has_the_durations_up_to_each_bound(durations_s: list[float]) -> None:
    rows = Rows(PROCESSES)
    Family.use(rows.of("writer"))
    for duration_s in durations_s:
        families.CALLS.observe("MatchService/MatchHashes", "OK", value_s=duration_s)
    shown = samples(rows)
    call = ("MatchService/MatchHashes", "OK")
    for bound in (*BUCKETS_S, math.inf) if durations_s else ():
        label = "+Inf" if bound == math.inf else f"{bound:g}"
        expected = sum(duration_s <= bound for duration_s in durations_s)
        assert shown["disrupt_call_seconds_bucket", (call[0], label, call[1])] == expected
    assert shown.get(("disrupt_call_seconds_sum", call), 0) == pytest.approx(sum(durations_s))


def test_gauges_are_those_of_processes_that_run() -> None:
    rows = Rows(PROCESSES)
    for process in PROCESSES:
        Family.use(rows.of(process))
        families.INDEX_LAG.set(value=1)
        families.FAULTS.add()
    families.clear_gauges(rows, "worker 1")
    assert samples(rows) == {
        ("disrupt_index_lag_seconds", ("writer",)): 1,
        ("disrupt_index_lag_seconds", ("worker 2",)): 1,
        ("disrupt_faults_total", ()): 3,
    }


def test_matches_are_counted_in_threads_by_bank_and_band_of_distance() -> None:
    rows = Rows(PROCESSES)
    Family.use(rows.of("worker 1"))

    def count() -> None:
        families.count_matches([("adults", 7, True), ("minors", 8, False), ("adults", 256, True)])
        for _ in range(500):
            families.count_matches([("adults", 31, False)])

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert samples(rows) == {
        ("disrupt_common_matches_total", ()): 8,
        ("disrupt_matches_total", ("adults", "0-7")): 4,
        ("disrupt_matches_total", ("adults", "24-31")): 2000,
        ("disrupt_matches_total", ("adults", "32-")): 4,
        ("disrupt_matches_total", ("minors", "8-15")): 4,
    }


def test_what_does_not_fit_any_more_harms_nothing_that_was_there() -> None:
    rows = Rows(PROCESSES)
    Family.use(rows.of("writer"))
    families.FAULTS.add()
    for number in range(20_000):
        families.REFUSALS.add("OVERLOADED", f"key {number:040}")
    families.FAULTS.add()
    Family.use(rows.of("worker 1"))
    families.FAULTS.add()
    shown = samples(rows)
    assert shown["disrupt_faults_total", ()] == 3
    assert 5000 < len(shown) < 20_000
    assert set(shown.values()) == {1, 3}


def test_a_record_that_a_killed_process_left_half_written_is_not_there() -> None:
    rows = Rows(PROCESSES)
    row = rows.of("writer")
    end = int(row.numbers[0]) or 33
    for number in range(end, end + 100):
        row.numbers[number] = 5.0
    Family.use(rows.of("writer"))
    families.FAULTS.add()
    assert samples(rows) == {("disrupt_faults_total", ()): 1}
