"""Lookups near a crowd of near-duplicates pause often, and are answered as any other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from disrupt.core.changes import Addition, Cursor
from disrupt.core.lookups import Matches, VideoOptions
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, StoredItem
from disrupt.core.policy import ADULTS, MINORS, Scope
from disrupt.core.transforms import IDENTITY
from disrupt.index.columns import NearestHits, columns_of
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import UNLIMITED, Budget
from disrupt.index.snapshot import Snapshot
from disrupt.services.matching import (
    INLINE_QUERIES,
    Allowance,
    Steps,
    advance,
    hash_steps,
    picture_steps,
)
from disrupt.services.video_matching import VideoLookup
from tests.services.videos import frames

_ITEMS, _HASHES_EACH = 200, 1000
_QUERIES = 40
_MOST_MATCHES = 3
_OTHER = 3000
"""Number of the item in another bank."""
_EPOCH = bytes(16)

_Codes = NDArray[np.uint8]


def _around(middle: _Codes, count: int, bits: int, seed: int) -> _Codes:
    """Return hashes within so many bits of another."""
    chance = np.random.default_rng(seed)
    masks = np.zeros((count, 256), np.uint8)
    for _ in range(bits):
        masks[np.arange(count), chance.integers(0, 256, count)] = 1
    masked: _Codes = middle ^ np.packbits(masks, axis=1)
    return masked


_MIDDLE = np.random.default_rng(2).integers(0, 256, 32, np.uint8)
_STORED = _around(_MIDDLE, _ITEMS * _HASHES_EACH, 8, 3).reshape(_ITEMS, _HASHES_EACH, 32)
_ASKED = _around(_MIDDLE, _QUERIES, 4, 4)


def _item(number: int, codes: _Codes, bank: int) -> StoredItem:
    fingerprints = np.zeros(len(codes), FINGERPRINT)
    fingerprints["hash"] = codes
    item_id = number.to_bytes(16)
    return StoredItem.of(
        number, item_id, bank, MediaKind.IMAGE, Assurance.SELF_REPORTED, fingerprints
    )


class _Counted(LiveIndex):
    """Notes the budget of each search of it, and how many queries that answered."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        super().__init__(snapshot)
        self.answered: list[int] = []
        self.budgets: list[Budget] = []

    def search(self, queries: _Codes, *wanted: Any, **bounds: Any) -> NearestHits:
        near = super().search(queries, *wanted, **bounds)
        self.budgets.append(bounds.get("budget", UNLIMITED))
        self.answered.append(len(queries) - near.left)
        return near


