"""Complete answers per media item, held to a plain model."""

from __future__ import annotations

import math
import time
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.core.changes import Addition, Cursor
from disrupt.core.lookups import Matches
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, StoredItem
from disrupt.core.policy import ADULTS, Scope
from disrupt.errors import DeadlineExceededError, LimitExceededError
from disrupt.index.columns import Hits
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.services.matching import BLOCK_QUERIES, match_hashes, nearest_items

_HIT = st.tuples(
    st.integers(0, 3),  # query
    st.integers(0, 40),  # distance
    st.integers(1, 6),  # item number
    st.integers(0, 2),  # plan
    st.integers(0, 2),  # ordinal
)


def _bank(number: int) -> int:
    return 1 + number % 3


def _hits(rows: list[tuple[int, int, int, int, int]]) -> Hits:
    rows = sorted(rows, key=lambda row: row[:3])
    columns = np.array(rows, np.int64).reshape(-1, 5).T
    number = columns[2].astype(np.uint64)
    item_id = np.zeros((len(rows), 16), np.uint8)
    item_id[:, 0] = number
    zeros = np.zeros(len(rows), np.uint32)
    return Hits(
        query=columns[0].astype(np.uint32),
        distance=columns[1].astype(np.uint16),
        number=number,
        item_id=item_id,
        bank=np.array([_bank(row[2]) for row in rows], np.uint16),
        kind=np.ones(len(rows), np.uint8),
        assurance=np.ones(len(rows), np.uint8),
        profile=np.ones(len(rows), np.uint8),
        plan=columns[3].astype(np.uint16),
        ordinal=columns[4].astype(np.uint16),
        start_ms=zeros,
        end_ms=zeros,
    )


@given(
    st.lists(_HIT, max_size=40),
    st.dictionaries(st.integers(1, 3), st.integers(0, 40)),
    st.integers(1, 4),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_each_query_gets_its_nearest_items_each_once_by_its_best_entry(
    rows: list[tuple[int, int, int, int, int]],
    limits: dict[int, int],
    max_matches: int,
    one_picture: bool,  # noqa: FBT001 drawn
) -> None:
    hits = _hits(rows)
    query = np.zeros_like(hits.query) if one_picture else hits.query
    got = nearest_items(hits, Scope(limits), max_matches, query)

    best: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    for version, distance, number, plan, ordinal in rows:
        if distance > limits.get(_bank(number), -1):
            continue
        place = (0 if one_picture else version, number)
        entry = (distance, version, plan, ordinal)
        best[place] = min(best.get(place, entry), entry)
    expected, truncated = [], []
    for one in range(4):
        of_query = sorted(
            (entry[0], number, entry) for (q, number), entry in best.items() if q == one
        )
        if len(of_query) > max_matches:
            truncated.append(one)
        expected += [(one, number, entry) for _, number, entry in of_query[:max_matches]]
    found = [
        (
            int(got.query[at]),
            int(got.item_ids[at][0]),
            (
                int(got.distance_bits[at]),
                int(got.version[at]),
                int(got.plan[at]),
                int(got.ordinal[at]),
            ),
        )
        for at in range(len(got))
    ]
    assert found == expected
    assert got.truncated.tolist() == truncated


def _clustered(items: int) -> LiveIndex:
    """An index of items that all have the hash 0."""
    fingerprints = np.zeros(1, FINGERPRINT)
    additions = [
        Addition(
            number,
            StoredItem(
                number,
                number.to_bytes(16),
                ADULTS.number,
                MediaKind.IMAGE,
                Assurance.SELF_REPORTED,
                fingerprints,
            ),
        )
        for number in range(1, items + 1)
    ]
    epoch = bytes(16)
    live = LiveIndex()
    with TemporaryDirectory() as directory:
        live.replace(LiveIndex(publish(Path(directory), (), Cursor(epoch, 0))))
    live.apply(additions, Cursor(epoch, items))
    return live


def _match(live: LiveIndex, queries: int, **limits: Any) -> Matches:
    asked = {"most_matches": 10**6, "until_s": math.inf} | limits
    hashes = np.zeros((queries, 32), np.uint8)
    return match_hashes(live, hashes, Scope({ADULTS.number: 31}), 3, **asked)


def test_a_batch_is_answered_as_its_queries_one_by_one_are() -> None:
    found = _match(_clustered(5), 2 * BLOCK_QUERIES + 1)
    queries = np.arange(2 * BLOCK_QUERIES + 1)
    assert found.query.tolist() == np.repeat(queries, 3).tolist()
    assert found.truncated.tolist() == queries.tolist()
    assert {one.tobytes() for one in found.item_ids} == {n.to_bytes(16) for n in (1, 2, 3)}


def test_a_batch_near_a_cluster_takes_the_memory_of_a_block_of_its_queries() -> None:
    live = _clustered(2000)

    def peak_bytes(queries: int) -> int:
        tracemalloc.start()
        try:
            _match(live, queries)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_bytes(10 * BLOCK_QUERIES) < 2 * peak_bytes(BLOCK_QUERIES)


def test_a_batch_ends_at_its_first_block_over_the_limit_and_at_its_time() -> None:
    live = _clustered(5)
    assert len(_match(live, 10, most_matches=30)) == 30
    with pytest.raises(LimitExceededError, match="more than 29 matches"):
        _match(live, 10, most_matches=29)
    with pytest.raises(DeadlineExceededError):
        _match(live, 10, until_s=time.monotonic() - 1)
