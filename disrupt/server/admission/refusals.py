"""Answer only so many refused calls a second: to refuse a call costs as much as a small lookup.

Calls that are reset before their answer count as refused ones do: they cost as much.

gRPC hands calls over in the order in which they came, whoever made them. So a caller who makes many
that are refused delays all others. Beyond its share, its connections are shut down: with each, the
calls that wait on it end at no cost.

A share has a least size, since a connection that ends costs more than a few calls: its caller makes
another. Many strangers together have a smaller one, so that they do not take all of a worker's
time. Keys, of which there are few, never have less for what others do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection

from disrupt.server.admission.limits import (
    REFUSALS_LEAST,
    REFUSALS_LEAST_OF_MANY,
    REFUSALS_PER_S,
    STRANGERS_CALLS_PER_S,
)
from disrupt.server.admission.sockets import network
from disrupt.server.memory import trim

_PAUSE_S = 0.02
"""Time between two shutdowns: each looks through all connections."""
_SHUT_WITHIN_S = 5.0
"""Longest time until a connection ends; a call on one that does not is answered then."""


class Refusals:
    """Refused and reset calls, and those without a key, of this second. For one event loop."""

    def __init__(self, shut: Callable[[Collection[str]], None]) -> None:
        """``shut`` shuts the connections of peers down, as gRPC names them; called in a thread."""
        self._shut = shut
        self._of_keys, self._of_strangers = Counter[str](), Counter[str]()
        self._strangers_calls = 0
        self._began_s = 0.0
        self._doomed: set[str] = set()
        self._wanted = asyncio.Event()

    async def count(self, key_id: str | None, peer: str) -> None:
        """Count a call; return if it is to be answered, else wait for its connection's end.

        ``key_id`` is None of strangers, who count by the network of ``peer``.
        """
        if self.note(key_id, peer):
            await asyncio.sleep(_SHUT_WITHIN_S)

    def note(self, key_id: str | None, peer: str) -> bool:
        """Count a call, or one that its caller reset; tell whether its connection is to end."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._began_s >= 1.0:
            self._of_keys.clear()
            self._of_strangers.clear()
            self._strangers_calls = 0
            self._began_s = now_s
        if key_id is not None:
            caller, calls, least = key_id, self._of_keys, REFUSALS_LEAST
        else:
            caller, calls, least = network(peer), self._of_strangers, REFUSALS_LEAST
            self._strangers_calls += 1
            if self._strangers_calls > STRANGERS_CALLS_PER_S:
                least = REFUSALS_LEAST_OF_MANY
        calls[caller] += 1
        if calls[caller] <= max(REFUSALS_PER_S // len(calls), least):
            return False
        self._doomed.add(peer)
        self._wanted.set()
        return True

    async def watch(self) -> None:
        """Shut connections down until cancelled, and then free what their calls took."""
        while True:
            await self._wanted.wait()
            while self._doomed:
                peers, self._doomed = self._doomed, set()
                await asyncio.to_thread(self._shut, peers)
                await asyncio.sleep(_PAUSE_S)
            self._wanted.clear()
            await asyncio.to_thread(trim)
