"""Cursors of what is new open for the lookup that they are of, and are refused with a reason."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.core.changes import Cursor
from disrupt.core.policy import Scope
from disrupt.errors import CursorExpiredError, InvalidRequestError
from disrupt.services.cursors import NEW_DAYS, SealedCursors

SEALED = SealedCursors(b"s" * 32)
EPOCH, KEY, SCOPE = bytes(16), "0a1b2c3d", Scope({1: 31, 2: 20})
DAY = 20_000
TEXT = SEALED.seal_since(DAY, EPOCH, KEY, SCOPE)


def opened(
    text: str, today: int = DAY, epoch: bytes = EPOCH, key: str = KEY, scope: Scope = SCOPE
) -> int:
    return SEALED.open_since(text, today, epoch, key, scope)


def test_a_cursor_opens_for_its_key_and_banks_as_long_as_it_is_taken() -> None:
    assert opened(TEXT) == opened(TEXT, DAY + 1) == opened(TEXT, DAY + NEW_DAYS) == DAY
    assert opened(TEXT, scope=Scope({2: 20, 1: 31})) == DAY
    assert SEALED.seal_since(DAY, EPOCH, KEY, SCOPE) == TEXT, "the same for a day"


@pytest.mark.parametrize(
    "scope",
    [Scope({1: 31}), Scope({1: 31, 2: 31}), Scope({1: 31, 2: 20, 4: 31}), Scope({})],
    ids=["a bank less", "a bank farther", "a bank more", "none"],
)
def test_another_view_expires_a_cursor(scope: Scope) -> None:
    with pytest.raises(CursorExpiredError, match="other banks"):
        opened(TEXT, scope=scope)


def test_a_lost_history_and_too_many_days_expire_a_cursor() -> None:
    with pytest.raises(CursorExpiredError, match="restored"):
        opened(TEXT, epoch=b"e" * 16)
    with pytest.raises(CursorExpiredError, match="days old"):
        opened(TEXT, DAY + NEW_DAYS + 1)


def test_a_cursor_of_another_key_or_of_a_day_to_come_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="another key"):
        opened(TEXT, key="00000000")
    with pytest.raises(InvalidRequestError, match="to come"):
        opened(TEXT, DAY - 1)


@given(st.integers(0, 49), st.integers(1, 255))
@settings(deadline=None)
def test_an_altered_cursor_is_refused(place: int, flip: int) -> None:
    altered = bytearray(base64.urlsafe_b64decode(TEXT))
    altered[place % len(altered)] ^= flip
    with pytest.raises(InvalidRequestError, match="not a cursor"):
        opened(base64.urlsafe_b64encode(altered).decode())


@given(st.text(min_size=1) | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
@settings(deadline=None)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="not a cursor"):
        opened(text)


def test_cursors_of_another_server_and_of_the_index_are_refused() -> None:
    other = SealedCursors(b"t" * 32).seal_since(DAY, EPOCH, KEY, SCOPE)
    for text in (other, SEALED.seal(Cursor(EPOCH, 3)), Cursor(EPOCH, 3).to_text()):
        with pytest.raises(InvalidRequestError, match="not a cursor"):
            opened(text)
