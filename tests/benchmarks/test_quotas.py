"""The benches of quotas, and of hashes that are far apart, at tiny size."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from skimage.data import data_dir

from benchmarks.recall.hashes_apart import apart
from tests.benchmarks.bench import bench

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("short_tmp")
def test_a_quota_keeps_the_greedy_from_most_of_what_it_had(tmp_path: Path) -> None:
    sizes = ["--bursts", "2", "--seconds", "1.5", "--size", "2000", "--quota", "20"]
    with_quota, without = bench("quotas", tmp_path / "report", *sizes).report["rows"]
    assert [with_quota["quota_hashes_per_s"], without["quota_hashes_per_s"]] == [20.0, None]
    assert with_quota["greedy"] < without["greedy"] / 2
    assert min(row["others_alone"] for row in (with_quota, without)) > 0


def test_some_hashes_of_a_picture_are_far_apart_and_never_all() -> None:
    counts = apart((Path(data_dir) / "astronaut.png").read_bytes(), random.Random(1))
    assert counts is not None
    far, hashes = counts
    assert 1 < far < hashes <= 300
