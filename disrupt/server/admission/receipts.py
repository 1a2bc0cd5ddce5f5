"""Watch the messages under way to a worker, and end those that take too long or hold too much.

gRPC takes a message of any permitted size into memory once it is asked for, and hands it over when
it is whole. So what the calls that wait for one may hold is estimated by what their connections
have brought, and bounded together with the messages that are whole (Resource.BYTES). A call that
has its message soon, as nearly all do, is never checked.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Self

from disrupt.errors import DeadlineExceededError, DisruptError, LimitExceededError, OverloadedError
from disrupt.server.admission.shares import Admission, Holder, Resource
from disrupt.server.admission.sockets import Sockets
from disrupt.server.memory import trim

_LOOK_S = 0.005
"""Pause between two checks, and age from which a message is checked.

What a connection brings before is not noticed; nearly all messages are whole by then, at no cost.
"""
_LOOK_MAX_S = 0.05
"""Longest pause between two checks of a silent connection: these cost system calls."""
_TRIM_S = 0.25
"""Shortest time between two trims of the memory of messages that were ended."""


_CALL_BYTES = 1024
"""Most bytes of a call beside its message; nearly all calls bring less."""
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
        "holder",
        "most_bytes",
        "peer",
        "until_s",
    )

    def __init__(
        self,
        receipts: Receipts,
        peer: Callable[[], str],
        holder: Holder,
        *,
        most_bytes: int,
        within_s: float,
    ) -> None:
        """``peer`` returns the name of the sender, which is rarely needed."""
        self.most_bytes = most_bytes
        self._receipts = receipts
        self.peer = peer
        self._task = asyncio.current_task()
        self._ended_by: DisruptError | None = None
        self.holder = holder
        self.began_s = asyncio.get_running_loop().time()
        self.until_s = self.began_s + within_s
        self.base_bytes: int | None = None
        """Bytes that its connection had brought beyond whole messages at the first check."""

    @property
    def is_ended(self) -> bool:
        """Whether ``end`` ended it."""
        return self._ended_by is not None

    def end(self, error: DisruptError) -> None:
        """End the call, which is to fail with ``error``."""
        if self._ended_by is None and self._task is not None:
            self._ended_by = error
            self._task.cancel()

    def __enter__(self) -> Self:
        self._receipts.under_way[self] = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _: object
    ) -> None:
        del self._receipts.under_way[self]
        if kind is not None:
            self._receipts.given_up(self)
        if self._ended_by is not None and self._task is not None:
            if kind is asyncio.CancelledError:
                self._task.uncancel()
            raise self._ended_by from None


@dataclass(slots=True)
class _Connection:
    """A connection with messages that are under way."""

    accounted_bytes: int = 0
    """Bytes of its messages that became whole, or were ended, since this object was made."""
    receipts: list[Receipt] = field(default_factory=list)
    received_bytes: int | None = None
    """Bytes received in all, when that was last checked; None where that is not known yet."""
    next_s: float = 0.0
    """Time of the next check."""
    pause_s: float = _LOOK_S

    def look(self, received_bytes: Callable[[], int | None], now_s: float) -> None:
        """Ask how much it has received, the more rarely the longer it brings nothing."""
        if now_s < self.next_s and self.receipts[-1].base_bytes is not None:
            return
        received = received_bytes()
        if received is None:
            return
        is_silent = received == self.received_bytes
        self.received_bytes = received
        self.pause_s = min(2 * self.pause_s, _LOOK_MAX_S) if is_silent else _LOOK_S
        self.next_s = now_s + self.pause_s

    def brought_bytes(self) -> int:
        """Return how many of its bytes belong to the messages that are under way.

        Counted from when the first of them was seen, so that what calls bring beside their
        messages does not add up over the life of a connection, in either direction.
        """
        if self.received_bytes is None:
            return 0
        beyond = self.received_bytes - self.accounted_bytes
        for receipt in self.receipts:
            base = receipt.base_bytes
            receipt.base_bytes = beyond if base is None else min(base, beyond)
        first = self.receipts[0].base_bytes
        return beyond - first if first is not None else 0


class Receipts:
    """All messages that are under way to one worker. For its event loop alone."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.under_way: dict[Receipt, None] = {}
        """In the order in which they began."""
        self._connections: dict[str, _Connection] = {}
        self._sockets = Sockets()
        self._freed = False

    def received(self, receipt: Receipt, size_bytes: int) -> None:
        """Note that a message is whole, and counted elsewhere."""
        if self._connections:
            connection = self._connections.get(receipt.peer())
            if connection is not None:
                connection.accounted_bytes += size_bytes + size_bytes // _FRAMING + _CALL_BYTES

    def given_up(self, receipt: Receipt) -> None:
        """Note that a message will not be whole: what came of it is not of the others."""
        connection = self._connections.get(receipt.peer())
        if connection is not None:
            for other in connection.receipts:
                other.base_bytes = None

    async def watch(self) -> None:
        """Check all messages every ``_LOOK_S`` until cancelled."""
        trimmed_s = 0.0
        while True:
            await asyncio.sleep(_LOOK_S)
            now_s = asyncio.get_running_loop().time()
            if self.under_way:
                self.look(now_s)
            if self._freed and now_s - trimmed_s > _TRIM_S:
                self._freed, trimmed_s = False, now_s
                await asyncio.to_thread(trim)

    def look(self, now_s: float) -> None:
        """End messages that take too long, or hold too much."""
        for connection in self._connections.values():
            connection.receipts.clear()
        for receipt in self.under_way:
            if now_s - receipt.began_s < _LOOK_S:
                break  # and all that began later
            if now_s > receipt.until_s:
                receipt.end(_too_slow(receipt))
            elif not receipt.is_ended:
                connection = self._connections.setdefault(receipt.peer(), _Connection())
                connection.receipts.append(receipt)
        self._connections = {
            peer: connection
            for peer, connection in self._connections.items()
            if connection.receipts
        }
        for peer, connection in self._connections.items():
            connection.look(partial(self._sockets.received_bytes, peer), now_s)
        self._bound()

    def _bound(self) -> None:
        """End messages larger than their calls take, and those of callers that hold too much.

        That is, more than a caller leaves free; its youngest messages end first.
        """
        by_holder: dict[Holder, list[tuple[Receipt, int]]] = defaultdict(list)
        for connection in self._connections.values():
            brought = connection.brought_bytes()
            most_bytes = sum(receipt.most_bytes for receipt in connection.receipts)
            if brought > most_bytes + _SLACK_BYTES:
                # of several any may be the one: the youngest ends, and may come again
                youngest = connection.receipts.pop()
                youngest.end(_too_much() if connection.receipts else _too_large(youngest))
                self._freed = True
                if not connection.receipts:
                    continue
            share_bytes = brought // len(connection.receipts)
            for receipt in connection.receipts:
                by_holder[receipt.holder].append((receipt, share_bytes))
        taken = self._admission.taken[Resource.BYTES]
        taken += sum(map(_size, by_holder.values()))
        capacity = self._admission.capacities[Resource.BYTES]
        for holder, parts in sorted(by_holder.items(), key=lambda held_by: -_size(held_by[1])):
            held = holder.held(Resource.BYTES) + _size(parts)
            parts.sort(key=lambda part: part[0].began_s)
            most = holder.most.get(Resource.BYTES, capacity)
            while parts and (
                held > most or taken > capacity or (held > capacity - taken and len(parts) > 1)
            ):
                receipt, size = parts.pop()
                receipt.end(_too_much())
                self._freed = True
                self._connections[receipt.peer()].accounted_bytes += size
                held -= size
                taken -= size


def _size(parts: list[tuple[Receipt, int]]) -> int:
    return sum(size for _, size in parts)


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
        "The server receives too many large messages, many of them of this key; nothing was done."
        " Try again in a moment.",
        retry_after_s=1.0,
    )
