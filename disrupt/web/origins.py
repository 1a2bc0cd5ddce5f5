"""Distinguish callers by their network. Addresses are used in memory only, and never shown."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from starlette.datastructures import Headers

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_IPV6_NETWORK_BYTES = 8
"""An IPv6 caller has a network of 64 bits to itself, and as many addresses in it as it likes."""
_SECRET_BYTES = 32

_HOP = re.compile(r"\[(?P<v6>[^\]]*)\](?::[0-9]+)?|(?P<v4>[0-9.]+):[0-9]+")
"""An address with brackets or a port; any other text has to be an address by itself."""
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*"?([^";]*)"?\s*(?:;|$)', re.IGNORECASE)


def parse_address(text: str) -> Address | None:
    """Parse an address, with or without brackets and port; None for anything else."""
    hop = _HOP.fullmatch(text.strip())
    try:
        address = ipaddress.ip_address((hop["v6"] or hop["v4"]) if hop else text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def network(address: Address) -> bytes:
    """Return an IPv4 address (4 bytes), or the network of an IPv6 address (8 bytes)."""
    return address.packed[:_IPV6_NETWORK_BYTES]


def today() -> str:
    """Return today's ISO date, UTC."""
    return datetime.now(UTC).date().isoformat()


class Origins:
    """Find the network of a caller, and make the token that stands for it for a day.

    ``trusted`` are the networks of proxies whose forwarded addresses count.
    """

    def __init__(self, trusted: Sequence[Network], day: Callable[[], str] = today) -> None:
        self._trusted = tuple(trusted)
        self._day = day
        self._secret_of = ("", b"")

    def is_trusted(self, address: Address) -> bool:
        """Tell whether an address is that of a proxy to trust."""
        return any(address in network for network in self._trusted)

    def address(self, peer: Address, headers: Headers) -> Address:
        """Return the address of the caller behind the proxies that are trusted.

        It is the last forwarded address that is not a trusted proxy's. A proxy sets one of the two
        headers, and may pass on what a caller wrote into the other: where they disagree, neither
        counts.
        """
        if not self.is_trusted(peer):
            return peer
        lists = [list(hops) for hops in (_forwarded(headers), _x_forwarded_for(headers))]
        callers = {self._last_untrusted(peer, hops) for hops in lists if hops}
        return callers.pop() if len(callers) == 1 else peer

    def _last_untrusted(self, peer: Address, hops: list[str]) -> Address:
        address = peer
        for hop in reversed(hops):
            before = parse_address(hop)
            if before is None:
                break
            address = before
            if not self.is_trusted(address):
                break
        return address

    def token(self, address: Address) -> bytes:
        """Return 32 bytes that are the same for a network on one day, and say nothing of it.

        The secret is drawn anew every day (UTC) and at each start, and stored nowhere.
        """
        day, secret = self._day(), self._secret_of[1]
        if day != self._secret_of[0]:
            secret = secrets.token_bytes(_SECRET_BYTES)
            self._secret_of = (day, secret)
        return hmac.digest(secret, network(address), "sha256")


def _x_forwarded_for(headers: Headers) -> Iterator[str]:
    for line in headers.getlist("x-forwarded-for"):
        yield from line.split(",")


def _forwarded(headers: Headers) -> Iterator[str]:
    """Yield the ``for`` of each hop (RFC 7239); an empty text where a hop has none."""
    for line in headers.getlist("forwarded"):
        for element in line.split(","):
            match = _FOR.search(element)
            yield match[1] if match else ""
