from __future__ import annotations

import ast
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from benchmarks.harness.costly_pages import COSTLY_PAGES
from benchmarks.recall.edits import GROUPS, Scene, upload
from benchmarks.recall.harder_edits import EVERY_EDIT
from benchmarks.recall.recall import interval
from tests.benchmarks.bench import Done, bench, command

pytestmark = pytest.mark.usefixtures("short_tmp")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "coffee", "chelsea"):
        photograph = Image.fromarray(getattr(data, name)())
        photograph.thumbnail((256, 256))
        photograph.save(path / f"{name}.png")
    # The same picture at another size does not count as a fourth photograph.
    Image.open(path / "coffee.png").resize((180, 120)).save(path / "coffee-small.png")
    return path


def recall(folder: Path, report: Path, *arguments: object, processes: int = 1) -> Done:
    words = ["--half", "all", "--trials", "1", "--unrelated", "0", "--processes", processes]
    return bench("recall", report, *words, "--folder", folder, *arguments)


def recalls(done: Done, effort: str = "STANDARD") -> dict[str, float]:
    rows = done.report["rows"]
    return {row["edit"]: row["recall"] for row in rows if row["effort"] == effort}


def test_every_edit_makes_a_picture_of_its_own(folder: Path) -> None:
    pixels, background = (
        np.asarray(Image.open(folder / f"{name}.png")) for name in ("chelsea", "coffee")
    )
    files = set()
    for name, (_, edit) in EVERY_EDIT.items():
        scene = Scene(pixels, np.random.default_rng(1), lambda: background)
        file, strength = upload(edit, scene)
        assert math.isfinite(strength), name
        with Image.open(BytesIO(file)) as picture:
            assert min(picture.size) > 100, name
        files.add(file)
    assert len(files) == len(EVERY_EDIT)


def test_every_group_of_edits_has_a_row_at_every_effort_and_a_peer(
    folder: Path, tmp_path: Path
) -> None:
    report = tmp_path / "out.json"
    edits = ["gamma", *(next(iter(edits)) for edits in GROUPS.values()), "two_edits"]
    done = recall(folder, report, "--photographs", "1", *(f"--edit={edit}" for edit in edits))
    assert done.code == 0, done.output
    result = done.report
    assert result["settings"]["photographs"] == ["astronaut.png"]
    for effort in ("FAST", "STANDARD", "THOROUGH"):
        assert recalls(done, effort).keys() == {*GROUPS, "two_edits", "jpeg", "gamma"}
    for row in result["rows"]:
        assert 0 <= row["low"] <= row["recall"] <= row["high"] <= 1
        assert 0 <= row["threatexchange"] <= 1
    assert recalls(done)["photometric"] == 1
    assert (
        result["cost"]["lookups"]["FAST"]["most"]
        <= 2
        < result["cost"]["lookups"]["STANDARD"]["mean"]
    )
    plot = tmp_path / "recall.svg"
    plotted = CliRunner().invoke(command("recall_plot"), [str(report), "--plot", str(plot)])
    assert plotted.exit_code == 0, plotted.output
    assert all(f"| {edit} |" in plotted.stdout.replace("**", "") for edit in recalls(done))
    assert plot.stat().st_size > 1000


