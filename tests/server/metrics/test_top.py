"""``disrupt top`` shows what came between two scrapes, as a naive count of it says."""

from __future__ import annotations

import math
from collections import Counter

from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from rich.console import Console

from disrupt.cli import main
from disrupt.server.calls.interceptors import OK
from disrupt.server.commands.top import view
from disrupt.server.metrics import families
from disrupt.server.metrics.exposition import Exposition
from disrupt.server.metrics.figures import BUCKETS_S, Figures
from disrupt.server.metrics.scrape import Scrape, parsed

METHOD = "MatchService/MatchHashes"
TOOK = families.CALLS.name
outcomes = st.sampled_from([OK, "OVERLOADED"])
calls = st.lists(st.tuples(outcomes, st.floats(0, 200)))


def read(figures: Figures, at_s: float, *faults: str) -> Scrape:
    registry = CollectorRegistry()
    registry.register(Exposition(figures, lambda: {"organisation": {1: "acme"}}))
    return Scrape(at_s, parsed(generate_latest(registry).decode()), faults)


def count(figures: Figures, calls: list[tuple[str, float]]) -> None:
    row = figures.row(families.worker_row(0))
    for outcome, took_s in calls:
        row.observe(families.CALLS, METHOD, outcome, value_s=took_s)


@given(calls, calls, st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_what_grew_between_two_scrapes_is_what_was_counted_between_them(
    first: list[tuple[str, float]], second: list[tuple[str, float]], share: float
) -> None:
    figures = families.figures_of(1)
    count(figures, first)
    before = read(figures, 0)
    count(figures, second)
    now = read(figures, 1)
    by_outcome = Counter((outcome,) for outcome, _ in second)
    assert now.since(before, f"{TOOK}_count", "outcome") == by_outcome
    bounds = [*BUCKETS_S, math.inf]
    within = [sum(took_s <= bound for _, took_s in second) for bound in bounds]
    expected = next(
        (bound for bound, n in zip(bounds, within, strict=True) if n and n >= share * len(second)),
        None,
    )
    assert now.quantile(before, TOOK, share, method=METHOD) == expected


def test_a_counter_that_began_anew_has_grown_by_what_it_shows() -> None:
    figures = families.figures_of(1)
    count(figures, [(OK, 1.0)] * 5)
    before = read(figures, 0)
    figures = families.figures_of(1)
    count(figures, [(OK, 1.0)] * 2)
    assert read(figures, 1).since(before, f"{TOOK}_count", "method") == {(METHOD,): 2}


def test_the_view_shows_calls_refusals_and_what_is_wrong() -> None:
    figures = families.figures_of(1)
    before = read(figures, 10)
    row = figures.row(families.worker_row(0))
    count(figures, [(OK, 0.0004)] * 30 + [("OVERLOADED", 0.0)] * 2)
    row.add(families.LOOKED_UP, "hashes", 1, amount=100)
    row.add(families.REFUSED, "pictures", 1, amount=3)
    row.set(families.SEEN, value=1.0)
    row.set(families.INDEX_HASHES, value=1_234_567)
    console = Console(width=120)
    with console.capture() as shown:
        console.print(view(read(figures, 12, "writer: nothing can be written."), before))
    text = shown.get()
    assert "not ready\nwriter: nothing can be written." in text
    for cell in (
        METHOD,
        "16.0",
        "0.5 ms",
        "OVERLOADED 2",
        "hashes 50.0",
        "pictures 3",
        "1,234,567",
    ):
        assert cell in text, cell


def test_no_server_is_one_sentence(free_port: int) -> None:
    done = CliRunner().invoke(main, ["top", "--metrics", f"127.0.0.1:{free_port}", "--once"])
    assert done.exit_code == 1
    assert f"http://127.0.0.1:{free_port}/metrics does not answer" in done.output