@pytest.fixture(scope="module", params=["flat", "multi_index", "added"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> _Counted:
    """Return an index of a crowd and of an item in another bank, which is farther.

    The crowd is alone in a snapshot, or among as many others, or added to an empty snapshot.
    """
    items = [_item(number, codes, ADULTS.number) for number, codes in enumerate(_STORED, 1)]
    if request.param == "multi_index":
        unrelated = np.random.default_rng(7).integers(0, 256, (300, _HASHES_EACH, 32), np.uint8)
        items += [_item(1000 + at, codes, ADULTS.number) for at, codes in enumerate(unrelated)]
    directory, head = tmp_path_factory.mktemp("crowd"), Cursor(_EPOCH, 2000)
    if request.param == "added":
        live = _Counted(publish(directory, (), Cursor(_EPOCH, 0)))
        live.apply([Addition(item.number, item) for item in items], head)
    else:
        live = _Counted(publish(directory, [columns_of(items)], head))
        assert live.status().engine == request.param
    other = _item(_OTHER, _around(_MIDDLE, 1, 12, 5), MINORS.number)
    live.apply([Addition(_OTHER, other)], Cursor(_EPOCH, _OTHER))
    live.answered, live.budgets = [], []
    return live


def _steps(took: Steps[Matches], live: _Counted) -> tuple[Matches, list[list[int]]]:
    """Take all steps; return their value, and what each search of each step answered."""
    answered = []
    while True:
        live.answered = []
        matches = advance(took, 0.0)
        answered.append(live.answered)
        if matches is not None:
            return matches, answered


def _nearest(queries: _Codes) -> list[list[tuple[int, int]]]:
    """Compare all hashes; return (distance, number) of the answered items of each query."""
    other = _around(_MIDDLE, 1, 12, 5)
    answers = []
    for query in queries:
        bits = np.bitwise_count(_STORED ^ query).sum(axis=2, dtype=np.int64).min(axis=1)
        nearest = sorted(zip(bits.tolist(), range(1, _ITEMS + 1), strict=True))[:_MOST_MATCHES]
        answers.append([*nearest, (int(np.bitwise_count(other ^ query).sum()), _OTHER)])
    return answers


def test_a_step_near_a_crowd_takes_few_queries(crowd: _Counted) -> None:
    scope = Scope({ADULTS.number: 31, MINORS.number: 31})
    bounds: dict[str, Any] = {"most_matches": 10**6, "allowance": Allowance(math.inf)}
    matches, answered = _steps(hash_steps(crowd, _ASKED, scope, _MOST_MATCHES, **bounds), crowd)

    assert max(map(max, answered)) <= 20
    answers: list[list[tuple[int, int]]] = [[] for _ in _ASKED]
    for query, bits, item_id in zip(
        matches.query.tolist(), matches.distance_bits.tolist(), matches.item_ids, strict=True
    ):
        answers[query].append((bits, int.from_bytes(item_id.tobytes())))
    assert answers == _nearest(_ASKED)
    assert matches.truncated.tolist() == list(range(_QUERIES))


@pytest.mark.parametrize("queries", [1, INLINE_QUERIES, INLINE_QUERIES + 1])
def test_the_first_step_of_a_few_queries_is_short(crowd: _Counted, queries: int) -> None:
    crowd.budgets = []
    bounds: dict[str, Any] = {"most_matches": 10**6, "allowance": Allowance(math.inf)}
    scope = Scope({ADULTS.number: 31})
    advance(hash_steps(crowd, _ASKED[:queries], scope, _MOST_MATCHES, **bounds), 0.0)
    assert crowd.budgets[0].strict == (queries <= INLINE_QUERIES)


def test_a_picture_near_a_crowd_is_answered_by_the_best_of_its_versions(crowd: _Counted) -> None:
    scope = Scope({ADULTS.number: 31, MINORS.number: 31})
    steps = picture_steps(
        crowd, _ASKED, [IDENTITY] * _QUERIES, scope, _MOST_MATCHES, Allowance(math.inf)
    )
    matches, answered = _steps(steps, crowd)
    assert len(answered) > 1
    best: dict[int, int] = {}
    for query in _ASKED:
        for number, codes in enumerate(_STORED, 1):
            bits = int(np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64).min())
            best[number] = min(bits, best.get(number, 256))
    numbers = sorted(best, key=lambda number: (best[number], number))[:_MOST_MATCHES]
    answered_numbers = [int.from_bytes(item_id.tobytes()) for item_id in matches.item_ids]
    assert answered_numbers == [*numbers, _OTHER]


@pytest.mark.parametrize("codes", [0, 100, 3000, 20_000, 10**7])
@pytest.mark.parametrize("strict", [False, True])
def test_what_a_budget_leaves_is_the_end_of_a_batch(
    crowd: _Counted,
    codes: int,
    strict: bool,
) -> None:
    crowd.answered = []
    limits_bits = np.full(2**16, 31, np.int16)
    unrelated = np.random.default_rng(6).integers(0, 256, (4, 32), np.uint8)
    queries = np.concatenate([unrelated, _ASKED[:6], unrelated, _ASKED[6:8]])
    near = crowd.search(queries, 31, limits_bits, 4, budget=Budget(codes, strict=strict))
    whole = crowd.search(queries, 31, limits_bits, 4)
    searched = len(queries) - near.left
    assert strict or searched > 0
    assert codes < 10**7 or searched == len(queries)
    of_searched = whole.hits.take(whole.hits.query < searched)
    for column in ("query", "distance", "number"):
        assert getattr(near.hits, column).tolist() == getattr(of_searched, column).tolist()
    assert near.truncated.tolist() == whole.truncated[whole.truncated < searched].tolist()


def test_a_video_near_a_crowd_is_searched_in_small_steps(crowd: _Counted) -> None:
    rows = frames(_around(_MIDDLE, _QUERIES, 12, 8))
    scope = Scope({ADULTS.number: 31, MINORS.number: 31})
    lookup = VideoLookup(crowd, scope, VideoOptions(), Allowance(math.inf))
    crowd.answered, answered = [], []
    for _ in lookup.adding(rows[at : at + 1] for at in range(_QUERIES)):
        answered.append(sum(crowd.answered))
        crowd.answered = []
    assert sum(answered) > _QUERIES // 2
    assert max(answered) <= 20
    assert lookup.matches().matches
