"""Sealed cursors open where they were sealed, and tell nobody else anything."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.changes import EPOCH_BYTES, MARK_BYTES, PLAIN_CURSOR_CHARACTERS, Cursor
from disrupt.errors import InvalidRequestError
from disrupt.services.cursors import SealedCursors

SEALED = SealedCursors(b"s" * 32)
CURSORS = st.builds(
    Cursor,
    st.binary(min_size=EPOCH_BYTES, max_size=EPOCH_BYTES),
    st.integers(0, 2**64 - 1),
    st.just(b"") | st.binary(min_size=MARK_BYTES, max_size=MARK_BYTES),
)


@given(CURSORS, st.booleans())
def test_what_was_sealed_opens_to_the_same(
    cursor: Cursor,
    same: bool,
) -> None:
    text = SEALED.seal(cursor, same=same)
    assert SEALED.open(text) == cursor
    assert text.isascii()
    assert len(text) != PLAIN_CURSOR_CHARACTERS
    assert (len(cursor.to_text()) == PLAIN_CURSOR_CHARACTERS) == (cursor.mark == b"")
    assert (SEALED.seal(cursor, same=same) == text) == same


def test_texts_of_one_cursor_have_no_more_in_common_than_those_of_two() -> None:
    cursors = [Cursor(bytes(16), 7), Cursor(bytes(16), 7), Cursor(bytes(16), 8)]
    for same in (False, True):
        raw = [base64.urlsafe_b64decode(SEALED.seal(cursor, same=same))[8:] for cursor in cursors]
        assert sum(a == b for a, b in zip(raw[1], raw[2], strict=True)) < 8


@given(CURSORS, st.integers(0, 47), st.integers(1, 255))
def test_an_altered_cursor_is_refused(cursor: Cursor, place: int, flip: int) -> None:
    altered = bytearray(base64.urlsafe_b64decode(SEALED.seal(cursor)))
    altered[place] ^= flip
    with pytest.raises(InvalidRequestError):
        SEALED.open(base64.urlsafe_b64encode(altered).decode())


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        SEALED.open(text)


def test_a_plain_cursor_and_that_of_another_server_are_refused() -> None:
    cursor = Cursor(bytes(16), 3)
    for text in (cursor.to_text(), SealedCursors(b"t" * 32).seal(cursor)):
        with pytest.raises(InvalidRequestError):
            SEALED.open(text)
