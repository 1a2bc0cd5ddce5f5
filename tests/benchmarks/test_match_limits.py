from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from benchmarks.recall.drawn_shapes import SHAPES
from benchmarks.recall.match_limits import Lookup, gathered, judged
from disrupt.distinctiveness.shapes import shapes
from tests.benchmarks.bench import bench


@pytest.mark.usefixtures("short_tmp")
def test_hits_are_counted_with_the_rule_and_without(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for name in ("astronaut", "coffee"):
        Image.fromarray(getattr(data, name)()).resize((320, 320)).save(photographs / f"{name}.png")
    hits = tmp_path / "hits.npz"
    sizes = ["--lookups", "20", "--stored", "3000", "--drawn", "12", "--edit", "jpeg"]
    files = ["--folder", photographs, "--half", "all", "--hits", hits]
    # The second judges hits that the first has kept.
    both = [bench("match_limits", tmp_path / name, *sizes, *files) for name in ("first", "second")]
    assert [done.code for done in both] == [0, 0]
    first, second = (done.report["rule"] for done in both)
    assert first.pop("us_per_hash") > 0
    assert second.pop("us_per_hash") > 0
    assert first == second
    assert first["drawn"].keys() == SHAPES.keys()
    copies = first["copy"]["photometric, STANDARD"]
    assert copies == {"lookups": 2, "without_rule": 2, "by_rule": 2, "wider": 2}


def test_two_hashes_of_one_shape_are_hits_without_the_rule_alone() -> None:
    shape = shapes()[0]
    query, stored = shape.copy(), shape.copy()
    query[0] ^= 0xFF
    stored[1] ^= 0xFF
    hit = (query.tobytes(), stored.tobytes(), 16)
    rule = judged(gathered(iter([Lookup("drawn", "disc", [hit])])))
    assert rule["drawn"]["disc"] == {"lookups": 1, "without_rule": 1, "by_rule": 0, "wider": 0}
