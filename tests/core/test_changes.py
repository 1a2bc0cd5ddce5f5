"""Cursors as callers hold them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.changes import EPOCH_BYTES, MARK_BYTES, Cursor
from disrupt.errors import InvalidRequestError

CURSORS = st.builds(
    Cursor,
    st.binary(min_size=EPOCH_BYTES, max_size=EPOCH_BYTES),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=MARK_BYTES, max_size=MARK_BYTES),
)


@given(CURSORS)
def test_cursor_comes_back_from_its_text(cursor: Cursor) -> None:
    text = cursor.to_text()
    assert text.isascii()
    assert Cursor.from_text(text) == cursor


def test_text_of_a_cursor_stays_what_it_is() -> None:
    text = "AAECAwQFBgcICQoLDA0ODwAAAAAAAAECMTIzNDU2Nzg="
    assert Cursor(bytes(range(16)), 258, b"12345678").to_text() == text


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_any_text_is_a_cursor_or_an_invalid_request(text: str) -> None:
    try:
        cursor = Cursor.from_text(text)
    except InvalidRequestError:
        return
    assert cursor.to_text() == text


@given(CURSORS, st.integers(0, 31))
def test_shortened_cursor_is_refused(cursor: Cursor, length: int) -> None:
    with pytest.raises(InvalidRequestError):
        Cursor.from_text(cursor.to_text()[:length])
