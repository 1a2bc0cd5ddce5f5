"""Take a worker's connections away from it, so that no call that it has read is dropped.

``grpc.Server.stop`` cancels calls that arrive as it begins. A connection that reaches its age ends
otherwise: gRPC tells the client to go elsewhere while it still takes calls.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOOK_S = 1.0
"""Pause between two looks: each takes some 20 ms for a thousand connections."""
_AGE_JITTER = 1.1
"""gRPC closes connections between 0.9 and 1.1 times their age."""
_MARGIN_S = 0.5


def close_listeners(port: int) -> None:
    """Take no more connections on a port, on which other processes listen as well."""
    for listener in _sockets(port):
        if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def connections(port: int) -> int:
    """Return how many connections to a port this process has."""
    return sum(1 for connection in _sockets(port) if _has_peer(connection))


async def connections_end(port: int, within_s: float) -> None:
    """Wait until there are none, or ``within_s`` have passed."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while connections(port):  # noqa: ASYNC110 nothing tells of their end
                await asyncio.sleep(_LOOK_S)


def longest_s(age_s: float) -> float:
    """Return the time after which no connection is left that takes new calls."""
    return _AGE_JITTER * age_s + _MARGIN_S


def _sockets(port: int) -> Iterator[socket.socket]:
    """Yield a copy of each TCP socket of this process on a port, open until the next."""
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError), _copied(int(path.name)) as copy:
            if copy is not None and copy.getsockname()[1] == port:
                yield copy


@contextmanager
def _copied(descriptor: int) -> Iterator[socket.socket | None]:
    # A copy of another file must not be closed: that gives away the process's locks on it.
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        yield None
        return
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        yield copy if copy.family in {socket.AF_INET, socket.AF_INET6} else None


def _has_peer(copy: socket.socket) -> bool:
    try:
        copy.getpeername()
    except OSError:
        return False
    return True
