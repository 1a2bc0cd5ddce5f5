"""Callers are distinguished by their network, and forwarded addresses count from proxies only."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from disrupt.web.origins import Origins, network, parse_address

PROXY = ipaddress.ip_address("10.0.0.1")
TRUSTED = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]

addresses = st.ip_addresses()


def caller(peer: str, *headers: tuple[str, str]) -> str:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    address = parse_address(peer)
    assert address is not None
    return str(Origins(TRUSTED).address(address, Headers(raw=raw)))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:4711 ", "192.0.2.1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_addresses_are_read_with_and_without_port(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize("text", ["", "unknown", "_hidden", "192.0.2", "[192", "1.2.3.4:x"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None


@given(addresses, st.sampled_from(["forwarded", "x-forwarded-for"]), addresses)
def test_nobody_else_can_say_where_a_call_comes_from(
    peer: ipaddress.IPv4Address, header: str, claimed: ipaddress.IPv4Address
) -> None:
    if not Origins(TRUSTED).is_trusted(peer):
        value = f"for={claimed}" if header == "forwarded" else str(claimed)
        headers = Headers({header: value})
        assert Origins(TRUSTED).address(peer, headers) == peer
        assert Origins([]).address(PROXY, headers) == PROXY


def test_the_last_address_that_is_no_proxys_is_the_callers() -> None:
    for header, value in (
        ("x-forwarded-for", "203.0.113.9, 192.0.2.1, 10.2.3.4"),
        ("forwarded", 'for=203.0.113.9, for="192.0.2.1:99";proto=https, By=x; For=10.2.3.4'),
    ):
        assert caller("10.0.0.1", (header, value)) == "192.0.2.1"


def test_several_lines_are_one_list() -> None:
    lines = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "192.0.2.1")]
    assert caller("10.0.0.1", *lines) == "192.0.2.1"


def test_a_header_that_the_proxy_only_passed_on_does_not_count() -> None:
    real, claimed = ("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=203.0.113.9")
    assert caller("10.0.0.1", real) == "192.0.2.1"
    assert caller("10.0.0.1", real, claimed) == "10.0.0.1"
    assert caller("10.0.0.1", real, ("forwarded", "for=192.0.2.1")) == "192.0.2.1"


@pytest.mark.parametrize("hop", ["unknown", "_secret", "", "for=", "192.0.2.1 192.0.2.2"])
def test_behind_a_hop_without_an_address_the_proxy_is_the_caller(hop: str) -> None:
    assert caller("10.0.0.1", ("x-forwarded-for", f"192.0.2.1, {hop}")) == "10.0.0.1"


def test_ipv4_callers_differ_by_address_and_ipv6_callers_by_64_bits() -> None:
    origins = Origins([])
    tokens = {
        text: origins.token(ipaddress.ip_address(text))
        for text in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1")
    }
    assert len(set(tokens.values())) == 4
    assert tokens["2001:db8::1"] == tokens["2001:db8::ffff"]
    assert {len(token) for token in tokens.values()} == {32}


def test_a_token_lasts_a_day_and_does_not_come_back() -> None:
    days = ["2026-01-01"]
    origins = Origins([], day=lambda: days[-1])
    tokens = [origins.token(PROXY), origins.token(PROXY)]
    days.append("2026-01-02")
    tokens.append(origins.token(PROXY))
    days.append("2026-01-01")
    tokens.append(origins.token(PROXY))
    assert tokens[0] == tokens[1]
    assert len(set(tokens)) == 3


def test_a_token_says_nothing_of_the_address_to_another_process() -> None:
    assert Origins([]).token(PROXY) != Origins([]).token(PROXY)


@given(addresses)
def test_networks_of_the_two_kinds_never_mix(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert len(network(address)) == (4 if isinstance(address, ipaddress.IPv4Address) else 8)
