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

HASHES_PER_S = 50.0
BURST_HASHES = 64_000
"""Hashes that one origin registers: the largest registration at once, 492 pictures, and then one
picture each 2.6 s. Twelve origins together take what grows back of a key's default quota."""

ORIGIN_CALLS = 16
"""Calls of one origin under way."""

ORIGINS_MAX = 100_000
"""Origins that are remembered, 40 MB. Beyond, those that asked first are forgotten."""

_IPV6_NETWORKS_BYTES = (8, 7, 6)
"""A caller has 64 bits of IPv6 to itself, and as many addresses in them as it likes. A site has 56
or 48 bits, and so as many networks."""
_SECRET_BYTES = 32


def networks(host: str) -> tuple[bytes, ...]:
    """Return an IPv4 address, or the first 64, 56 and 48 bits of an IPv6 address.

    One empty network for any other text.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return (b"",)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    packed = (mapped or address).packed
    if len(packed) <= min(_IPV6_NETWORKS_BYTES):
        return (packed,)
    return tuple(packed[:size] for size in _IPV6_NETWORKS_BYTES)


def today() -> str:
    """Return today's ISO date, UTC."""
    return datetime.now(UTC).date().isoformat()


class _Allowance:
    """Bound each origin to ``burst`` units at once; ``per_s`` of them grow back each second."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._full_at_s: dict[bytes, float] = {}
        """When an origin has a whole burst again (generic cell rate algorithm)."""

    def take(self, origin: bytes, amount: int, now_s: float) -> None:
        """Take from an origin's allowance. Raises OverloadedError until there is enough."""
        before_s = max(now_s, self._full_at_s.pop(origin, 0.0))
        full_at_s = before_s + amount / self._per_s
        wait_s = full_at_s - now_s - self._burst / self._per_s
        # The origins stand in the order of their last call.
        self._full_at_s[origin] = full_at_s if wait_s <= 0 else before_s
        if wait_s > 0:
            raise busy(max(wait_s, 1.0))
        if len(self._full_at_s) > ORIGINS_MAX:
            del self._full_at_s[next(iter(self._full_at_s))]


class Origins:
    """Tokens of callers, and what each origin has asked. For one event loop."""

    def __init__(
        self, day: Callable[[], str] = today, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._day = day
        self._clock = clock
        self._secret_of = ("", b"")
        self._calls = _Allowance(CALLS_PER_S, BURST_CALLS)
        self._hashes = _Allowance(HASHES_PER_S, BURST_HASHES)
        self._under_way = Counter[bytes]()

    def tokens(self, host: str) -> tuple[bytes, ...]:
        """Return 32 bytes for each network of an address, narrowest first, that do not show it.

        They stand for it for a day. The secret is drawn anew every day (UTC) and at each start, and
        stored nowhere.
        """
        day = self._day()
        if day != self._secret_of[0]:
            self._secret_of = (day, secrets.token_bytes(_SECRET_BYTES))
        secret = self._secret_of[1]
        return tuple(hmac.digest(secret, network, "sha256") for network in networks(host))

    @contextmanager
    def asking(self, origin: bytes) -> Iterator[None]:
        """Count a call while it lasts. Raises OverloadedError where that is one too many."""
        if self._under_way[origin] >= ORIGIN_CALLS:
            raise busy(1.0)
        self._calls.take(origin, 1, self._clock())
        self._under_way[origin] += 1
        try:
            yield
        finally:
            self._under_way[origin] -= 1
            if not self._under_way[origin]:
                del self._under_way[origin]

    @property
    def calls_under_way(self) -> int:
        """Number of calls that have begun to ask and are not over."""
        return self._under_way.total()

    def register(self, origin: bytes, hashes: int) -> None:
        """Charge hashes that are about to be registered. Raises OverloadedError for too many."""
        self._hashes.take(origin, hashes, self._clock())


def busy(retry_after_s: float) -> OverloadedError:
    """Return the error of a call that is to come again."""
    return OverloadedError(
        "Too many calls at the moment. Nothing was changed: try again.",
        retry_after_s=retry_after_s,
    )
