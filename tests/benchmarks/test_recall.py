from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from benchmarks.edits import EDITS
from benchmarks.recall import interval

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()).save(path / f"{name}.png")
    # the same picture at another size is not a fourth photograph
    Image.open(path / "coffee.png").resize((450, 300)).save(path / "coffee-small.png")
    return path


def bench(folder: Path, report: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    files = ["--folder", str(folder), "--json", str(report)]
    words = ["--half", "all", "--trials", "1", "--processes", "1", "--unrelated", "0"]
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.recall", *words, *files, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={"TMPDIR": str(folder.parent), "OPENBLAS_NUM_THREADS": "1"},
    )


def recalls(report: Path, effort: str = "STANDARD") -> dict[str, float]:
    rows = json.loads(report.read_text())["rows"]
    return {row["edit"]: row["recall"] for row in rows if row["effort"] == effort}


def test_every_edit_has_a_row_at_every_effort_and_a_peer(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "out.json"
    done = bench(folder, report)
    assert done.returncode == 0, done.stderr
    made = json.loads(report.read_text())
    assert made["settings"]["photographs"] == ["astronaut.png", "chelsea.png", "coffee.png"]
    for effort in ("FAST", "STANDARD", "THOROUGH"):
        assert recalls(report, effort).keys() >= EDITS.keys()
    for row in made["rows"]:
        assert 0 <= row["low"] <= row["recall"] <= row["high"] <= 1
        assert 0 <= row["threatexchange"] <= 1
    assert recalls(report)["photometric"] == 1


def test_an_interval_is_wider_where_trials_of_a_photograph_hang_together() -> None:
    apart = [(str(at), at % 2 == 0) for at in range(40)]
    together = [(str(at // 10), at // 10 % 2 == 0) for at in range(40)]
    assert interval(apart)[1] == interval(together)[1] == 0.5
    assert interval(together)[2] - interval(together)[0] > interval(apart)[2] - interval(apart)[0]
    low, share, high = interval([(str(at // 10), True) for at in range(40)])
    assert (share, high) == (1, 1)
    assert low < 0.6  # four photographs prove little
