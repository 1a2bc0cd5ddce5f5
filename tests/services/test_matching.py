"""Complete answers per media item agree with a plain model."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from disrupt.core.changes import Addition, Cursor
from disrupt.core.lookups import Extent, Matches, extent_of
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, StoredItem
from disrupt.core.policy import ADULTS, MINORS, Scope
from disrupt.core.transforms import IDENTITY, PLANS, Dihedral, Transform, areas_permille
from disrupt.errors import DeadlineExceededError, LimitExceededError
from disrupt.index.columns import NearestHits
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.index.snapshot import Snapshot
from disrupt.services.matching import (
    BLOCK_QUERIES,
    Allowance,
    Steps,
    complete,
    hash_steps,
    picture_steps,
    search_near,
)
from tests.distinctiveness.hashes import hash_of_limit

_HIT = st.tuples(
    st.integers(0, 3),  # query
    st.integers(0, 40),  # distance
    st.integers(1, 6),  # item number
    st.integers(0, 2),  # plan
    st.integers(0, 2),  # ordinal
)


_BANKS = (1, 2, 4)


def _bank(number: int) -> int:
    return _BANKS[number % 3]


_VERSIONS = np.random.default_rng(3).integers(0, 256, (4, 32), np.uint8)
"""Hashes far from each other."""


def _near(version: int, distance_bits: int) -> NDArray[np.uint8]:
    bits = np.unpackbits(_VERSIONS[version])
    bits[:distance_bits] ^= 1
    return np.packbits(bits)


@pytest.fixture(scope="module")
def empty() -> Iterator[Snapshot]:
    with TemporaryDirectory() as directory:
        yield publish(Path(directory), (), Cursor(bytes(16), 0))


def _picture_steps(
    live: LiveIndex, versions: NDArray[np.uint8], *arguments: Any, **options: Any
) -> Steps[Matches]:
    return picture_steps(live, versions, [IDENTITY] * len(versions), *arguments, **options)


@given(
    st.lists(_HIT, max_size=40) | st.lists(_HIT, min_size=20, max_size=40),
    st.dictionaries(st.sampled_from(_BANKS), st.integers(0, 40)) | st.just({1: 31, 2: 40, 4: 31}),
    st.integers(1, 4),
    st.booleans(),
)
@settings(max_examples=100)
def test_each_query_gets_its_nearest_items_and_that_of_each_bank_by_their_best_entry(
    empty: Snapshot,
    rows: list[tuple[int, int, int, int, int]],
    limits: dict[int, int],
    max_matches: int,
    one_picture: bool,
) -> None:
    stored = {number: [row for row in rows if row[2] == number] for _, _, number, _, _ in rows}
    additions = []
    for number in sorted(stored):
        fingerprints = np.zeros(len(stored[number]), FINGERPRINT)
        for at, (version, distance, _, plan, ordinal) in enumerate(stored[number]):
            fingerprints[at]["hash"] = _near(version, distance)
            fingerprints[at]["plan"] = plan
            fingerprints[at]["ordinal"] = ordinal
        additions.append(_addition(number, _bank(number), fingerprints))
    live = LiveIndex(empty)
    live.apply(additions, Cursor(bytes(16), 10))
    if one_picture:
        got = complete(
            _picture_steps(live, _VERSIONS, Scope(limits), max_matches, Allowance(math.inf))
        )
    else:
        got = complete(
            hash_steps(
                live,
                _VERSIONS,
                Scope(limits),
                max_matches,
                most_matches=10**6,
                allowance=Allowance(math.inf),
            )
        )

    best: dict[tuple[int, int], tuple[int, int, int]] = {}
    for number, of_item in stored.items():
        for at, (version, distance, *_) in enumerate(of_item):
            if distance > limits.get(_bank(number), -1):
                continue
            place = (0 if one_picture else version, number)
            entry = (distance, version, at)
            best[place] = min(best.get(place, entry), entry)

    def banks_of(ranked: list[Any]) -> set[int]:
        return {_bank(number) for _, number, _ in ranked}

    expected, truncated = [], []
    for query in range(4):
        of_query = sorted(
            (entry[0], number, entry) for (q, number), entry in best.items() if q == query
        )
        if len(of_query) > max_matches:
            truncated.append(query)
        kept = [
            (query, number, distance, version, *stored[number][at][3:])
            for place, (_, number, (distance, version, at)) in enumerate(of_query)
            if place < max_matches or _bank(number) not in banks_of(of_query[:place])
        ]
        expected += sorted(kept, key=lambda hit: (hit[2], _bank(hit[1]) != MINORS.number, hit[1]))
    answered = [
        (
            int(got.query[at]),
            int.from_bytes(got.item_ids[at].tobytes()),
            int(got.distance_bits[at]),
            int(got.version[at]),
            int(got.plan[at]),
            int(got.ordinal[at]),
        )
        for at in range(len(got))
    ]
    assert answered == expected
    assert got.truncated.tolist() == truncated


def _addition(
    number: int, bank: int, fingerprints: NDArray[np.void], kind: MediaKind = MediaKind.IMAGE
) -> Addition:
    item_id = number.to_bytes(16)
    stored = StoredItem.of(number, item_id, bank, kind, Assurance.SELF_REPORTED, fingerprints)
    return Addition(number, stored)


def _clustered(items: int) -> LiveIndex:
    """Return an index of items that all have the same hash."""
    fingerprints = np.zeros(1, FINGERPRINT)
    fingerprints["hash"] = _VERSIONS[0]
    additions = [_addition(number, ADULTS.number, fingerprints) for number in range(1, items + 1)]
    epoch = bytes(16)
    live = LiveIndex()
    with TemporaryDirectory() as directory:
        live.replace(LiveIndex(publish(Path(directory), (), Cursor(epoch, 0))))
    live.apply(additions, Cursor(epoch, items))
    return live


_CLUSTER_ITEMS = 8000
_CLUSTER_QUERIES = 64
"""Nearly all that are compared at once with a cluster of so many items."""


def _match(
    live: LiveIndex, queries: int, code: NDArray[np.uint8] = _VERSIONS[0], **limits: Any
) -> Matches:
    asked: dict[str, Any] = {"most_matches": 10**6, "allowance": Allowance(math.inf)} | limits
    hashes = np.tile(code, (queries, 1))
    return complete(hash_steps(live, hashes, Scope({ADULTS.number: 31}), 3, **asked))


def test_a_batch_is_answered_as_its_queries_one_by_one_are() -> None:
    matches = _match(_clustered(5), 2 * BLOCK_QUERIES + 1)
    queries = np.arange(2 * BLOCK_QUERIES + 1)
    assert matches.query.tolist() == np.repeat(queries, 3).tolist()
    assert matches.truncated.tolist() == queries.tolist()
    assert {item_id.tobytes() for item_id in matches.item_ids} == {
        n.to_bytes(16) for n in (1, 2, 3)
    }


def test_a_batch_near_a_cluster_takes_the_memory_of_a_block_of_its_queries() -> None:
    live = _clustered(_CLUSTER_ITEMS)

    def peak_bytes(queries: int) -> int:
        tracemalloc.start()
        try:
            _match(live, queries)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_bytes(6 * _CLUSTER_QUERIES) < 2 * peak_bytes(_CLUSTER_QUERIES)


def test_a_picture_near_a_cluster_takes_the_memory_of_a_block_of_its_versions() -> None:
    live = _clustered(_CLUSTER_ITEMS)
    scope = Scope({ADULTS.number: 31})

    def peak_bytes(blocks: int) -> int:
        versions = np.tile(_VERSIONS[0], (blocks * _CLUSTER_QUERIES, 1))
        tracemalloc.start()
        try:
            assert (
                len(complete(_picture_steps(live, versions, scope, 1000, Allowance(math.inf))))
                == 1000
            )
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_bytes(6) < 1.5 * peak_bytes(1)


def test_a_batch_ends_at_its_first_block_over_the_limit_and_at_its_time() -> None:
    live = _clustered(5)
    assert len(_match(live, 10, most_matches=30)) == 30
    with pytest.raises(LimitExceededError, match="more than 29 matches"):
        _match(live, 10, most_matches=29)
    with pytest.raises(DeadlineExceededError):
        _match(live, 10, allowance=Allowance(time.monotonic() - 1))


def test_a_search_ends_when_its_call_is_given_up() -> None:
    live, allowance = _clustered(5), Allowance(math.inf)
    search, blocks = live.search, []

    def search_and_give_up(*arguments: Any, **bounds: Any) -> NearestHits:
        blocks.append(len(arguments[0]))
        if len(blocks) == 2:
            allowance.end()
        return search(*arguments, **bounds)

    live.search = search_and_give_up  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceededError):
        _match(live, 10 * BLOCK_QUERIES, allowance=allowance)
    assert blocks == [BLOCK_QUERIES] * 2


def test_a_picture_of_many_versions_is_answered_as_each_of_them_is() -> None:
    live = _clustered(5)
    versions = np.tile(_VERSIONS[0], (2 * BLOCK_QUERIES + 1, 1))
    versions[:-1] ^= 255
    matches = complete(
        _picture_steps(live, versions, Scope({ADULTS.number: 31}), 3, Allowance(math.inf))
    )
    assert matches.query.tolist() == [0, 0, 0]
    assert set(matches.version.tolist()) == {2 * BLOCK_QUERIES}
    assert matches.truncated.tolist() == [0]


_ALIKE = hash_of_limit(12)


def _one_away(code: NDArray[np.uint8], distance_bits: int, number: int) -> Addition:
    bits = np.unpackbits(code)
    bits[:distance_bits] ^= 1
    fingerprints = np.zeros(1, FINGERPRINT)
    fingerprints["hash"] = np.packbits(bits)
    return _addition(number, ADULTS.number, fingerprints)


@pytest.mark.parametrize(
    ("code", "radius_bits", "distance_bits", "matches"),
    [
        (_VERSIONS[0], 31, 31, True),
        (_ALIKE, 31, 12, True),
        (_ALIKE, 31, 13, False),
        (_ALIKE, 10, 10, True),
        (_ALIKE, 10, 11, False),
        (_ALIKE, 32, 32, True),  # only an operator may ask for this distance
    ],
)
def test_a_hash_that_says_little_has_to_be_nearer(
    empty: Snapshot,
    code: NDArray[np.uint8],
    radius_bits: int,
    distance_bits: int,
    matches: bool,
) -> None:
    live = LiveIndex(empty)
    live.apply([_one_away(code, distance_bits, 1)], Cursor(bytes(16), 1))
    asked = np.stack([~_VERSIONS[1], code])
    scope = Scope({ADULTS.number: radius_bits})
    answer = complete(
        hash_steps(live, asked, scope, 3, most_matches=10, allowance=Allowance(math.inf))
    )
    assert answer.query.tolist() == [1] * matches
    assert len(complete(_picture_steps(live, asked, scope, 3, Allowance(math.inf)))) == matches


_LITTLE = np.stack([_VERSIONS[0], _ALIKE, _VERSIONS[1], ~_ALIKE])
"""Queries, of which the second and the fourth match within 12 bits only."""

_STORED = st.tuples(
    st.integers(0, 3),  # index of the query that it is near
    st.sampled_from([0, 11, 12, 13, 20, 31, 32]) | st.integers(0, 40),  # distance
    st.sampled_from(_BANKS),  # bank
    st.sampled_from(MediaKind),
)


@given(
    st.lists(_STORED, max_size=40) | st.lists(_STORED, min_size=20, max_size=40),
    st.dictionaries(st.sampled_from(_BANKS), st.integers(0, 40)) | st.just({1: 31, 2: 28, 4: 31}),
    st.integers(1, 6),
    st.sampled_from([None, *MediaKind]),
)
@settings(max_examples=200)
def test_what_is_too_far_hides_nothing_that_is_near_enough(
    empty: Snapshot,
    stored: list[tuple[int, int, int, MediaKind]],
    limits: dict[int, int],
    most_items: int,
    spared: MediaKind | None,
) -> None:
    live = LiveIndex(empty)
    additions = []
    for number, (query, distance, bank, kind) in enumerate(stored, 1):
        near = _one_away(_LITTLE[query], distance, number).item
        additions.append(_addition(number, bank, near.fingerprints, kind))
    live.apply(additions, Cursor(bytes(16), len(stored)))
    got = search_near(live, _LITTLE, Scope(limits), most_items, spared)

    hits, more, perhaps_more = [], set(), set()
    for query in range(4):
        most_bits = 40 if max(limits.values(), default=0) > 31 else (31, 12)[query % 2]
        within = sorted(
            (distance, number, bank, kind)
            for number, (near, distance, bank, kind) in enumerate(stored, 1)
            if near == query and distance <= limits.get(bank, -1)
        )
        kept = [hit for hit in within if hit[0] <= most_bits or hit[3] == spared]
        for place, (distance, number, bank, _) in enumerate(kept):
            if place < most_items or bank not in {hit[2] for hit in kept[:place]}:
                hits.append((query, distance, number))
        if len(kept) > most_items:
            more.add(query)
        if len(within) > most_items:
            perhaps_more.add(query)
    columns = (got.hits.query, got.hits.distance, got.hits.number)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == hits
    assert more <= set(got.truncated.tolist()) <= perhaps_more


_QUADRANT = Transform(crop_right_permille=500, crop_bottom_permille=500)
_STORED_PART = min(range(len(PLANS[1])), key=lambda ordinal: PLANS[1][ordinal].area_permille)


def _stored(number: int, *hits: tuple[int, int, int, int]) -> Addition:
    """Return an item that has hashes so near to a version of the query, of these places."""
    fingerprints = np.zeros(len(hits), FINGERPRINT)
    for row, (version, distance, plan, ordinal) in zip(fingerprints, hits, strict=True):
        row["hash"], row["plan"], row["ordinal"] = _near(version, distance), plan, ordinal
    return _addition(number, ADULTS.number, fingerprints)


@pytest.mark.parametrize("between", [0, 2 * BLOCK_QUERIES])
def test_areas_are_those_of_the_pair_that_shows_most_of_either_side(
    empty: Snapshot, between: int
) -> None:
    part_permille = PLANS[1][_STORED_PART].area_permille
    live = LiveIndex(empty)
    whole_and_part = _stored(1, (0, 20, 0, 0), (1, 3, 1, _STORED_PART))
    same_wall = _stored(2, (1, 4, 1, _STORED_PART))
    unknown_plan = _stored(3, (1, 5, 9, 0))
    live.apply([whole_and_part, same_wall, unknown_plan], Cursor(bytes(16), 3))
    versions = np.concatenate([_VERSIONS[:1], np.tile(~_VERSIONS[2], (between, 1)), _VERSIONS[1:2]])
    transforms = [IDENTITY] * (1 + between) + [_QUADRANT]
    scope = Scope({ADULTS.number: 31})

    def looked_up(**options: bool) -> Matches:
        steps = picture_steps(live, versions, transforms, scope, 3, Allowance(math.inf), **options)
        return complete(steps)

    matches = looked_up()
    assert matches.distance_bits.tolist() == [3, 4, 5]  # those of the nearest pairs
    assert matches.query_area_permille.tolist() == [1000, 250, 250]
    assert matches.stored_area_permille.tolist() == [1000, part_permille, 0]
    assert [
        extent_of(*areas)
        for areas in zip(
            matches.query_area_permille.tolist(),
            matches.stored_area_permille.tolist(),
            strict=True,
        )
    ] == [Extent.WHOLE, Extent.PART, Extent.UNKNOWN]
    whole = looked_up(whole_only=True)
    assert [item_id[-1] for item_id in whole.item_ids] == [1]


@pytest.mark.parametrize(
    ("frames", "regions", "permille"), [(1, 4, 1000), (1, 2, 500), (2, 4, 250), (0, 4, 250)]
)
def test_regions_that_cover_a_picture_together_tell_of_the_whole(
    empty: Snapshot, frames: int, regions: int, permille: int
) -> None:
    live = LiveIndex(empty)
    live.apply([_stored(1, *((at, at, 1, at) for at in range(4)))], Cursor(bytes(16), 1))
    quadrants = [(0, 0, 500, 500), (500, 0, 0, 500), (0, 500, 500, 0), (500, 500, 0, 0)]
    transforms = [Transform(Dihedral.IDENTITY, *crop, anchored=True) for crop in quadrants]
    versions = np.concatenate([np.tile(~_VERSIONS[:1], (frames, 1)), _VERSIONS[:regions]])
    shown = [IDENTITY] * frames + transforms[:regions]
    scope = Scope({ADULTS.number: 31})
    steps = picture_steps(live, versions, shown, scope, 1, Allowance(math.inf))
    assert complete(steps).query_area_permille.tolist() == [permille]


def test_a_hash_is_answered_with_what_the_stored_version_shows(empty: Snapshot) -> None:
    live = LiveIndex(empty)
    live.apply([_stored(1, (0, 3, 1, _STORED_PART))], Cursor(bytes(16), 1))
    matches = _match(live, 1)
    assert matches.query_area_permille.tolist() == [0]
    assert matches.stored_area_permille.tolist() == [PLANS[1][_STORED_PART].area_permille]


def test_every_place_of_a_plan_has_the_area_of_its_transform() -> None:
    places = [
        (plan, ordinal, transform.area_permille)
        for plan, transforms in PLANS.items()
        for ordinal, transform in enumerate(transforms)
    ]
    plans, ordinals, areas = np.array([*places, (0, len(PLANS[0]), 0), (60_000, 0, 0)], np.uint16).T
    assert areas_permille(plans, ordinals).tolist() == areas.tolist()


def test_the_area_of_a_straightened_picture_is_that_within_its_corners() -> None:
    square = Transform(corners=(250, 250, 750, 250, 750, 750, 250, 750))
    assert square.area_permille == 250
    assert square._replace(crop_left_permille=500).area_permille == 125
