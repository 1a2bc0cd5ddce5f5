"""Every benchmark of speed measures all that it says, and checks its answers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from PIL import Image
from skimage import data

from benchmarks.harness import hash_sets
from benchmarks.speed import (
    archives,
    browser,
    call_cost,
    changes,
    hashing,
    lifecycle,
    new,
    panels,
    picture_calls,
    search,
    search_chart,
)
from benchmarks.speed.hash_calls import WORKLOADS
from benchmarks.speed.hashing import Measured, disagreeing, rows_of
from benchmarks.speed.search_engines import SETTINGS
from disrupt.core.changes import Addition, Change, Cursor
from disrupt.index.live import LiveIndex
from disrupt.index.multi_index.engine import MultiIndex
from disrupt.index.nearest import NearestItems
from disrupt.index.part import Part
from rig.servers import monitored
from tests.benchmarks.conftest import Bench
from tests.needs import needs


@pytest.fixture(autouse=True)
def _few_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_sets, "MAX_REGIONS", 200)


def test_every_engine_is_measured_on_both_distributions_and_found_exact(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, report = bench(search.main, "--size", "3000", "--queries", "300", "--seconds", "0")
    assert code == 0
    rows = report["rows"]
    assert [(row["distribution"], row["engine"]) for row in rows] == [
        (distribution, engine) for distribution in ("uniform", "real") for engine in SETTINGS
    ]
    for row in rows:
        assert (row["size"], row["recall"], row["wrong"]) == (3000, 1, 0)
        assert row["p50_us"] <= row["p99_us"]
    printed = capsys.readouterr().out
    assert "| size | distribution | engine | lookups_per_s |" in printed
    assert printed.count("| 3 000 | ") == len(rows)
    chart = tmp_path / "chart.svg"
    search_chart.main([str(tmp_path / "report.json"), str(chart)], standalone_mode=False)
    assert chart.read_text("utf-8").count("<circle ") == len(rows)


def test_an_answer_that_a_search_leaves_out_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete = MultiIndex.search

    def leaving_one_out(*asked: Any) -> NearestItems:
        hits = complete(*asked)
        rest = {name: getattr(hits, name)[1:] for name in ("query", "entry", "distance")}
        return replace(hits, **rest)

    monkeypatch.setattr(MultiIndex, "search", leaving_one_out)
    words = ("--engine", "disrupt", "--distribution", "uniform", "--queries", "300")
    code, _ = bench(search.main, "--size", "3000", "--seconds", "0", *words)
    assert code == 1


def test_each_pipeline_is_measured_and_lookups_agree_with_what_is_registered(bench: Bench) -> None:
    words = ("--photographs", "1", "--seconds", "0", "--input", "jpeg_720")
    code, report = bench(hashing.main, *words)
    assert code == 0
    assert [row["pipeline"] for row in report["rows"]] == list(hashing.PIPELINES)
    assert all(row["ms"] > 0 and row["peak_mb"] > 1 for row in report["rows"])
    assert disagreeing(report["rows"]) == []


def test_a_lookup_that_hashes_far_from_what_is_registered_is_found() -> None:
    measured = {
        "disrupt_lookup": [Measured(1, 1, ["1ff"])],
        "disrupt_registration": [Measured(1, 1, ["0", "100"])],
    }
    (row, _) = rows_of("jpeg", measured)
    assert (row["most_bits"], row["mean_bits"]) == (8, 8)
    assert disagreeing([row]) == ["jpeg"]


@pytest.mark.skipif(shutil.which("h2load") is None, reason="no h2load: scripts/system-packages")
def test_every_way_of_calling_is_measured_beside_its_bounds(bench: Bench) -> None:
    words = ("--part", "hashes", "--part", "stages", "--distribution", "uniform")
    sizes = ("--size", "3000", "--seconds", "0.2", "--rounds", "1")
    code, report = bench(call_cost.main, *words, *sizes)
    assert (code, report["failures"]) == (0, [])
    assert [row["calls"] for row in report["hash_calls"]] == [each.name for each in WORKLOADS]
    for row in report["hash_calls"]:
        for name in ("calls_per_s", "items_per_cpu_s", "nothing_items_per_cpu_s", "of_engine"):
            assert row[name] > 0
    for latency in report["latencies"]:
        assert 0 < latency["p50_us"] <= latency["p99_us"] <= latency["p999_us"]
    assert [row["hashes"] for row in report["stages"]] == [1, 64, 1000]
    for row in report["stages"]:
        assert row["hits"] == pytest.approx(row["hashes"] / 10, rel=0.1)
        assert min(row["decode_us"], row["search_us"], row["near_rule_us"]) > 0


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[str | Path, ...]:
    for name in ("coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()).save(tmp_path / f"{name}.png")
    words = ("--part", "pictures", "--photographs", "2", "--size", "2000", "--rounds", "1")
    return (*words, "--folder", tmp_path)


def test_calls_with_pictures_are_timed_beside_their_peers(
    bench: Bench, pictures: tuple[str | Path, ...]
) -> None:
    shown = {name: picture_calls.PICTURES[name] for name in ("story", "collage of 4")}
    with mock.patch.dict(picture_calls.PICTURES, shown, clear=True):
        code, report = bench(call_cost.main, *pictures)
    assert (code, report["failures"]) == (0, [])
    assert [(row["call"], row["picture"]) for row in report["picture_calls"]] == [
        (call, picture) for call in ("lookup", "registration") for picture in shown
    ]
    for row in report["picture_calls"]:
        assert row["of_peer"] == pytest.approx(row["cpu_ms"] / row["peer_cpu_ms"])
        assert row["clock_ms"] > 0
    for row in report["picture_stages"]:
        parts = row["find_regions_ms"] + row["hash_ms"] + row["search_ms"]
        assert row["in_all_ms"] == pytest.approx(parts)
        assert 8 < row["hashes"] <= 2200


def test_a_call_with_a_picture_that_is_answered_wrongly_is_found(
    bench: Bench, pictures: tuple[str | Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_calls, "expected", lambda *_: [("00", 1)])
    shown = {"story": picture_calls.PICTURES["story"]}
    with mock.patch.dict(picture_calls.PICTURES, shown, clear=True):
        code, report = bench(call_cost.main, *pictures)
    assert (code, report["failures"]) == (1, ["2 answers are wrong"])


_LIFE = (
    *("--hashes-per-item", "8", "--most-changes", "1000"),
    *("--rounds", "1", "--openings", "1"),
)


def test_the_life_of_an_index_is_measured_and_answers_are_exact(bench: Bench) -> None:
    with mock.patch.object(lifecycle, "_QUERIES", 200):
        code, report = bench(lifecycle.main, "--size", "24000", *_LIFE)
    assert (code, report["failures"]) == (0, [])
    assert [(row["changes"], row["count"]) for row in report["changes"]] == [
        (kind, count) for kind in changes.KINDS for count in (0, 1000)
    ]
    assert all(value > 0 for value in (*report["build"][0].values(), *report["memory"][0].values()))


def test_removals_that_an_index_ignores_are_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = LiveIndex.apply

    def without_removals(index: LiveIndex, page: list[Change], cursor: Cursor) -> None:
        apply(index, [change for change in page if isinstance(change, Addition)], cursor)

    monkeypatch.setattr(LiveIndex, "apply", without_removals)
    monkeypatch.setattr(lifecycle, "server_memory", lambda _: {"steady_mb": 1.0})
    code, report = bench(lifecycle.main, "--size", "24000", *_LIFE)
    assert code == 1
    assert {row["changes"] for row in report["changes"] if row["wrong"]} == {"removals", "both"}


@needs("chromium")
def test_a_browser_is_compared_in_every_kind_and_timed(bench: Bench) -> None:
    code, report = bench(browser.main, "--pictures", "1", "--runs", "1", "--largest-mp", "1")
    assert code == 0
    assert [row["kind"] for row in report["agreement"]] == list(browser.KINDS)
    assert [row["file"] for row in report["costs"]] == ["15 s of 720p"]
    assert report["costs"][0]["least_ms"] > 0


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Debian's package prometheus")
def test_every_panel_of_the_dashboard_is_drawn(tmp_path: Path) -> None:
    arguments = ["--seconds", "6", str(tmp_path / "chart.svg")]
    panels.main(arguments, standalone_mode=False)
    chart = (tmp_path / "chart.svg").read_text("utf-8")
    assert chart.count("<g ") == len(monitored.panels())
    assert "MatchService/MatchHashes" in chart


def test_a_scan_is_compared_with_the_engine_and_a_match_that_it_misses_is_noticed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = archives.read_answers
    monkeypatch.setattr(archives, "read_answers", lambda out: read(out)[1:])
    code, report = bench(archives.main, "--rows", "3000", "--size", "24000", "--no-ray")
    assert code == 1
    assert [(row["way"], row["matches"], row["wrong"]) for row in report["ways"]] == [
        ("bare engine", 300, 0),
        ("disrupt scan", 299, 1),
    ]


def test_lookups_of_what_is_new_are_compared_with_whole_ones_and_a_miss_is_noticed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--size", "3000", "--asked", "2000")
    _, report = bench(new.main, *words)
    assert [(row["way"], row["wrong"]) for row in report["ways"]] == [("whole", 0), ("new", 0)]
    since = Part.since
    monkeypatch.setattr(Part, "since", lambda part, items, day: since(part, items, day + 9))
    code, report = bench(new.main, *words)
    assert code == 1
    assert report["ways"][1]["wrong"] > 0
