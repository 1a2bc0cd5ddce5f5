from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness import hash_sets
from benchmarks.harness.brute_force import brute_force
from benchmarks.speed.search_engines import SETTINGS

FIELDS = {"engine", "size", "distribution", "lookups_per_s", "p50_us", "p99_us", "recall"}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep sets of hashes in a directory of these tests alone."""
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(path))
        patch.setattr("tempfile.tempdir", None)
        yield path


@pytest.fixture(scope="module")
def done(cache: Path) -> subprocess.CompletedProcess[str]:
    """Run the benchmark at tiny size."""
    words = ["--size", "3000", "--queries", "300", "--json", str(cache / "out.json")]
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.search", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_every_engine_is_measured_on_both_distributions_and_found_exact(
    cache: Path, done: subprocess.CompletedProcess[str]
) -> None:
    assert done.returncode == 0, done.stderr
    rows = json.loads((cache / "out.json").read_text())["rows"]
    assert [(row["distribution"], row["engine"]) for row in rows] == [
        (distribution, engine) for distribution in ("uniform", "real") for engine in SETTINGS
    ]
    for row in rows:
        assert row.keys() >= {*FIELDS, "build_s", "build_cpu_s", "pss_mb"}
        assert (row["size"], row["recall"], row["wrong"]) == (3000, 1, 0)
        assert row["queries"] == 300
        assert row["p50_us"] <= row["p99_us"]
        assert row["engine"] in done.stdout
    assert {row["engine_chosen"] for row in rows if row["engine"] == "disrupt"} == {"multi_index"}


def test_brute_force_finds_what_comparing_bits_finds() -> None:
    codes = np.load(hash_sets.stored("uniform", 5000))
    asked = hash_sets.queries("uniform", codes, 40)
    asked[7] = ~codes[4999]
    distances = (np.unpackbits(asked[:, None] ^ codes[None], axis=2)).sum(axis=2)
    for most in (0, 31, 110, 256):
        assert brute_force(codes, asked, most) == [
            [(entry, int(row[entry])) for entry in np.flatnonzero(row <= most).tolist()]
            for row in distances
        ]


def test_real_hashes_are_photographs_and_blends_of_them_with_half_their_bits_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hash_sets, "MAX_REGIONS", 200)
    codes = np.concatenate(list(hash_sets.real(500, seed=1)))
    assert codes.shape == (500, 32)
    assert np.all(np.bitwise_count(codes).sum(axis=1) == 128)
    assert len(np.unique(codes, axis=0)) == 500


def test_every_tenth_query_is_planted_at_the_distance_of_its_turn() -> None:
    codes = np.load(hash_sets.stored("uniform", 2000))
    asked = hash_sets.queries("uniform", codes, 400)
    nearest = np.bitwise_count(asked[:, None] ^ codes[None]).sum(axis=-1).min(axis=1)
    assert nearest[::10].tolist() == [hash_sets.planted_bits(turn) for turn in range(40)]
    assert sorted(map(hash_sets.planted_bits, range(32))) == list(range(32))
    assert nearest.reshape(40, 10)[:, 1:].min() > 31