def test_an_interval_is_wider_where_trials_of_a_photograph_hang_together() -> None:
    apart = [(str(at), at % 2 == 0) for at in range(40)]
    together = [(str(at // 10), at // 10 % 2 == 0) for at in range(40)]
    assert interval(apart)[1] == interval(together)[1] == 0.5
    assert interval(together)[2] - interval(together)[0] > interval(apart)[2] - interval(apart)[0]
    low, share, high = interval([(str(at // 10), True) for at in range(40)])
    assert (share, high) == (1, 1)
    assert low < 0.6  # the interval of four photographs is wide


@pytest.mark.parametrize(
    ("sabotage", "edit", "processes"),
    [("no_turns", "mirror", 1), ("no_variants", "crop_centre", 2)],
)
def test_what_is_left_out_lowers_the_rows_that_need_it_and_no_others(
    folder: Path, tmp_path: Path, sabotage: str, edit: str, processes: int
) -> None:
    words = [f"--edit={edit}", "--edit=jpeg", "--sabotage", sabotage]
    done = recall(folder, tmp_path / "out.json", *words, processes=processes)
    assert done.code == 0, done.output
    groups = recalls(done)
    assert groups.pop("photometric") == 1
    assert max(groups.values()) < 0.7


@pytest.mark.parametrize("sabotage", [None, "both_sides"])
def test_unrelated_lookups_find_nothing_unless_what_is_looked_up_is_stored(
    folder: Path, tmp_path: Path, sabotage: str | None
) -> None:
    show = tmp_path / "found"
    words = ["--folder", folder, "--lookups", "20", "--stored", "3000", "--show", show]
    words += ["--sabotage", sabotage] if sabotage else []
    done = bench("unrelated", tmp_path / "out.json", *words)
    assert done.code == (1 if sabotage else 0), done.output
    result = done.report["false_matches"]
    assert result["hashes"] > result["lookups"] >= result["sources"] > 0
    assert result["stored"]["hashes"] >= 1000
    assert sum(result["nearest_distances"].values()) > 0
    assert result["pairs"]["crop"]["all"] > result["pairs"]["crop"]["90"]
    assert (result["found"] > 0) == (result["found_hashes"] > 0) == (sabotage is not None)
    assert len(list(show.glob("*.png"))) == len(result["examples"])
    if sabotage is None:
        assert 0 < result["upper_95_hashes"] < result["upper_95"] <= result["upper_95_sources"] < 1
    else:
        assert result["upper_95_sources"] > result["found_sources"] / result["sources"]


def test_a_report_is_written_while_unrelated_lookups_go_on(folder: Path, tmp_path: Path) -> None:
    few = ["--edit=crop_sides", "--unrelated", "20", "--stored", "3000", "--minutes", "0"]
    done = recall(folder, tmp_path / "out.json", *few)
    assert done.code == 0, done.output
    result = done.report["false_matches"]
    assert 0 < result["lookups"] < 10


def test_a_plan_is_chosen_and_finds_photographs_that_it_was_not_chosen_on(
    folder: Path, tmp_path: Path
) -> None:
    plan, curve = tmp_path / "plan.py", tmp_path / "curve.json"
    words = ["--folder", folder, "--draws", "0.05", "--stored", "10", "--photographs", "2"]
    done = bench("variant_plan", curve, *words, "--write", plan)
    assert done.code == 0, done.output
    (_, table) = ast.parse(plan.read_text()).body[:2]
    assert isinstance(table, ast.AnnAssign)
    assert table.value is not None
    assert len(set(ast.literal_eval(table.value))) == 10
    points = done.report["points"]
    fewest, most = points[0], points[-1]
    assert (fewest["stored"], most["stored"]) == (10, 101)
    assert fewest["lookups"] < most["lookups"]
    assert fewest["weighed"] <= most["weighed"]
    plot = tmp_path / "curve.svg"
    plotted = CliRunner().invoke(command("variant_plot"), [str(curve), "--plot", str(plot)])
    assert plotted.exit_code == 0, plotted.output
    lookups = {f"{point['lookups']} crops x 8" for point in points}
    assert all(f"<!-- {label} -->" in plot.read_text("utf-8") for label in lookups)


def test_a_lookup_is_timed_of_every_kind_of_picture(folder: Path, tmp_path: Path) -> None:
    few = ["--photographs", "2", "--stored", "2000", "--repeat", "1"]
    done = bench("lookup_cost", tmp_path / "cost.json", "--folder", folder, *few)
    assert done.code == 0, done.output
    rows = done.report["rows"]
    assert [row["picture"] for row in rows] == [
        *("without a border", "in a frame", "screenshot", "collage of 4", "story")
    ]
    for row in rows:
        parts = row["find_regions_ms"] + row["hash_ms"] + row["search_ms"]
        assert row["in_all_ms"] == pytest.approx(parts)
        assert 0 < row["in_all_ms"] <= row["most_ms"] + 1e-9
        assert 8 < row["hashes"] <= 2200
    costly = done.report["costly"]
    assert {row["page"] for row in costly} == {*COSTLY_PAGES}
    for row in costly:
        assert row["standard_hashes"] <= row["thorough_hashes"] <= 3016
        assert row["registered_hashes"] <= 300
