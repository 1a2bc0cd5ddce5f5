"""A gRPC server in a process of its own: started, announced, drained."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable

from grpc import aio

from disrupt.server.supervision import vital

READY = "ready"
"""What a process prints on standard output once it serves."""

COMPACT = "compact"
"""What the writer prints when the index is to be compacted."""


def say(word: str) -> None:
    """Tells the supervisor."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def until_told_to_stop(
    server: aio.Server, grace_s: float, draining: Callable[[], Awaitable[None]]
) -> None:
    """Serves until SIGTERM, then finishes the calls in flight.

    SIGINT is the supervisor's: a terminal sends it to the whole process group.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await server.start()
    accepting = vital("server", _accept(server))
    say(READY)
    await stop.wait()
    accepting.cancel()
    await draining()
    await server.stop(grace_s)


async def _accept(server: aio.Server) -> None:
    """Raise once the server has stopped, which it does by itself where gRPC's own task fails."""
    await server.wait_for_termination()
    raise RuntimeError("The server stopped without being told to.")
