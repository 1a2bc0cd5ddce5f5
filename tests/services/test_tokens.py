from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.errors import InvalidRequestError
from disrupt.services.tokens import MatchToken, MatchTokens

TOKENS = MatchTokens(b"s" * 32)


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1), st.integers(0, 256))
def test_what_was_sealed_opens_to_the_same(item_id: bytes, time_s: int, distance: int) -> None:
    (match_id,) = TOKENS.seal([item_id], [distance], "00ff00ff", time_s)
    assert len(match_id) <= 256
    assert item_id not in match_id
    assert TOKENS.open(match_id) == MatchToken(item_id, "00ff00ff", time_s, distance)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_an_altered_match_id_is_refused(place: int, flip: int) -> None:
    (match_id,) = TOKENS.seal([bytes(16)], [3], "00ff00ff", 1_800_000_000)
    altered = bytearray(match_id)
    altered[place % len(altered)] ^= flip
    with pytest.raises(InvalidRequestError):
        TOKENS.open(bytes(altered))


@given(st.binary(max_size=80))
def test_anything_else_is_refused(token: bytes) -> None:
    with pytest.raises(InvalidRequestError):
        TOKENS.open(token)


def test_another_servers_match_id_is_refused() -> None:
    (match_id,) = MatchTokens(b"t" * 32).seal([bytes(16)], [3], "00ff00ff", 1_800_000_000)
    with pytest.raises(InvalidRequestError):
        TOKENS.open(match_id)
