"""``disrupt top`` shows what came between two scrapes, as a naive count of it says."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from disrupt.operators.scrape import Scrape, parsed
from disrupt.operators.top import view
from disrupt.server.metrics import families
from disrupt.server.metrics.families import BUCKETS_S, Family
from disrupt.server.metrics.rows import Row, Rows
from disrupt.server.supervisor.exposition import exposed
from rig.callers.shell import typed

CALL = "MatchService/MatchHashes"
TOOK = families.CALLS.name
calls = st.lists(st.tuples(st.sampled_from(["OK", "OVERLOADED"]), st.floats(0, 200)))


@pytest.fixture(autouse=True)
def own_row() -> Iterator[None]:
    yield
    Family.use(Row())


def of_worker() -> Rows:
    rows = Rows(["worker 1"])
    Family.use(rows.of("worker 1"))
    return rows


def read(rows: Rows, at_s: float, readiness: str = "") -> Scrape:
    return Scrape(at_s, parsed(exposed(rows).decode()), readiness)


def count(made: list[tuple[str, float]]) -> None:
    for outcome, took_s in made:
        families.CALLS.observe(CALL, outcome, value_s=took_s)


@given(calls, calls, st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_what_grew_between_two_scrapes_is_what_was_counted_between_them(
    first: list[tuple[str, float]], second: list[tuple[str, float]], share: float
) -> None:
    rows = of_worker()
    count(first)
    before = read(rows, 0)
    count(second)
    now = read(rows, 1)
    assert now.since(before, f"{TOOK}_count", "outcome") == Counter((o,) for o, _ in second)
    bounds = [*BUCKETS_S, math.inf]
    within = [sum(took_s <= bound for _, took_s in second) for bound in bounds]
    expected = next(
        (bound for bound, n in zip(bounds, within, strict=True) if n and n >= share * len(second)),
        None,
    )
    assert now.quantile_s(before, TOOK, share, call=CALL) == expected


def test_a_counter_that_began_anew_has_grown_by_what_it_shows() -> None:
    rows = of_worker()
    count([("OK", 1.0)] * 5)
    before = read(rows, 0)
    rows = of_worker()
    count([("OK", 1.0)] * 2)
    assert read(rows, 1).since(before, f"{TOOK}_count", "call") == {(CALL,): 2}


def test_the_view_shows_calls_keys_processes_and_what_is_not_ready() -> None:
    rows = of_worker()
    before = read(rows, 10)
    count([("OK", 0.0004)] * 30 + [("OVERLOADED", 0.0)] * 2)
    families.KEY_CALLS.add("0a1b2c3d", CALL, amount=32)
    families.KEY_INFO.set("0a1b2c3d", "platform", value=1)
    families.REFUSALS.add("KEY_REFUSED", "", amount=3)
    families.REFUSALS.add("OVERLOADED", "0a1b2c3d", amount=2)
    families.ADMISSION_HELD.set("pictures", "0a1b2c3d", value=7)
    families.PROCESS_UP.set("worker 1", value=0)
    families.INDEX_HASHES.set(value=1_234_567)
    console = Console(width=140)
    with console.capture() as shown:
        console.print(view(read(rows, 12, "disrupt.v1.MatchService: worker 1 is silent\n"), before))
    text = shown.get()
    for cell in (
        *("MatchService: worker 1 is silent", CALL, "16.0", "0.5 ms", "OVERLOADED 2"),
        *("platform 0a1b2c3d", "no key", "7 pictures", "does not serve", "1,234,567"),
    ):
        assert cell in text, cell


@pytest.mark.parametrize("known", [False, True])
def test_what_the_writer_has_not_measured_is_not_known_instead_of_nothing(*, known: bool) -> None:
    rows = of_worker()
    if known:
        families.DISK_FREE.set(value=3 * 2**30)
        families.OLDEST_WITHDRAWN.set(value=0)
    console = Console(width=140)
    with console.capture() as shown:
        console.print(view(read(rows, 12), read(rows, 10)))
    room, oldest = ("3,072 MiB", "none") if known else ("not known", "not known")
    assert re.search(rf"room on the disk +│ {room} ", shown.get())
    assert re.search(rf"oldest withdrawn byte +│ {oldest} ", shown.get())


def test_a_table_of_processes_is_whole_in_80_columns() -> None:
    rows = Rows(["maintenance"])
    Family.use(rows.of("maintenance"))
    families.PROCESS_UP.set("maintenance", value=0)
    families.MEMORY.set("maintenance", value=2**33)
    families.OPEN_FILES.set("maintenance", value=12_345)
    families.INDEX_HASHES.set(value=12_345_678)
    families.INDEX_DELTA.set(value=512_345)
    console = Console(width=80)
    with console.capture() as shown:
        console.print(view(read(rows, 12), read(rows, 10)))
    assert "…" not in shown.get()
    for cell in ("process", "maintenance", "8,192", "12,345", "12,345,678", "512,345", "waiting"):
        assert cell in shown.get(), cell


def test_no_server_is_one_sentence(free_port: int) -> None:
    done = typed("top", "--metrics", f"127.0.0.1:{free_port}", "--once")
    assert done.code == 1
    assert f"http://127.0.0.1:{free_port}/metrics does not answer" in done.err
