"""A cached scope of a key agrees with the current key and banks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from disrupt.core.lookups import LookupOptions
from disrupt.core.policy import ApiKey, Bank, Right, visible
from disrupt.errors import InvalidRequestError, PermissionDeniedError
from disrupt.server.calls.matching import _Scopes
from disrupt.services.keys import KeyRing
from disrupt.services.slow_start import SlowStart
from disrupt.wire.match import DEFAULT

KEY = ApiKey("0a1b2c3d", "p", bytes(32), frozenset([Right.MATCH]), frozenset([1, 2]), "2026-01-01")
DAY = "2026-01-01"
ONE, TWO = Bank(1, "one", 31), Bank(2, "two", 20)


def test_a_kept_scope_goes_with_the_keys_and_banks_that_it_was_made_of() -> None:
    scopes = _Scopes(bytes(32))
    ring = KeyRing([KEY], (ONE, TWO), day=DAY)
    assert scopes(ring, KEY, DEFAULT).limits == {1: 31, 2: 20}
    assert scopes(ring, KEY, DEFAULT) is scopes(ring, KEY, DEFAULT)
    assert scopes(ring, KEY, LookupOptions(max_matches=3)) is scopes(ring, KEY, DEFAULT)
    assert scopes(KeyRing([KEY], (ONE,), day=DAY), KEY, DEFAULT).limits == {1: 31}
    nearer = replace(ONE, max_distance_bits=12)
    assert scopes(KeyRing([KEY], (nearer, TWO), day=DAY), KEY, DEFAULT).limits == {
        1: 12,
        2: 20,
    }


def test_keys_do_not_get_each_others_scope() -> None:
    scopes = _Scopes(bytes(32))
    changed_key = replace(KEY, banks=frozenset([2]))  # the same id, as after a change of the key
    ring = KeyRing([KEY], (ONE, TWO), day=DAY)
    assert scopes(ring, KEY, DEFAULT).limits == {1: 31, 2: 20}
    assert scopes(ring, changed_key, DEFAULT).limits == {2: 20}
    with pytest.raises(PermissionDeniedError):
        scopes(ring, changed_key, LookupOptions(banks=("one",)))
    assert scopes(ring, KEY, LookupOptions(max_distance_bits=5, banks=("one",))).limits == {1: 5}


def test_what_a_bank_holds_back_goes_with_the_scopes_that_search_it() -> None:
    scopes = _Scopes(bytes(32))
    ring = KeyRing([KEY], (ONE, replace(TWO, share_percent=40)), day=DAY)
    held = SlowStart.of(bytes(32), ring.banks)
    assert held is not None
    assert scopes(ring, KEY, DEFAULT).held == held
    assert scopes(ring, KEY, LookupOptions(banks=("two",))).held == held
    assert scopes(ring, KEY, LookupOptions(banks=("one",))).held is None
    assert scopes(ring, KEY, LookupOptions(banks=("test",))).held is None
    whole = KeyRing([KEY], (ONE, TWO), day=DAY)
    assert scopes(whole, KEY, DEFAULT).held is None


def test_a_bank_for_other_organisations_is_not_searched_and_refused_when_it_is_named() -> None:
    scopes = _Scopes(bytes(32))
    key = replace(KEY, organisation="chat")
    for organisations, searched in (({"chat"}, True), ({"chat", "b"}, True), ({"b"}, False)):
        ring = KeyRing([key], (ONE, replace(TWO, visible_to=frozenset(organisations))), day=DAY)
        assert scopes(ring, key, DEFAULT).limits == ({1: 31, 2: 20} if searched else {1: 31})
        assert visible(key, ring.banks) == ({1, 2} if searched else {1})
        if not searched:
            with pytest.raises(PermissionDeniedError):
                scopes(ring, key, LookupOptions(banks=("one", "two")))


def test_any_key_may_search_the_test_bank_by_itself_only() -> None:
    scopes = _Scopes(bytes(32))
    ring = KeyRing([KEY], (ONE, TWO), day=DAY)
    key = replace(KEY, banks=frozenset[int]())
    for names in (("test",), ("test", "test")):
        assert scopes(ring, key, LookupOptions(banks=names)).limits == {0: 31}
    assert not scopes(ring, KEY, DEFAULT).is_test
    for names in (("test", "one"), ("one", "test"), ("test", "none")):
        with pytest.raises(InvalidRequestError, match="by itself"):
            scopes(ring, KEY, LookupOptions(banks=names))
