from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image
from skimage import data

from benchmarks.recall.drawn_shapes import SHAPES

ROOT = Path(__file__).parents[2]


def test_hits_are_counted_with_the_rule_and_without(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for name in ("astronaut", "coffee"):
        Image.fromarray(getattr(data, name)()).resize((320, 320)).save(photographs / f"{name}.png")
    hits, reports = tmp_path / "hits.npz", [tmp_path / "first.json", tmp_path / "second.json"]
    sizes = ["--lookups", "20", "--stored", "3000", "--drawn", "60", "--edit", "jpeg"]
    for report in reports:  # the second judges hits that the first has kept
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.recall.match_limits", *sizes),
                *("--folder", photographs, "--half", "all", "--hits", hits, "--json", report),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={"TMPDIR": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
    first, second = (json.loads(report.read_text())["rule"] for report in reports)
    assert first.pop("us_per_hash") > 0
    assert second.pop("us_per_hash") > 0
    assert first == second
    assert first["drawn"].keys() == SHAPES.keys()
    copies = first["copy"]["photometric, STANDARD"]
    assert copies == {"lookups": 2, "without_rule": 2, "by_rule": 2, "wider": 2}
    drawn = [sum(row[count] for row in first["drawn"].values()) for count in copies]
    assert drawn[0] > drawn[1] > drawn[2]
