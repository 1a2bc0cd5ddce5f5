"""Benchmarks of recall measure all that they say; unrelated pictures that match are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from benchmarks.recall import alike, common, extents, recall, sources, unrelated
from benchmarks.recall.harder_edits import EVERY_EDIT
from benchmarks.recall.kinds import KINDS, drawn
from benchmarks.recall.recall import interval
from benchmarks.videos import video
from rig.media.edits import Scene, upload
from tests.benchmarks.conftest import Bench


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()).save(path / f"{name}.png")
    # The same picture at another size does not count as a fourth photograph.
    Image.open(path / "coffee.png").resize((450, 300)).save(path / "coffee-small.png")
    return path


def test_every_edit_makes_a_file() -> None:
    rng = np.random.default_rng(1)
    coffee, chelsea = (np.asarray(getattr(data, name)()) for name in ("coffee", "chelsea"))
    for name, (_, edit) in EVERY_EDIT.items():
        file, strength = upload(edit, Scene(coffee, rng, lambda: chelsea))
        assert file.startswith(b"\xff\xd8"), name
        assert np.isfinite(strength), name


def test_an_edit_has_a_row_at_every_effort_and_a_peer(bench: Bench, folder: Path) -> None:
    edits = ("--edit", "jpeg", "--edit", "mirror", "--edit", "crop_centre")
    words = ("--half", "all", "--trials", "1", "--processes", "1", "--unrelated", "0")
    code, report = bench(recall.main, "--folder", folder, "--photographs", "2", *edits, *words)
    assert code == 0
    assert report["parameters"]["photographs"] == 2
    found = {(row["edit"], row["effort"]): row["recall"] for row in report["groups"]}
    assert found["photometric", "FAST"] == found["turned", "STANDARD"] == 1
    assert found["turned", "FAST"] == 0
    for row in report["groups"] + report.get("edits", []):
        assert 0 <= row["low"] <= row["recall"] <= row["high"] <= 1
    fast, standard, _ = report["lookups"]
    assert fast["most_hashes"] <= 2 < standard["mean_hashes"]


def test_copies_match_as_wholes_and_people_before_one_background_in_part(
    bench: Bench, folder: Path
) -> None:
    sizes = ("--photographs", "2", "--people", "3", "--generated", "1")
    code, report = bench(extents.main, "--folder", folder, *sizes)
    assert code == 0
    rows = {row["lookups"]: row for row in report["rows"]}
    for name, least in (("whole", 0.99), ("framed", 0.99), ("cropped", 0.8)):
        assert rows[name]["matched"], name
        assert rows[name]["share"] >= least, name
    assert rows["people, one background"]["share"] <= 0.11
    for percent in (30, 50, 70):
        assert rows[f"people, one background, {percent} % covered"]["whole"] == 0


def test_pictures_of_a_kind_differ_and_are_the_same_every_time() -> None:
    photographs = [np.asarray(getattr(data, name)()) for name in ("coffee", "chelsea", "rocket")]
    for kind in KINDS:
        shown = drawn(kind, 0, photographs)
        assert np.array_equal(shown, drawn(kind, 0, photographs)), kind
        assert not np.array_equal(shown, drawn(kind, 1, photographs)), kind


def test_what_matches_tells_whether_both_parts_show_the_same(bench: Bench, folder: Path) -> None:
    kinds = ("--kind", "memes of one template", "--kind", "maps")
    sizes = ("--registered", "1", "--lookups", "2")
    code, report = bench(alike.main, "--folder", folder, *kinds, *sizes)
    assert code == 0
    memes, maps = report["rows"]
    assert (memes["matched"], memes["detail_differs"]) == (2, 0)
    assert memes["whole"] + memes["part"] == 2
    assert maps["matched"] == 0


def test_what_a_sample_in_common_use_explains_is_counted(bench: Bench, folder: Path) -> None:
    sizes = ("--registered", "1", "--lookups", "2", "--copies", "2")
    kind = ("--kind", "placeholders of one site")
    rows = {}
    for samples in ("0", "1"):
        code, report = bench(common.main, "--folder", folder, *kind, *sizes, "--samples", samples)
        assert code == 0
        (row,) = report["rows"]
        assert (row["lookups"], row["matched"], row["copies"]) == (2, 2, 2)
        rows[samples] = row
    assert rows["0"]["unmarked"] == 2
    assert rows["1"]["unmarked"] < 2
    for row in rows.values():
        assert row["copies_unmarked"] == row["copies_found"] > 0


def test_an_interval_is_wider_where_trials_of_a_photograph_hang_together() -> None:
    apart = [(str(at), at % 2 == 0) for at in range(40)]
    together = [(str(at // 10), at // 10 % 2 == 0) for at in range(40)]
    assert interval(apart)[1] == interval(together)[1] == 0.5
    assert interval(together)[2] - interval(together)[0] > interval(apart)[2] - interval(apart)[0]
    low, share, high = interval([(str(at // 10), True) for at in range(40)])
    assert (share, high) == (1, 1)
    assert low < 0.6  # the interval of four photographs is wide


@pytest.mark.parametrize("sabotage", [None, "both_sides"])
def test_unrelated_lookups_find_nothing_unless_what_is_looked_up_is_stored(
    bench: Bench, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sabotage: str
) -> None:
    monkeypatch.setattr(sources, "_GENERATED", 6)
    show = tmp_path / "found"
    words = ["--folder", folder, "--lookups", "12", "--stored", "1000", "--show", show]
    code, report = bench(unrelated.main, *words, *(["--sabotage", sabotage] if sabotage else []))
    assert code == (1 if sabotage else 0)
    *_, result = report["false_matches"]
    assert result["hashes"] > result["lookups"] >= result["sources"] > 0
    assert sum(of["hashes"] for of in report["versions"]) == result["hashes"]
    (crops,) = (row for row in report["pairs"] if row["within"] == "crop")
    assert crops["all"] > crops["90"]
    assert (result["found"] > 0) == (result["found_hashes"] > 0) == (sabotage is not None)
    assert len(list(show.glob("*.png"))) == len(report["examples"])


def test_every_figure_of_videos_is_there(bench: Bench) -> None:
    few = ("--sources", "1", "--trials", "1", "--seconds", "4", "--size", "480p")
    edits = ("--edit", "letterboxed", "--edit", "inside a compilation of 10 others")
    code, report = bench(video.main, *few, *edits, "--stored", "3000")
    assert code == 0
    assert [row["codec"] for row in report["cost"]] == ["h264", "hevc"]
    matches = {(row["minutes"], row["found"]): row["matches"] for row in report["lookup"]}
    assert matches[60, True] > matches[60, False] == 0
    assert [row["edit"] for row in report["recall"]] == list(edits[1::2])
    assert report["segments"][0].keys() >= {"median_error_s", "p95_error_s"}
    (row,) = report["false_matches"]
    assert row["found"] == 0
    assert row["bound"] == 3 / row["sources"]
