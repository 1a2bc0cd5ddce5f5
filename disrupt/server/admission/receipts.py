"""Watch the messages under way to a worker, and end those that take too long or hold too much.

gRPC takes a message of any permitted size into memory once it is asked for, and hands it over when
it is whole. So what the calls that wait for one may hold is bounded by what their connections have
brought, together with the messages that are whole (Resource.BYTES). A call that has its message
soon, as nearly all do, is never checked.

The kernel counts the bytes that a connection has brought, but not for which of its calls. So two
figures are kept of each connection. ``likely_bytes`` is what its messages probably hold: what came
for messages that were ended is a guess. ``held_bytes`` is the most that they can hold. By
``likely_bytes``, divided among the messages, single messages end, so that callers share fairly.
By ``held_bytes`` all calls of a connection end, once a worker's messages may hold ``_MOST`` times
its capacity.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self, TypeVar

from disrupt.errors import DeadlineExceededError, DisruptError, LimitExceededError, OverloadedError
from disrupt.server.admission.shares import Admission, Holder, Resource
from disrupt.server.admission.sockets import Address, Sockets, address_of
from disrupt.server.memory import trim

_Value = TypeVar("_Value")

_LOOK_S = 0.005
"""Pause between two checks, and age from which a message is checked: nearly all are whole by then.
"""
_LOOK_MAX_S = 0.05
"""Longest pause between two checks of a silent connection, and shortest between two that new
messages cause: these cost system calls."""
_FORGET_S = 1.0
"""Time after which a connection without messages is forgotten."""
_TRIM_S = 0.25
"""Shortest time between two trims of the memory of messages that were ended."""

_MOST = 2
"""Most that messages may hold before all calls of a connection end, in capacities."""
_CALL_BYTES = 1024
"""Most bytes of a call beside its message; nearly all calls bring less. So much can each whole
message hide of those that began before it."""
_STRANGERS_CALL_BYTES = 256
"""The same of strangers, who make few kinds of calls."""
_MESSAGE_BYTES = 64
"""Most bytes of a further message of a call beside itself."""
_SHORT_RECORDS = 32
"""Share of a message that TLS adds where its client sends short records."""
_SLACK_BYTES = 1 << 18
"""Bytes that a connection may bring beyond what its calls take: that is an estimate."""
_FRAMING = 256
"""TLS and HTTP/2 add at most one byte to each ``_FRAMING`` bytes of a message."""


class Receipt:
    """One message that is waited for; a context, which raises what ended it."""

    __slots__ = (
        "_ended_by",
        "_receipts",
        "_task",
        "base_bytes",
        "began_s",
        "connection",
        "holder",
        "most_bytes",
        "until_s",
    )

    def __init__(
        self, receipts: Receipts, peer: str, holder: Holder, *, most_bytes: int, within_s: float
    ) -> None:
        self.most_bytes = most_bytes
        self._receipts = receipts
        self._task = asyncio.current_task()
        self._ended_by: DisruptError | None = None
        self.holder = holder
        self.began_s = asyncio.get_running_loop().time()
        self.until_s = self.began_s + within_s
        self.connection = receipts.connection(peer, self.began_s)
        # whole messages have come, even if that was not noticed yet
        self.base_bytes = max(self.connection.beyond_bytes, 0)
        """Bytes that its connection had brought before it began, beyond whole messages."""

    def received(self, size_bytes: int, *, is_first: bool = True) -> None:
        """Note that it is whole, and counted elsewhere; ``is_first`` of its call."""
        size = size_bytes + size_bytes // _FRAMING + _CALL_BYTES
        self.connection.received(self, size)
        beside = _CALL_BYTES if is_first else _MESSAGE_BYTES
        self._receipts.explain(self.connection.peer, size_bytes, beside)

    def end(self, error: DisruptError) -> None:
        """End the call, which is to fail with ``error``."""
        if self._ended_by is None and self._task is not None:
            self._ended_by = error
            self.connection.remove(self, is_whole=False)
            self._task.cancel()

    def __enter__(self) -> Self:
        self._receipts.begin(self)
        self.connection.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _: object
    ) -> None:
        self._receipts.finish(self)
        self.connection.remove(self, is_whole=kind is None)
        if kind is not None:
            self._receipts.note_given_up(self.connection.peer)
        if self._ended_by is not None and self._task is not None:
            if kind is asyncio.CancelledError:
                self._task.uncancel()
            raise self._ended_by from None


@dataclass(slots=True, eq=False)
class Connection:
    """What the messages on one connection hold."""

    peer: str
    receipts: dict[Receipt, None] = field(default_factory=dict)
    """Messages under way that were not ended, in the order in which they began."""
    beyond_bytes: int = 0
    """Bytes that it had brought beyond whole messages at the last check."""
    _received_bytes: int | None = None
    """Bytes that it had brought in all at the last check; None before that is known."""
    _given_up_bytes: int = 0
    """Likely share of messages that were given up in what was brought."""
    _whole_bytes: int = 0
    """Bytes of its whole messages since it is known."""
    _looked_s: float = -math.inf
    _pause_s: float = _LOOK_S

    def is_due(self, now_s: float) -> bool:
        """Tell whether to check it for messages that last."""
        return now_s >= self._looked_s + self._pause_s

    def is_old(self, now_s: float, age_s: float) -> bool:
        """Tell whether its last check was ``age_s`` ago."""
        return now_s >= self._looked_s + age_s

    def look(self, received_bytes: int | None, now_s: float) -> None:
        """Note how much it has brought in all; None where that is not known, as of a new one."""
        is_silent = received_bytes in {None, self._received_bytes}
        self._pause_s = min(2 * self._pause_s, _LOOK_MAX_S) if is_silent else _LOOK_S
        self._looked_s = now_s
        if received_bytes is None:
            return
        self._received_bytes = received_bytes
        self.beyond_bytes = received_bytes - self._whole_bytes
        if self.beyond_bytes < 0:
            # whole messages have brought less than estimated
            self._whole_bytes = received_bytes
            for receipt in self.receipts:
                receipt.base_bytes -= self.beyond_bytes
            self.beyond_bytes = 0
        for receipt in self.receipts:
            receipt.base_bytes = min(receipt.base_bytes, self.beyond_bytes)
        self._given_up_bytes = min(self._given_up_bytes, self.brought_bytes)

    def add(self, receipt: Receipt) -> None:
        """Count a message, which begins."""
        self.receipts[receipt] = None
        self._pause_s = _LOOK_S

    def received(self, receipt: Receipt, size_bytes: int) -> None:
        """Note that a message is whole, for which so much was brought, and counted elsewhere."""
        self._whole_bytes += size_bytes
        self.beyond_bytes -= size_bytes
        # of those that began later it hides nothing: a part of it may have come before them
        for younger in reversed(self.receipts):
            if younger is receipt:
                break
            younger.base_bytes -= size_bytes

    def remove(self, receipt: Receipt, *, is_whole: bool) -> None:
        """Count a message no more. How much came of one that is not whole is not known."""
        if receipt not in self.receipts:
            return
        del self.receipts[receipt]
        if not is_whole:
            likely = self.likely_bytes
            share = max(likely // (len(self.receipts) + 1), likely - self.most_bytes)
            self._given_up_bytes = self.brought_bytes - likely + share

    @property
    def most_bytes(self) -> int:
        """Most that its calls take."""
        return sum(receipt.most_bytes for receipt in self.receipts)

    @property
    def likely_bytes(self) -> int:
        """What its messages likely hold."""
        return max(0, self.brought_bytes - self._given_up_bytes)

    @property
    def held_bytes(self) -> int:
        """Most that its messages hold: each what its call takes, or what came since it began."""
        most = math.inf
        older = 0
        for receipt in self.receipts:
            since = self.beyond_bytes - receipt.base_bytes
            most = min(most, older + since)
            older += min(since, receipt.most_bytes + _SLACK_BYTES)
        return int(min(most, older))

    @property
    def brought_bytes(self) -> int:
        """What came since the oldest of its messages began."""
        first = next(iter(self.receipts), None)
        return self.beyond_bytes - first.base_bytes if first is not None else 0


class Receipts:
    """All messages that are under way to one worker. For its event loop alone."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.under_way: dict[Receipt, None] = {}
        """In the order in which they began."""
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._explained: dict[str, int] = {}
        """What connections brought for whole messages, by peer."""
        self._given_up_s: dict[str, float] = {}
        """When a message was last given up, by peer."""
        self._absent: frozenset[str] = frozenset()
        self._connections: dict[str, Connection] = {}
        self._sockets = Sockets()
        self._freed = False

    def begin(self, receipt: Receipt) -> None:
        """Note that a message is under way."""
        self.under_way[receipt] = None
        self._look_later()

    def finish(self, receipt: Receipt) -> None:
        """Note that a message is no more under way."""
        del self.under_way[receipt]
        if self._timer is not None and not (self.under_way or self._freed):
            self._timer.cancel()  # nearly all messages are whole by now
            self._timer = None

    def connection(self, peer: str, now_s: float) -> Connection:
        """Return the connection of a peer, checked a moment ago."""
        connection = self._connections.get(peer)
        if connection is None:
            connection = self._connections[peer] = Connection(peer)
        if connection.is_old(now_s, _LOOK_MAX_S):
            connection.look(self._sockets.received_bytes(peer), now_s)
        return connection

    def explain_strangers(self, peer: str, message_bytes: int, *, is_first: bool) -> None:
        """Note a whole message of a stranger; ``is_first`` of its call."""
        beside = _STRANGERS_CALL_BYTES if is_first else _MESSAGE_BYTES
        self.explain(peer, message_bytes, beside)

    def explain(self, peer: str, message_bytes: int, beside_bytes: int) -> None:
        """Note a whole message, and most bytes that came beside it."""
        size = message_bytes + message_bytes // _SHORT_RECORDS + beside_bytes
        self._explained[peer] = self._explained.get(peer, 0) + size

    def note_given_up(self, peer: str) -> None:
        """Note that a message was given up, or never read; it may come in part or whole."""
        self._given_up_s[peer] = time.monotonic()

    def given_up(self, since_s: float) -> set[Address]:
        """Return the connections of which a message was given up since then. For any thread.

        How much of such a message they have brought, and still bring, is not known.
        """
        given_up = dict(self._given_up_s)
        for peer in [peer for peer, at_s in given_up.items() if at_s < since_s]:
            self._given_up_s.pop(peer, None)
        return {at for at, at_s in _by_address(given_up).items() if at_s >= since_s}

    def explained(self, connected: Collection[Address]) -> dict[Address, int]:
        """Return what each connection brought for whole messages. For one thread, which may be any.

        Connections that are not ``connected``, now and the last time, are forgotten.
        """
        explained = dict(self._explained)
        absent = frozenset(peer for peer in explained if address_of(peer) not in connected)
        for peer in absent & self._absent:
            self._explained.pop(peer, None)
        self._absent = absent
        return _by_address(explained)

    def waiting(self) -> set[Address]:
        """Return the connections on which messages are under way. For any thread."""
        peers = {receipt.connection.peer for receipt in list(self.under_way)}
        return {at for peer in peers if (at := address_of(peer)) is not None}

    async def watch(self) -> None:
        """Check all messages every ``_LOOK_S`` while there are any, until cancelled."""
        trimmed_s = forgot_s = 0.0
        while True:
            self._due.clear()
            if self.under_way or self._freed:
                self._look_later()
            with suppress(TimeoutError):
                async with asyncio.timeout(_FORGET_S):  # wait_for may drop a cancellation
                    await self._due.wait()
            now_s = asyncio.get_running_loop().time()
            if self.under_way:
                self.look(now_s)
            if now_s - forgot_s > _FORGET_S:
                forgot_s = now_s
                self._forget(now_s)
            if self._freed and now_s - trimmed_s > _TRIM_S:
                self._freed, trimmed_s = False, now_s
                await asyncio.to_thread(trim)

    def _look_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._due.set()

    def look(self, now_s: float) -> None:
        """End messages that take too long, or hold too much."""
        connections: dict[Connection, None] = {}
        for receipt in self.under_way:
            if now_s - receipt.began_s < _LOOK_S:
                break  # and all that began later
            if now_s > receipt.until_s:
                receipt.end(_too_slow(receipt))
            else:
                connections[receipt.connection] = None
        brought = self._admission.taken[Resource.BYTES]
        for connection in connections:
            if connection.is_due(now_s):
                connection.look(self._sockets.received_bytes(connection.peer), now_s)
            self._refuse_too_large(connection)
            brought += connection.brought_bytes
        if brought > _SLACK_BYTES:
            self._share(connections)
            self._bound(connections)

    def _refuse_too_large(self, connection: Connection) -> None:
        """End a message that is larger than its call takes.

        Of several any may be the one: the younger half ends, and may come again.
        """
        excess = connection.likely_bytes - _SLACK_BYTES
        if excess > 0 and excess > connection.most_bytes:
            receipts = list(connection.receipts)
            error = _too_much() if len(receipts) > 1 else _too_large(receipts[0])
            self._end(receipts[len(receipts) // 2 :], error)

    def _share(self, connections: Iterable[Connection]) -> None:
        """End messages of callers that hold more than they leave free, the youngest first."""
        by_holder: dict[Holder, list[tuple[Receipt, int]]] = defaultdict(list)
        for connection in connections:
            for receipt in connection.receipts:
                share_bytes = connection.likely_bytes // len(connection.receipts)
                by_holder[receipt.holder].append((receipt, share_bytes))
        taken = self._admission.taken[Resource.BYTES]
        taken += sum(map(_size, by_holder.values()))
        capacity = self._admission.capacities[Resource.BYTES] + _SLACK_BYTES
        for holder, parts in sorted(by_holder.items(), key=lambda held_by: -_size(held_by[1])):
            held = holder.held(Resource.BYTES) + _size(parts)
            parts.sort(key=lambda part: part[0].began_s)
            most = holder.most.get(Resource.BYTES, capacity)
            while parts and (
                held > most or taken > capacity or (held > capacity - taken and len(parts) > 1)
            ):
                receipt, size = parts.pop()
                self._end([receipt], _too_much())
                held -= size
                taken -= size

    def _bound(self, connections: Iterable[Connection]) -> None:
        """End all messages of connections, of the greediest caller, until no more may be held.

        That frees what messages that were ended before are not known to have freed.
        """
        by_holder: dict[Holder, list[Connection]] = defaultdict(list)
        for connection in connections:
            for receipt in connection.receipts:
                by_holder[receipt.holder].append(connection)
                break
        left = _MOST * self._admission.capacities[Resource.BYTES]
        left -= self._admission.taken[Resource.BYTES]
        left -= sum(map(_held, by_holder.values()))
        while left < 0 and by_holder:
            holder = max(by_holder, key=lambda holder: _held(by_holder[holder]))
            connection = max(by_holder[holder], key=lambda held_by: held_by.held_bytes)
            left += connection.held_bytes
            self._end(list(connection.receipts), _too_much())
            by_holder[holder].remove(connection)
            if not by_holder[holder]:
                del by_holder[holder]

    def _end(self, receipts: Iterable[Receipt], error: DisruptError) -> None:
        for receipt in receipts:
            receipt.end(error)
        self._freed = True

    def _forget(self, now_s: float) -> None:
        self._connections = {
            peer: connection
            for peer, connection in self._connections.items()
            if connection.receipts or not connection.is_old(now_s, _FORGET_S)
        }


def _by_address(values: Mapping[str, _Value]) -> dict[Address, _Value]:
    return {at: value for peer, value in values.items() if (at := address_of(peer)) is not None}


def _size(parts: list[tuple[Receipt, int]]) -> int:
    return sum(size for _, size in parts)


def _held(connections: list[Connection]) -> int:
    return sum(connection.held_bytes for connection in connections)


def _too_slow(receipt: Receipt) -> DisruptError:
    limit_s = receipt.until_s - receipt.began_s
    return DeadlineExceededError(
        f"The message was not received within {limit_s:.0f} s; nothing was done."
    )


def _too_large(receipt: Receipt) -> DisruptError:
    return LimitExceededError(
        f"This call takes messages of at most {receipt.most_bytes} bytes; nothing was done. Send"
        " less at a time.",
        limit=str(receipt.most_bytes),
    )


def _too_much() -> DisruptError:
    return OverloadedError(
        "The server receives too many large messages, many of your organisation; nothing was done."
        " Try again in a moment.",
        retry_after_s=1.0,
    )
