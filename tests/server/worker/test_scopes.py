"""A cached scope of a key agrees with the current key and banks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from disrupt.core.lookups import LookupOptions
from disrupt.core.policy import ApiKey, Bank, Right
from disrupt.errors import PermissionDeniedError
from disrupt.server.worker.matching import _Scopes
from disrupt.services.keys import KeyRing
from disrupt.wire.match import DEFAULT

DAY = "2026-01-01"
KEY = ApiKey("0a1b2c3d", "p", "o", bytes(32), frozenset([Right.MATCH]), frozenset([1, 2]), DAY)
ONE, TWO = Bank(1, "one", 31), Bank(2, "two", 20)


def test_a_kept_scope_goes_with_the_keys_and_banks_that_it_was_made_of() -> None:
    scopes = _Scopes()
    ring = KeyRing([KEY], (ONE, TWO), day=DAY)
    assert scopes(ring, KEY, DEFAULT).limits == {1: 31, 2: 20}
    assert scopes(ring, KEY, DEFAULT) is scopes(ring, KEY, DEFAULT)
    assert scopes(KeyRing([KEY], (ONE,), day=DAY), KEY, DEFAULT).limits == {1: 31}
    nearer = replace(ONE, max_distance_bits=12)
    assert scopes(KeyRing([KEY], (nearer, TWO), day=DAY), KEY, DEFAULT).limits == {1: 12, 2: 20}


def test_keys_do_not_get_each_others_scope() -> None:
    scopes = _Scopes()
    changed_key = replace(KEY, banks=frozenset([2]))  # the same id, as after a change of the key
    ring = KeyRing([KEY], (ONE, TWO), day=DAY)
    assert scopes(ring, KEY, DEFAULT).limits == {1: 31, 2: 20}
    assert scopes(ring, changed_key, DEFAULT).limits == {2: 20}
    with pytest.raises(PermissionDeniedError):
        scopes(ring, changed_key, LookupOptions(banks=("one",)))
    assert scopes(ring, KEY, LookupOptions(max_distance_bits=5, banks=("one",))).limits == {1: 5}
