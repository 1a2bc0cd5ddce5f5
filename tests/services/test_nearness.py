"""Which hits matching keeps: those within the limit of the hash that was looked up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import MediaKind
from disrupt.core.policy import Scope
from disrupt.distinctiveness.limits import limits_bits
from disrupt.distinctiveness.shape_distance import SHAPE_BITS
from disrupt.distinctiveness.shapes import shapes
from disrupt.index.columns import ENTRY, ITEM, NOTHING_NEAR, NearestHits, gather
from disrupt.services.nearness import near_enough

HITS = 40


@given(st.integers(0, 2**32 - 1), st.sampled_from([None, *MediaKind]))
def test_what_is_kept_is_within_the_limit_of_its_hash(seed: int, spared: MediaKind | None) -> None:
    rng = np.random.default_rng(seed)
    bits = np.unpackbits(shapes()[rng.integers(0, len(shapes()), 3)], axis=1)
    for row, flips in zip(bits, (SHAPE_BITS - 1, SHAPE_BITS + 20, 128), strict=True):
        row[rng.permutation(256)[:flips]] ^= 1
    queries = np.packbits(bits, axis=1)
    limits = limits_bits(queries)
    assert limits[0] < 0
    assert limits[1] <= 20
    query = np.sort(rng.integers(0, 3, HITS, np.uint32))
    entries, items = np.zeros(HITS, ENTRY), np.zeros(HITS, ITEM)
    items["number"], items["kind"] = np.arange(HITS), rng.integers(1, 3, HITS)
    distance = rng.integers(0, MAX_DISTANCE_BITS + 1, HITS, np.uint16)
    near = NearestHits(gather(query, distance, entries, items), np.arange(3, dtype=np.uint32))
    kept = near_enough(near, queries, Scope({0: MAX_DISTANCE_BITS}), spared, compiled=False)
    expected = [
        at
        for at in range(HITS)
        if distance[at] <= limits[query[at]] or (spared and items["kind"][at] == spared)
    ]
    assert kept.hits.number.tolist() == expected
    # Hits beyond the truncation are farther than those dropped as too far.
    dropped = {query[at] for at in range(HITS) if at not in expected}
    assert kept.truncated.tolist() == [at for at in range(3) if at not in dropped]


def test_nothing_is_dropped_where_more_than_31_bits_are_asked_for() -> None:
    hits = gather(
        np.zeros(1, np.uint32), np.full(1, 30, np.uint16), np.zeros(1, ENTRY), np.zeros(1, ITEM)
    )
    near = NearestHits(hits, np.zeros(0, np.uint32))
    shape = shapes()[:1]
    assert near_enough(near, shape, Scope({0: MAX_DISTANCE_BITS + 1}), compiled=False) is near
    assert not len(near_enough(near, shape, Scope({0: MAX_DISTANCE_BITS}), compiled=False).hits)
    for empty in (NOTHING_NEAR, replace(NOTHING_NEAR, left=1)):
        assert near_enough(empty, shape, Scope({0: MAX_DISTANCE_BITS}), compiled=True) is empty


def test_no_two_hashes_of_one_shape_match() -> None:
    rng = np.random.default_rng(1)
    bits = np.repeat(np.unpackbits(shapes()[rng.choice(len(shapes()), 30)], axis=1), 2, axis=0)
    for row in bits:
        row[rng.permutation(256)[: rng.integers(SHAPE_BITS)]] ^= 1
    hashes = np.packbits(bits, axis=1).reshape(30, 2, 32)
    distances = np.bitwise_count(hashes[:, 0] ^ hashes[:, 1]).sum(axis=-1, dtype=np.int64)
    for side in (0, 1):
        assert (distances > limits_bits(hashes[:, side])).all()
