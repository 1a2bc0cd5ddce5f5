"""Shut connections down on which a call's headers do not end: gRPC holds these in much memory.

gRPC hands a call over once its headers are whole. Until a peer has acknowledged the server's
settings it takes 16 MiB of them, as HTTP/2 counts, on each connection: half a million headers of
one byte each, which it holds in 30 MB. Nothing else may come on a connection until they end. So
they are in what it has brought beyond its messages; and if memory grows, that is shut down first.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping

import structlog

from disrupt.server.admission.receipts import Receipts
from disrupt.server.admission.sockets import Address, Sockets, address_of
from disrupt.server.memory import private_bytes, trim

_LOOK_S = 0.05
"""Pause between two looks at this process's memory."""
_CALM_PAUSE_S = 0.5
"""Pause between two looks at what connections have brought, unless memory has grown."""
_PAUSE_PER_LOOK = 20
"""Shortest pause, as a multiple of the processor time that the last such look took."""
_LOG_PAUSE_S = 10.0
_CALM_S = 60.0
"""Time in which growth that lasts is taken for usual."""
_LARGEST_BYTES = 4096
"""More than the handshakes of TLS and HTTP/2 and a call's headers bring."""
_MOST_BYTES = 1 << 18
"""Most that all connections may bring beyond that; held in 16 MB if it is headers."""
_MESSAGES = 4
"""Most memory that messages take, in messages of the largest size."""

_log = structlog.get_logger(__name__)


class HeaderBlocks:
    """What may be unfinished headers on the connections of one worker. For its event loop alone."""

    def __init__(self, receipts: Receipts, message_bytes: int, other_bytes: int) -> None:
        """Shut nothing down before memory has grown by ``message_bytes``, the largest message.

        ``other_bytes`` is what calls may take in memory beside their messages.
        """
        self._receipts = receipts
        self._least_growth_bytes = message_bytes
        self._most_growth_bytes = _MESSAGES * message_bytes + other_bytes
        self._sockets = Sockets()
        self._received: dict[Address, int] = {}
        self._beyond: dict[Address, int] = {}
        """Bytes of each connection since its last message, which were of no message."""
        self._lasting: dict[Address, int] = {}
        """Those of them that had come at the look before: a call's headers end sooner."""
        self._took_s = 0.0
        self._logged_s = -_LOG_PAUSE_S

    async def watch(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        calm_bytes, looked_s = private_bytes(), 0.0
        while True:
            await asyncio.sleep(_LOOK_S)
            now_s, memory_bytes = loop.time(), private_bytes()
            growth_bytes = max(0, memory_bytes - calm_bytes)
            calm_bytes = memory_bytes - round(growth_bytes * (1 - _LOOK_S / _CALM_S))
            pause_s = 0.0 if growth_bytes > self._least_growth_bytes else _CALM_PAUSE_S
            if now_s > looked_s + max(pause_s, _PAUSE_PER_LOOK * self._took_s):
                await self.look(growth_bytes)
                looked_s = loop.time()

    async def look(self, growth_bytes: int) -> None:
        """Look at all connections; shut some down if memory has grown by ``growth_bytes``."""
        whole, self._receipts.whole_bytes = self._receipts.whole_bytes, defaultdict(int)
        under_way = self._receipts.most_bytes()
        received = await asyncio.to_thread(self._read)
        self._note(received, by_address(whole))
        if growth_bytes <= self._least_growth_bytes:
            return
        # It may be of a message under way, unless messages do not explain the growth.
        spared = by_address(under_way) if growth_bytes <= self._most_growth_bytes else {}
        if largest := self._largest(spared):
            self._log(len(largest), growth_bytes)
            await asyncio.to_thread(self._sockets.shut_at, largest)
            await asyncio.to_thread(trim)

    def _read(self) -> dict[Address, int]:
        began_s = time.thread_time()
        received = self._sockets.received()
        self._took_s = time.thread_time() - began_s
        return received

    def _log(self, connections: int, growth_bytes: int) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s > self._logged_s + _LOG_PAUSE_S:
            self._logged_s = now_s
            grown_mb = growth_bytes // 10**6
            _log.warning("endless_headers", connections=connections, grown_mb=grown_mb)

    def _note(self, received: dict[Address, int], whole: Mapping[Address, int]) -> None:
        beyond, lasting = {}, {}
        for at, size in received.items():
            brought = max(0, size - self._received.get(at, 0) - whole.get(at, 0))
            # After a message only what came with it may be of headers that have not ended.
            lasting[at] = 0 if at in whole else self._beyond.get(at, 0)
            beyond[at] = lasting[at] + brought
        self._received, self._beyond, self._lasting = received, beyond, lasting

    def _largest(self, spared: Mapping[Address, int]) -> list[Address]:
        """Return the connections that brought most, without which the others are few bytes."""
        excess = {
            at: size - _LARGEST_BYTES - spared.get(at, 0) for at, size in self._lasting.items()
        }
        left = sum(size for size in excess.values() if size > 0)
        largest = []
        for at in sorted(excess, key=excess.__getitem__, reverse=True):
            if left <= _MOST_BYTES:
                break
            largest.append(at)
            left -= excess[at]
        return largest


def by_address(sizes: Mapping[str, int]) -> dict[Address, int]:
    """Return sizes by the address of each peer that has one."""
    return {at: size for peer, size in sizes.items() if (at := address_of(peer)) is not None}
