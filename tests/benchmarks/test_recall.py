from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from benchmarks.recall.edits import EDITS
from benchmarks.recall.recall import interval

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()).save(path / f"{name}.png")
    # The same picture at another size does not count as a fourth photograph.
    Image.open(path / "coffee.png").resize((450, 300)).save(path / "coffee-small.png")
    return path


def program(folder: Path, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (path,) = (ROOT / "benchmarks").glob(f"*/{name}.py")
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{path.parent.name}.{name}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"TMPDIR": str(folder.parent), "OPENBLAS_NUM_THREADS": "1"},
    )


def bench(folder: Path, report: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    files = ["--folder", str(folder), "--json", str(report)]
    words = ["--half", "all", "--trials", "1", "--processes", "1", "--unrelated", "0"]
    return program(folder, "recall", *words, *files, *arguments)


def recalls(report: Path, effort: str = "STANDARD") -> dict[str, float]:
    rows = json.loads(report.read_text())["rows"]
    return {row["edit"]: row["recall"] for row in rows if row["effort"] == effort}


def test_every_edit_has_a_row_at_every_effort_and_a_peer(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    done = bench(folder, report, "--photographs", "2")
    assert done.returncode == 0, done.stderr
    result = json.loads(report.read_text())
    assert result["settings"]["photographs"] == ["astronaut.png", "chelsea.png"]
    for effort in ("FAST", "STANDARD", "THOROUGH"):
        assert recalls(report, effort).keys() >= EDITS.keys()
    for row in result["rows"]:
        assert 0 <= row["low"] <= row["recall"] <= row["high"] <= 1
        assert 0 <= row["threatexchange"] <= 1
    assert recalls(report)["photometric"] == 1
    assert (
        result["cost"]["lookups"]["FAST"]["most"]
        <= 2
        < result["cost"]["lookups"]["STANDARD"]["mean"]
    )


def test_an_interval_is_wider_where_trials_of_a_photograph_hang_together() -> None:
    apart = [(str(at), at % 2 == 0) for at in range(40)]
    together = [(str(at // 10), at // 10 % 2 == 0) for at in range(40)]
    assert interval(apart)[1] == interval(together)[1] == 0.5
    assert interval(together)[2] - interval(together)[0] > interval(apart)[2] - interval(apart)[0]
    low, share, high = interval([(str(at // 10), True) for at in range(40)])
    assert (share, high) == (1, 1)
    assert low < 0.6  # the interval of four photographs is wide


@pytest.mark.parametrize(
    ("sabotage", "edit"), [("no_turns", "mirror"), ("no_variants", "crop_centre")]
)
def test_what_is_left_out_lowers_the_rows_that_need_it_and_no_others(
    folder: Path, tmp_path: Path, sabotage: str, edit: str
) -> None:
    report = tmp_path / "out.json"
    words = [f"--edit={edit}", "--edit=jpeg", "--sabotage", sabotage]
    done = bench(folder, report, *words)
    assert done.returncode == 0, done.stderr
    groups = recalls(report)
    assert groups.pop("photometric") == 1
    assert max(groups.values()) < 0.7


@pytest.mark.parametrize("sabotage", [None, "both_sides"])
def test_unrelated_lookups_find_nothing_unless_what_is_looked_up_is_stored(
    folder: Path, tmp_path: Path, sabotage: str | None
) -> None:
    report, show = tmp_path / "out.json", tmp_path / "found"
    words = ["--folder", str(folder), "--lookups", "20", "--stored", "3000"]
    words += ["--json", str(report), "--show", str(show)]
    done = program(folder, "unrelated", *words, *(["--sabotage", sabotage] if sabotage else []))
    assert done.returncode == (1 if sabotage else 0), done.stderr
    result = json.loads(report.read_text())["false_matches"]
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
    report = tmp_path / "out.json"
    few = ["--edit=crop_sides", "--unrelated", "20", "--stored", "3000", "--minutes", "0"]
    done = bench(folder, report, *few)
    assert done.returncode == 0, done.stderr
    result = json.loads(report.read_text())["false_matches"]
    assert 0 < result["lookups"] < 10


def test_a_lookup_is_timed_of_every_kind_of_picture(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "cost.json"
    few = ["--photographs", "2", "--stored", "2000", "--repeat", "1"]
    done = program(folder, "lookup_cost", "--folder", str(folder), "--json", str(report), *few)
    assert done.returncode == 0, done.stderr
    rows = json.loads(report.read_text())["rows"]
    assert [row["picture"] for row in rows] == [
        *("without a border", "in a frame", "screenshot", "collage of 4", "story")
    ]
    for row in rows:
        parts = row["find_regions_ms"] + row["hash_ms"] + row["search_ms"]
        assert row["in_all_ms"] == pytest.approx(parts)
        assert 0 < row["in_all_ms"] <= row["most_ms"] + 1e-9
        assert 8 < row["hashes"] <= 2200
