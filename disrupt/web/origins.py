"""Distinguish callers by their network, and bound what each may ask. Addresses are not kept."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from disrupt.errors import OverloadedError

CALLS_PER_S = 2.0
BURST_CALLS = 120
"""Calls of one origin: so many at once, and as many again after a minute. A submission takes one
for eight files, so that a school or a mobile network behind one IPv4 address has room."""

ORIGIN_CALLS = 16
"""Calls of one origin under way."""

ORIGINS_MAX = 100_000
"""Origins that are remembered, 20 MB. Beyond, those that asked first are forgotten."""

_IPV6_NETWORK_BYTES = 8
"""A caller has 64 bits of IPv6 to itself, and as many addresses in them as it likes."""
_SECRET_BYTES = 32


def network(host: str) -> bytes:
    """Return an IPv4 address, or the first 64 bits of an IPv6 address; empty for any other text."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return b""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).packed[:_IPV6_NETWORK_BYTES]


def today() -> str:
    """Return today's ISO date, UTC."""
    return datetime.now(UTC).date().isoformat()


class Origins:
    """Tokens of callers, and what each origin has asked. For one event loop."""

    def __init__(
        self, day: Callable[[], str] = today, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._day = day
        self._clock = clock
        self._secret_of = ("", b"")
        self._full_at_s: dict[bytes, float] = {}
        """When an origin may ask for a whole burst again (generic cell rate algorithm)."""
        self._under_way = Counter[bytes]()

    def token(self, host: str) -> bytes:
        """Return 32 bytes that stand for the network of an address for a day, and do not show it.

        The secret is drawn anew every day (UTC) and at each start, and stored nowhere.
        """
        day = self._day()
        if day != self._secret_of[0]:
            self._secret_of = (day, secrets.token_bytes(_SECRET_BYTES))
        return hmac.digest(self._secret_of[1], network(host), "sha256")

    @contextmanager
    def asking(self, origin: bytes) -> Iterator[None]:
        """Count a call while it lasts. Raises OverloadedError where that is one too many."""
        now_s = self._clock()
        full_at_s = max(now_s, self._full_at_s.pop(origin, 0.0)) + 1 / CALLS_PER_S
        wait_s = full_at_s - now_s - BURST_CALLS / CALLS_PER_S
        if wait_s > 0 or self._under_way[origin] >= ORIGIN_CALLS:
            self._full_at_s[origin] = full_at_s - 1 / CALLS_PER_S
            raise busy(max(wait_s, 1.0))
        # The origins stand in the order of their last call.
        self._full_at_s[origin] = full_at_s
        if len(self._full_at_s) > ORIGINS_MAX:
            del self._full_at_s[next(iter(self._full_at_s))]
        self._under_way[origin] += 1
        try:
            yield
        finally:
            self._under_way[origin] -= 1
            if not self._under_way[origin]:
                del self._under_way[origin]


def busy(retry_after_s: float) -> OverloadedError:
    """Return the error of a call that is to come again."""
    return OverloadedError(
        "Too many calls at the moment. Nothing was changed: try again.",
        retry_after_s=retry_after_s,
    )
