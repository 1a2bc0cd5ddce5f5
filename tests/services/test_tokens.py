from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.core.outcomes import MatchedVersion
from disrupt.errors import InvalidRequestError
from disrupt.services.tokens import MatchToken, MatchTokens

TOKENS = MatchTokens(b"s" * 32)


NEAR = MatchedVersion(0, 0, 3)
PLACES = st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
VERSIONS = st.dictionaries(PLACES, st.integers(0, 256), min_size=1, max_size=8).map(
    lambda versions: sorted(
        (MatchedVersion(*place, bits) for place, bits in versions.items()),
        key=lambda version: version.distance_bits,
    )
)


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), VERSIONS)
@settings(max_examples=50)
def test_what_was_sealed_opens_to_the_same(
    item_id: bytes, time_s: int, versions: list[MatchedVersion]
) -> None:
    first, second = TOKENS.seal([item_id] * 2, [versions] * 2, "00ff00ff", time_s)
    assert len(first) == 56 + 6 * len(versions)
    assert item_id not in first
    token = TOKENS.open(first)
    assert token == MatchToken(item_id, "00ff00ff", time_s, token.match, tuple(versions))
    assert TOKENS.open(second).match != token.match


@given(st.lists(VERSIONS, min_size=1, max_size=4))
@settings(max_examples=50)
def test_joined_match_ids_of_an_item_are_the_first_with_the_nearest_versions_of_all(
    given_versions: list[list[MatchedVersion]],
) -> None:
    ids = TOKENS.seal([bytes(16)] * len(given_versions), given_versions, "00ff00ff", 1)
    joined = TOKENS.open(b"".join(ids))
    assert joined.match == TOKENS.open(ids[0]).match
    nearest: dict[tuple[int, int], int] = {}
    for version in (version for versions in given_versions for version in versions):
        bits = version.distance_bits
        nearest[version[:2]] = min(bits, nearest.get(version[:2], bits))
    distances = [version.distance_bits for version in joined.versions]
    assert distances == sorted(nearest.values())[:8]
    assert all(nearest[version[:2]] == version.distance_bits for version in joined.versions)


def test_match_ids_of_several_items_or_keys_or_too_many_are_not_joined() -> None:
    first, other = TOKENS.seal([bytes(16), b"1" * 16], [[NEAR]] * 2, "00ff00ff", 1)
    (of_other_key,) = TOKENS.seal([bytes(16)], [[NEAR]], "00ff00aa", 1)
    for joined in (
        first + other,
        first + of_other_key,
        first * 9,
        first + b"\0",
        first[:-1] + first,
    ):
        with pytest.raises(InvalidRequestError):
            TOKENS.open(joined)
    assert TOKENS.open(first * 8).versions == (NEAR,)


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=100)
def test_an_altered_match_id_is_refused(place: int, flip: int) -> None:
    (match_id,) = TOKENS.seal([bytes(16)], [[NEAR]], "00ff00ff", 1_800_000_000)
    altered = bytearray(match_id)
    altered[place % len(altered)] ^= flip
    with pytest.raises(InvalidRequestError):
        TOKENS.open(bytes(altered))


@given(st.binary(max_size=80))
@settings(max_examples=50)
def test_anything_else_is_refused(token: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        TOKENS.open(token)


def test_another_servers_match_id_is_refused() -> None:
    (match_id,) = MatchTokens(b"t" * 32).seal([bytes(16)], [[NEAR]], "00ff00ff", 1_800_000_000)
    with pytest.raises(InvalidRequestError):
        TOKENS.open(match_id)
