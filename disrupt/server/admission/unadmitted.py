"""Bound the calls that no key's share bounds: those of strangers, and refused ones.

A call whose sender does not take the answer keeps its place in gRPC after it was answered. Only
the end of its connection ends it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from disrupt.server.admission.limits import UNADMITTED_CALLS_MAX
from disrupt.server.admission.sockets import network


class Unadmitted:
    """Open calls by connection. For one event loop.

    Where there are too many, connections are shut down until half as many are left: each time that
    one with most calls, of the network with most calls. Of equals the newest goes first, but last
    of all the one whose call came last: a watch of the server's health goes on, a check is let in.
    """

    def __init__(self, shut: Callable[[Collection[str]], None]) -> None:
        """``shut`` shuts the connections of peers down, as gRPC names them."""
        self._shut = shut
        self._calls: dict[str, set[asyncio.Task[Any]]] = {}
        self._count = 0

    def add(self, peer: str) -> None:
        """Count the call that is being answered until its answer is taken."""
        call = asyncio.current_task()
        if call is None:
            return
        self._calls.setdefault(peer, set()).add(call)
        self._count += 1
        call.add_done_callback(partial(self._ended, peer))
        if self._count > UNADMITTED_CALLS_MAX:
            self._make_room(peer)

    def _make_room(self, latest: str) -> None:
        peers = [peer for peer in reversed(self._calls) if peer != latest] + [latest]
        by_network = Counter[str]()
        for peer in peers:
            by_network[network(peer)] += len(self._calls[peer])
        shut = []
        while self._count > UNADMITTED_CALLS_MAX // 2:
            ((most, _),) = by_network.most_common(1)
            peer = max(
                (peer for peer in peers if network(peer) == most),
                key=lambda peer: len(self._calls[peer]),
            )
            peers.remove(peer)
            size = len(self._calls.pop(peer))
            by_network[most] -= size
            self._count -= size
            shut.append(peer)
        self._shut(shut)

    def _ended(self, peer: str, call: asyncio.Task[Any]) -> None:
        calls = self._calls.get(peer, set())
        if call in calls:
            calls.remove(call)
            self._count -= 1
            if not calls:
                del self._calls[peer]
