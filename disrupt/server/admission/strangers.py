"""Bound calls without a key: few and short; the newest is always let in."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from disrupt.errors import OverloadedError
from disrupt.server.admission.limits import STRANGER_CALLS_MAX
from disrupt.server.admission.sockets import network


class Strangers:
    """Open calls of one method, by whom they come from. For one event loop.

    Where there are too many, the network with most of them loses its oldest; of several networks,
    that which began one last, before the call that is let in. So a check of the server's health is
    let in, and nobody ends older watches of others by beginning many, or from many addresses.
    """

    def __init__(self) -> None:
        self._open: dict[asyncio.Timeout, str] = {}
        self._of_network: Counter[str] = Counter()

    @contextmanager
    def admitted(self, peer: str, call: asyncio.Timeout) -> Iterator[None]:
        """Count a call; it raises OverloadedError where it is ended for another."""
        its_network = network(peer)
        self._open[call] = its_network
        self._of_network[its_network] += 1
        if len(self._open) > STRANGER_CALLS_MAX:
            self._end_oldest()
        try:
            yield
        finally:
            if self._open.pop(call, None) is not None:
                self._left(its_network)

    def _end_oldest(self) -> None:
        most = max(self._of_network.values())
        its_network = next(
            begun_by
            for begun_by in itertools.islice(reversed(self._open.values()), 1, None)
            if self._of_network[begun_by] == most
        )
        call = next(call for call, begun_by in self._open.items() if begun_by == its_network)
        del self._open[call]
        self._left(its_network)
        if not call.expired():
            call.reschedule(asyncio.get_running_loop().time())

    def _left(self, its_network: str) -> None:
        self._of_network[its_network] -= 1
        if not self._of_network[its_network]:
            del self._of_network[its_network]


def ended() -> OverloadedError:
    """Make the error of a call that was ended for another, or lasted too long."""
    return OverloadedError("Without a key, calls are few and short.", retry_after_s=1.0)
