"""Narrowing is measured at its worst; decoys are near what they are made for, and look innocent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from benchmarks.recall import narrowing
from benchmarks.recall.decoys import decoy, mean_change
from benchmarks.recall.narrowing import silent_versions
from benchmarks.recall.narrowing_trials import nearest_bits
from benchmarks.recall.originals import encoded
from disrupt.core.hashes import MAX_DISTANCE_BITS, PdqHash, distances_bits, stack
from disrupt.core.lookups import Effort
from disrupt.distinctiveness.limits import limits_bits
from disrupt.distinctiveness.shapes import shapes
from disrupt.hashing import ImageFingerprints, ImageQuery, fingerprint_image, hash_image
from tests.benchmarks.conftest import Bench

NAMES = ("astronaut", "coffee", "chelsea")


def registered(name: str) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    outcome = fingerprint_image(encoded(getattr(data, name)()))
    assert isinstance(outcome, ImageFingerprints)
    return stack(of.hash for of in outcome.fingerprints)


def looked_up(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> list[PdqHash]:
    query = hash_image(encoded(pixels), effort=Effort.FAST)
    assert isinstance(query, ImageQuery)
    return [code for code, _ in query.hashes]


@pytest.mark.parametrize("innocent", NAMES[1:])
def test_a_decoy_is_as_near_as_wanted_and_changes_less_the_farther_it_may_be(innocent: str) -> None:
    pixels = getattr(data, innocent)()
    target = registered(NAMES[0])[0]
    assert distances_bits(stack(looked_up(pixels)), target).min() > 2 * MAX_DISTANCE_BITS
    changes = []
    for bits in (8, 12, 20, 28):
        changed = decoy(pixels, target, bits)
        assert distances_bits(stack(looked_up(changed)), target).min() <= bits
        changes.append(mean_change(pixels, changed))
    assert changes == sorted(changes, reverse=True)
    assert changes[0] < 20


def test_the_nearest_distances_are_those_of_queries_within_their_own_limits() -> None:
    rng = np.random.default_rng(1)
    codes = registered(NAMES[0])[:40].copy()
    flips = np.packbits(rng.random((60, 256)) < rng.uniform(0, 0.15, (60, 1)), axis=1)
    queries = codes[rng.integers(40, size=60)] ^ flips
    queries[0] = codes[0] = shapes()[0]  # degenerate: matches nothing
    limits = limits_bits(queries)
    assert limits[0] < 0
    nearest = nearest_bits(queries, codes)
    for at, code in enumerate(codes):
        matching = [
            bits
            for bits, limit in zip(distances_bits(queries, code).tolist(), limits, strict=True)
            if bits <= limit
        ]
        assert min(matching, default=None) == (
            nearest[at] if nearest[at] <= MAX_DISTANCE_BITS else None
        )


@given(st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_no_more_versions_fall_silent_than_may(seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    finds, may_be = rng.random((5, 12)) < 0.3, rng.random(12) < 0.7
    silent = silent_versions(finds, may_be, most)
    assert silent.sum() <= most
    assert not (silent & ~may_be).any()
    left = finds & ~silent
    assert silent.sum() == most or not left[:, may_be].any()


def test_the_versions_that_most_copies_depend_on_fall_silent() -> None:
    finds = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], np.bool_)
    may_be = np.array([1, 1, 1, 0], np.bool_)
    assert silent_versions(finds, may_be, 1).tolist() == [True, False, False, False]
    assert silent_versions(finds, may_be, 3).tolist() == [True, True, True, False]


def test_what_is_left_of_recall_at_a_floor_is_measured(bench: Bench, tmp_path: Path) -> None:
    for name in NAMES:
        Image.fromarray(getattr(data, name)()).save(tmp_path / f"{name}.png")
    edits = ("--edit", "jpeg", "--edit", "zoom", "--edit", "screenshot_feed_dark")
    kinds = ("--kind", "memes of one template", "--kind", "placeholders of one site")
    sizes = ("--registered", "1", "--lookups", "2", "--targets", "1", "--innocents", "1")
    words = ("--folder", tmp_path, "--half", "all", "--photographs", "2", "--processes", "1")
    code, report = bench(narrowing.main, *words, *edits, *kinds, *sizes)
    assert code == 0
    copies, others, narrowed = (
        {row["group"]: row for row in report[name]} for name in ("copies", "others", "narrowed")
    )
    assert copies["photometric"]["within_12"] == narrowed["photometric"]["own_tenth_silent"] == 1
    assert copies["large_crop"]["within_31"] < narrowed["large_crop"]["before"]
    for row in report["narrowed"]:
        shares = ("own_tenth_silent", "tenth_silent", "at_floor", "before")
        assert [row[name] for name in shares] == sorted(row[name] for name in shares)
    assert narrowed["all"]["copies"] == 12
    assert others["placeholders of one site"]["within_20"] == 2
    assert others["photographs"]["matches"] == 0
    nearer, *_, farther = report["decoys"]
    assert nearer["matches"] == 1
    assert nearer["median_change"] > farther["median_change"]
    assert report["floors"][0]["others_left"] <= report["floors"][-1]["others_left"] < 1
