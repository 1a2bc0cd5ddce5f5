"""Shut connections down that bring many headers: gRPC holds these in sixty times their bytes.

gRPC hands a call over once its headers are whole. Until a peer has acknowledged the server's
settings it takes 16 MiB of them, as HTTP/2 counts, on each connection: half a million headers of
one byte each, which it holds in 30 MB. So what connections bring is compared with what explains
it: their messages, and some bytes for each. What is left may be headers.
"""

from __future__ import annotations

import threading
import time
from typing import NoReturn

import structlog

from disrupt.server.admission.receipts import Receipts
from disrupt.server.admission.sockets import Address, Sockets
from disrupt.server.memory import private_bytes, trim

_PAUSE_S = 0.05
"""Shortest pause between two looks."""
_CALM_PAUSE_S = 0.5
"""Longest pause between two looks, while memory does not grow: headers would take some."""
_GROWTH_BYTES = 1 << 20
"""Growth of memory since the last look that needs another."""
_PAUSE_PER_LOOK = 20
"""Shortest pause, as a multiple of the processor time that the last look took."""
_ALARMED_PAUSE_PER_LOOK = 2
"""The same while much is unexplained."""
_ALARMING_BYTES = 1 << 18
_LOG_PAUSE_S = 10.0
_CALM_S = 60.0
"""Time in which growth of memory that lasts is taken for usual."""
_MOST_BYTES_OF_ONE = 96 * 1024
"""Most that a connection may bring unexplained: more than the headers of its calls, and messages
that have come before they were asked for, of which it may send 64 KiB."""
_MOST_BYTES = 2 << 20
"""Most that all connections may bring unexplained; held in 120 MB if it is headers."""
_COMING_S = 1.0
"""Time for which the rest of a message that was given up may still come."""
_PER_SENT = 100
"""A connection acknowledges this many bytes that were sent to it with one of its own, or fewer."""
_MESSAGES = 4
"""Most memory that messages take, in messages of the largest size."""

_log = structlog.get_logger(__name__)


class HeaderBlocks:
    """What may be headers on the connections of one worker. For a thread of its own.

    The event loop may be busy with headers that have ended.
    """

    def __init__(self, receipts: Receipts, message_bytes: int, other_bytes: int) -> None:
        """Take the largest message, and what calls may take in memory beside their messages."""
        self._receipts = receipts
        self._most_growth_bytes = _MESSAGES * message_bytes + other_bytes
        self._sockets = Sockets()
        self._forgiven: dict[Address, int] = {}
        """What connections brought unexplained until a message was given up, or soon after."""
        self._looked_s = time.monotonic()
        self._is_freed = False
        self._logged_s = -_LOG_PAUSE_S

    def start(self) -> None:
        """Look from now on. A failure ends the process, see ``supervision``."""
        threading.Thread(target=self._run, name="header blocks", daemon=True).start()

    def _run(self) -> NoReturn:
        calm_bytes, looked_s = private_bytes(), time.monotonic()
        while True:
            began_s = time.thread_time()
            memory_bytes = private_bytes()
            growth_bytes = max(0, memory_bytes - calm_bytes)
            unexplained_bytes = self.look(growth_bytes)
            is_alarming = unexplained_bytes > _ALARMING_BYTES
            pauses = _ALARMED_PAUSE_PER_LOOK if is_alarming else _PAUSE_PER_LOOK
            time.sleep(max(_PAUSE_S, pauses * (time.thread_time() - began_s)))
            if not is_alarming:
                _await_growth(memory_bytes)
            now_s = time.monotonic()
            calm_bytes = memory_bytes - round(
                growth_bytes * max(0, 1 - (now_s - looked_s) / _CALM_S)
            )
            looked_s = now_s

    def look(self, growth_bytes: int) -> int:
        """Look at all connections; shut down those whose bytes nothing explains.

        ``growth_bytes`` is the recent growth of this process's memory. Return how many bytes are
        unexplained.
        """
        # In this order, so that a message which becomes whole meanwhile counts, at most twice.
        traffic = self._sockets.traffic()
        waiting = self._receipts.waiting()
        explained = self._receipts.explained(traffic)
        unexplained = {
            at: received - sent // _PER_SENT - explained.get(at, 0)
            for at, (received, sent) in traffic.items()
        }
        given_up = self._receipts.given_up(self._looked_s - _COMING_S)
        self._looked_s = time.monotonic()
        self._forgiven = {
            at: size if at in given_up else self._forgiven.get(at, 0)
            for at, size in unexplained.items()
            if at in given_up or at in self._forgiven
        }
        beyond_messages = {
            at: size - self._forgiven.get(at, 0)
            for at, size in unexplained.items()
            if at not in waiting
        }
        excessive = _excessive(beyond_messages)
        # Headers may hide behind messages under way, unless these do not explain the growth.
        if not excessive and growth_bytes > self._most_growth_bytes:
            largest = max(unexplained, key=unexplained.__getitem__, default=None)
            if largest is not None and unexplained[largest] > _MOST_BYTES_OF_ONE:
                excessive = [largest]
        if excessive:
            self._note(len(excessive), growth_bytes)
            self._sockets.shut_at(excessive)
        elif self._is_freed:  # by gRPC, since the last look
            trim()
        self._is_freed = bool(excessive)
        return sum(size for size in beyond_messages.values() if size > 0)

    def _note(self, connections: int, growth_bytes: int) -> None:
        now_s = time.monotonic()
        if now_s > self._logged_s + _LOG_PAUSE_S:
            self._logged_s = now_s
            grown_mb = growth_bytes // 10**6
            _log.warning("endless_headers", connections=connections, grown_mb=grown_mb)


def _await_growth(memory_bytes: int) -> None:
    """Return once this process takes more memory, or after some time."""
    until_s = time.monotonic() + _CALM_PAUSE_S
    while time.monotonic() < until_s:
        now_bytes = private_bytes()
        if now_bytes > memory_bytes + _GROWTH_BYTES:
            return
        memory_bytes = min(memory_bytes, now_bytes)
        time.sleep(_PAUSE_S)


def _excessive(sizes: dict[Address, int]) -> list[Address]:
    """Return the connections of the largest sizes, until the others are small, alone and in all."""
    left = sum(size for size in sizes.values() if size > 0)
    most = _MOST_BYTES if left <= _MOST_BYTES else _MOST_BYTES // 2
    excessive = []
    for at in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if sizes[at] <= _MOST_BYTES_OF_ONE and left <= most:
            break
        excessive.append(at)
        left -= sizes[at]
    return excessive
