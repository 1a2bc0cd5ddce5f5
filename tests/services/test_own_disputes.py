"""What is common, or disputed by the caller's organisation, is marked, and hides nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from disrupt.core.changes import Addition, Cursor
from disrupt.core.lookups import Matches, answered_places
from disrupt.core.media import FINGERPRINT, NOT_NARROWED, Assurance, MediaKind, StoredItem
from disrupt.core.outcomes import Dispute, MatchedVersion, Settlement
from disrupt.core.own_disputes import OwnDisputes, by_organisation
from disrupt.core.policy import ADULTS, COMMON, MINORS, Scope
from disrupt.core.transforms import IDENTITY
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.index.snapshot import Snapshot
from disrupt.services.matching import UNBOUNDED, Steps, complete, hash_steps, picture_steps
from disrupt.services.own_disputes import disputed_last

_QUERIES = 3
_SCOPE = Scope({ADULTS.number: 40, MINORS.number: 35})
"""Beyond 31 bits, so that all hashes are distinctive enough."""


class Stored(NamedTuple):
    """A stored hash: the query that it is near, its distance, its version, how it is narrowed."""

    query: int
    bits: int
    plan: int
    ordinal: int
    below_bits: int


_STORED = st.builds(
    Stored,
    st.integers(0, _QUERIES - 1),
    st.integers(0, 42),
    st.integers(0, 1),
    st.integers(0, 6),
    st.sampled_from([0, 10, 20, NOT_NARROWED, NOT_NARROWED, NOT_NARROWED]),
)
_ITEMS = st.lists(st.lists(_STORED, min_size=1, max_size=12), max_size=12)
_COMMON = st.lists(
    st.lists(
        st.builds(
            Stored,
            st.integers(0, _QUERIES - 1),
            st.integers(0, 40),
            *[st.just(0)] * 2,
            st.just(255),
        ),
        min_size=1,
        max_size=3,
    ),
    max_size=3,
)
_FIRST_COMMON = 100
"""Number over which items are of the bank of pictures in common use."""
_CHANCE = np.random.default_rng(5)
_HASHES = _CHANCE.integers(0, 256, (_QUERIES, 32), np.uint8)


def _away(query: int, bits: int) -> NDArray[np.uint8]:
    flipped = np.zeros(256, np.uint8)
    flipped[:bits] = 1
    away: NDArray[np.uint8] = _HASHES[query] ^ np.packbits(flipped)
    return away


def _bank(number: int) -> int:
    if number > _FIRST_COMMON:
        return COMMON.number
    return MINORS.number if number % 4 == 0 else ADULTS.number


def _item(number: int, stored: list[Stored]) -> StoredItem:
    fingerprints = np.zeros(len(stored), FINGERPRINT)
    for row, each in zip(fingerprints, stored, strict=True):
        row["hash"] = _away(each.query, each.bits)
        row["plan"], row["ordinal"] = each.plan, each.ordinal
    below_bits = np.array([each.below_bits for each in stored], np.uint8)
    item_id, kind, assurance = number.to_bytes(16), MediaKind.IMAGE, Assurance.SELF_REPORTED
    item = StoredItem.of(number, item_id, _bank(number), kind, assurance, fingerprints)
    return replace(item, below_bits=below_bits)


@pytest.fixture(scope="module")
def empty() -> Iterator[Snapshot]:
    with TemporaryDirectory() as directory:
        yield publish(Path(directory), (), Cursor(bytes(16), 0))


def _live(
    empty: Snapshot, items: list[list[Stored]], common: list[list[Stored]] | None = None
) -> LiveIndex:
    live = LiveIndex(empty)
    numbered = [*enumerate(items, 1), *enumerate(common or [], _FIRST_COMMON + 1)]
    added = [Addition(number, _item(number, stored)) for number, stored in numbered]
    live.apply(added, Cursor(bytes(16), 1000))
    return live


def _pairs(number: int, stored: list[Stored], query: int | None) -> dict[tuple[int, int], int]:
    """Return the least distance of each version of an item from a query, or from any of them."""
    nearest = dict[tuple[int, int], int]()
    for plan, ordinal, bits in (
        (each.plan, each.ordinal, each.bits)
        for each in stored
        if query in (None, each.query)
        and each.bits <= _SCOPE.limits[_bank(number)]
        and (each.bits < each.below_bits or each.below_bits == NOT_NARROWED)
    ):
        nearest[plan, ordinal] = min(bits, nearest.get((plan, ordinal), bits))
    return nearest


def _telling(stored: list[Stored], common: list[list[Stored]]) -> list[Stored]:
    """Return the hashes of an item that are nearer to their query than what is in common use."""
    nearest = dict.fromkeys(range(_QUERIES), 257)
    for each in (each for item in common for each in item if each.bits <= 31):
        nearest[each.query] = min(nearest[each.query], each.bits)
    return [each for each in stored if each.bits < nearest[each.query]]


def _answer(matches: Matches) -> list[tuple[int, int, int, bool, bool]]:
    """Return query, number, distance and marks of each match."""
    columns = (
        *(matches.query, matches.number, matches.distance_bits),
        *(matches.is_common, matches.is_disputed),
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(
    _ITEMS,
    _COMMON,
    st.booleans(),
    st.dictionaries(
        st.integers(1, 12),
        st.dictionaries(st.tuples(st.integers(0, 1), st.integers(0, 6)), st.integers(0, 40)),
    ),
    st.integers(1, 4),
    st.booleans(),
)
@settings(max_examples=400)
def test_common_and_disputed_matches_are_those_of_a_naive_model_and_hide_nothing(
    empty: Snapshot,
    items: list[list[Stored]],
    common: list[list[Stored]],
    leave_out: bool,
    disputed: dict[int, dict[tuple[int, int], int]],
    max_matches: int,
    one_picture: bool,
) -> None:
    live = _live(empty, items, common)
    own: OwnDisputes = {number.to_bytes(16): distances for number, distances in disputed.items()}

    def ask(rows: NDArray[np.intp] | slice, most: int) -> Steps[Matches]:
        if one_picture:
            transforms = [IDENTITY] * _QUERIES
            return picture_steps(
                *(live, _HASHES, transforms, _SCOPE, most, UNBOUNDED), leave_out_common=leave_out
            )
        return hash_steps(
            *(live, _HASHES[rows], _SCOPE, most),
            most_matches=10**6,
            allowance=UNBOUNDED,
            leave_out_common=leave_out,
        )

    def hashes_of(query: int) -> NDArray[np.uint8]:
        return _HASHES if one_picture else _HASHES[query : query + 1]

    queries = 1 if one_picture else _QUERIES
    steps = disputed_last(ask, own, live, hashes_of, queries, _SCOPE, max_matches, UNBOUNDED)
    matches = complete(steps)

    expected, truncated = [], []
    for query in range(queries):
        near = []
        for number, stored in enumerate(items, 1):
            asked = None if one_picture else query
            pairs = _pairs(number, _telling(stored, common), asked)
            is_common = not pairs
            if is_common and not leave_out:
                pairs = _pairs(number, stored, asked)
            if pairs:
                of_item = disputed.get(number, {})
                left = {
                    place: bits for place, bits in pairs.items() if bits < of_item.get(place, 257)
                }
                near.append((not left, is_common, min(pairs.values()), number, _bank(number)))
        near.sort()
        places = answered_places([bank for *_, bank in near], max_matches) if near else []
        answered = sorted(
            (near[at] for at in places),
            key=lambda each: (*each[:3], each[4] != MINORS.number, each[3]),
        )
        expected += [
            (query, number, bits, is_common, is_disputed)
            for is_disputed, is_common, bits, number, _ in answered
        ]
        truncated += [query] if len(near) > max_matches else []
    assert _answer(matches) == expected
    # where common ones are left out, it is not known what was cut off
    if leave_out:
        assert set(truncated) <= set(matches.truncated.tolist())
    else:
        assert matches.truncated.tolist() == truncated


@given(_ITEMS, _COMMON)
@settings(max_examples=100)
def test_a_pictures_match_id_names_the_nearest_stored_versions(
    empty: Snapshot, items: list[list[Stored]], common: list[list[Stored]]
) -> None:
    live = _live(empty, items, common)
    transforms = [IDENTITY] * _QUERIES
    matches = complete(picture_steps(live, _HASHES, transforms, _SCOPE, 1000, UNBOUNDED))
    for number, is_common, named in zip(
        *(matches.number.tolist(), matches.is_common.tolist(), matches.matched_versions()),
        strict=True,
    ):
        stored = items[number - 1]
        telling = stored if is_common else _telling(stored, common)
        # a search answers the nearest hash of each item alone
        seen = defaultdict[tuple[int, int], int](lambda: 257)
        for query in range(_QUERIES):
            pairs = [
                each for each in telling if each.query == query and _pairs(number, [each], query)
            ]
            if pairs:
                nearest = min(pairs, key=lambda each: each.bits)
                place = nearest.plan, nearest.ordinal
                seen[place] = min(nearest.bits, seen[place])
        assert {(version.plan, version.ordinal): version.distance_bits for version in named} == seen
        assert [version.distance_bits for version in named] == sorted(seen.values())


def test_a_match_id_names_first_what_is_not_disputed_yet(empty: Snapshot) -> None:
    stored = [Stored(0, 5 + at, 0, at, NOT_NARROWED) for at in range(12)]
    live = _live(empty, [stored])
    own = dict[tuple[int, int], int]()
    reports = 0
    while True:
        steps = disputed_last(
            lambda rows, most: hash_steps(
                live, _HASHES[rows], _SCOPE, most, most_matches=100, allowance=UNBOUNDED
            ),
            {(1).to_bytes(16): own},
            live,
            lambda query: _HASHES[query : query + 1],
            1,
            _SCOPE,
            10,
            UNBOUNDED,
        )
        (match,) = _answer(matches := complete(steps))
        if match[4]:
            break
        (versions,) = matches.matched_versions()
        assert 1 <= len(versions) <= 8
        own |= {version[:2]: version.distance_bits for version in versions}
        reports += 1
    assert len(own) == len(stored)
    assert reports <= 3


def test_of_several_reports_the_nearest_distance_of_a_version_is_disputed() -> None:
    def dispute(organisation: str, bits: int, settlement: Settlement | None = None) -> Dispute:
        version = MatchedVersion(0, 1, bits)
        return Dispute(b"item", organisation, b"match", version, "2026-01-01", settlement)

    disputes = [dispute("a", 20), dispute("a", 14, Settlement.UPHELD), dispute("b", 17)]
    assert by_organisation(disputes) == {"a": {b"item": {(0, 1): 14}}, "b": {b"item": {(0, 1): 17}}}
