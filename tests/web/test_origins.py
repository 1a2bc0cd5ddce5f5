"""Origins: a token for each network and day, and how much each may ask."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import pytest

from disrupt.errors import OverloadedError
from disrupt.server.config import Config
from disrupt.services.quotas import Quota
from disrupt.web import origins
from disrupt.web.origins import (
    BURST_CALLS,
    CALLS_PER_S,
    HASHES_PER_S,
    ORIGIN_CALLS,
    Origins,
)


def test_a_token_stands_for_an_ipv4_address_or_64_bits_of_ipv6_and_shows_neither() -> None:
    known = Origins()
    alike = [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff"),
        ("no address", ""),
    ]
    for first, second in alike:
        assert known.tokens(first) == known.tokens(second)
    hosts = ["192.0.2.1", "192.0.2.2", "2001:db8:0:1::1", "2001:db8:0:2::1", ""]
    tokens = {known.tokens(host)[0] for host in hosts}
    assert len(tokens) == len(hosts)
    assert {len(token) for token in tokens} == {32}
    assert not tokens & {Origins().tokens(host)[0] for host in hosts}, "a secret for each process"


def test_networks_within_a_wider_one_have_its_token_in_common() -> None:
    known = Origins(lambda: "2026-12-01")
    assert [len(known.tokens(host)) for host in ("192.0.2.1", "", "2001:db8::1")] == [1, 1, 3]
    own = known.tokens("2001:db8:1:200::1")
    for other, shared in (
        ("2001:db8:1:200::2", 3),
        ("2001:db8:1:2ff::1", 2),
        ("2001:db8:1:300::1", 1),
        ("2001:db8:2:200::1", 0),
    ):
        same = [token == mine for token, mine in zip(known.tokens(other), own, strict=True)]
        assert same == [False] * (3 - shared) + [True] * shared


def test_a_token_changes_with_the_day() -> None:
    days = iter(["2026-11-30", "2026-11-30", "2026-12-01"])
    known = Origins(lambda: next(days))
    first, same, other = (known.tokens("192.0.2.1")[0] for _ in range(3))
    assert first == same != other


def wait_of(known: Origins, origin: bytes) -> float | None:
    """Return how long a call of an origin has to wait, None where it is let in."""
    try:
        with known.asking(origin):
            return None
    except OverloadedError as error:
        return error.retry_after_s


def test_an_origin_has_a_burst_that_grows_back_and_takes_nothing_from_others() -> None:
    now_s = 1000.0
    known = Origins(clock=lambda: now_s)

    asks = partial(wait_of, known)
    assert [asks(b"a") for _ in range(BURST_CALLS)] == [None] * BURST_CALLS
    assert asks(b"a") == 1.0
    assert asks(b"b") is None
    now_s += 5
    assert [asks(b"a") for _ in range(11)].count(None) == 5 * CALLS_PER_S
    now_s += 2 * BURST_CALLS / CALLS_PER_S
    assert [asks(b"a") for _ in range(BURST_CALLS + 1)].count(None) == BURST_CALLS


def test_an_origin_registers_many_pictures_at_once_and_then_as_its_hashes_grow_back() -> None:
    now_s = 1000.0
    known = Origins(clock=lambda: now_s)

    def waits(origin: bytes, hashes: int) -> float | None:
        try:
            known.register(origin, hashes)
        except OverloadedError as error:
            return error.retry_after_s
        return None

    assert waits(b"a", Config.model_fields["max_hashes_per_registration"].default) is None
    assert waits(b"a", 299) == pytest.approx(299 / HASHES_PER_S)
    assert waits(b"b", 299) is None
    with known.asking(b"a"):
        pass  # calls without hashes are counted apart
    now_s += 6
    assert waits(b"a", 299) is None


def test_an_origin_that_registers_all_it_may_leaves_others_the_keys_quota() -> None:
    now_s = 0.0
    known, quota = (
        Origins(clock=lambda: now_s),
        Quota(Config.model_fields["max_registered_hashes_per_h"].default),
    )

    def registers(origin: bytes, hashes: int) -> bool:
        try:
            known.register(origin, hashes)
            quota.check("page", origin, hashes, now_s)
        except OverloadedError:
            return False
        quota.charge("page", hashes, now_s)
        return True

    for _ in range(3600):
        while any(registers(b"greedy", hashes) for hashes in (64_000, 8000, 300, 50)):
            pass
        assert now_s % 60 or registers(b"person", 2000)
        now_s += 2


def test_an_origin_has_some_calls_under_way_and_leaves_nothing_behind() -> None:
    known = Origins()
    with ExitStack() as under_way:
        for _ in range(ORIGIN_CALLS):
            under_way.enter_context(known.asking(b"a"))
        with pytest.raises(OverloadedError), known.asking(b"a"):
            pass
        with known.asking(b"b"):
            pass
    with known.asking(b"a"):
        pass
    assert known.calls_under_way == 0


def test_of_many_origins_those_that_asked_first_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(origins, "ORIGINS_MAX", 3)
    monkeypatch.setattr(origins, "BURST_CALLS", 1)
    known = Origins(clock=lambda: 0.0)
    for origin in (b"a", b"b", b"c"):
        assert wait_of(known, origin) is None
    for origin in (b"a", b"d", b"c", b"a"):
        assert bool(wait_of(known, origin)) == (origin != b"d"), origin
    assert wait_of(known, b"b") is None
