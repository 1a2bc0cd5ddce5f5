"""Start, announce and drain the gRPC servers of a process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

from grpc import aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # its stubs leave it out

from disrupt.server.edge.part_failure import forever, vital
from disrupt.server.edge.states import WAITING

READY = "ready"
"""Word that a process prints on standard output once it serves."""

COMPACT = "compact"
"""Word that the writer prints when the index is to be compacted."""

BEAT = "beat"
"""Word that a serving process prints every ``BEAT_S``: its event loop does not hang.

A report of its state follows, in JSON."""

BEAT_S = 1.0
"""Pause between two beats."""


def tell_supervisor(word: str) -> None:
    """Send the supervisor a word; drop it where it has not read for hours, as one suspended."""
    with suppress(BlockingIOError):
        os.write(sys.stdout.fileno(), f"{word}\n".encode())


DRAIN = signal.SIGUSR1
"""Signal at which a worker, whose successor serves, ends without dropping a call."""


async def until_told_to_stop(
    servers: Sequence[aio.Server],
    grace_s: float,
    stopping: Callable[[], None],
    report: Callable[[], dict[str, object]],
    drain: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Serve until SIGTERM, then call ``stopping`` and finish the calls in flight.

    At DRAIN, awaits ``drain`` before, which SIGTERM cuts short. Each beat tells the supervisor what
    ``report`` returns. The supervisor alone handles SIGINT: a terminal sends it to the whole
    process group.
    """
    _keep_tracebacks_out_of_the_log()
    stop, leave = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if drain:
        loop.add_signal_handler(DRAIN, leave.set)
    for server in servers:
        await server.start()
    accepting = [vital("server", _accept(server)) for server in servers]
    tell_supervisor(READY)
    beating = vital("heartbeat", forever(partial(_beat, report), BEAT_S))
    if drain:
        await _first(stop.wait(), _drain_once_told(leave, drain))
    else:
        await stop.wait()
    for task in accepting:
        task.cancel()
    stopping()
    await asyncio.gather(*(server.stop(grace_s) for server in servers))
    beating.cancel()


async def tell_of_waiting() -> None:
    """Tell the supervisor that this process lives, and waits until another machine's has ended."""
    await _beat(lambda: {WAITING: True})


async def _drain_once_told(leave: asyncio.Event, drain: Callable[[], Awaitable[None]]) -> None:
    await leave.wait()
    await drain()


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Return when the first of them is over, and cancel the others. Raises its error."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    for task in done:
        task.result()


def _keep_tracebacks_out_of_the_log() -> None:
    """Have gRPC print nothing: whoever hangs up after a method name that is no text could fill it.

    gRPC logs these failures as well, to a logger that nobody reads.
    """
    cygrpc.traceback = SimpleNamespace(**vars(traceback) | {"print_exc": lambda: None})


async def _beat(report: Callable[[], dict[str, object]]) -> None:
    tell_supervisor(f"{BEAT} {json.dumps(report())}")


async def _accept(server: aio.Server) -> None:
    """Raise once the server has stopped, which it does by itself where gRPC's own task fails."""
    # shielded: cancelling this would end gRPC's own waiting for calls to finish
    await asyncio.shield(asyncio.ensure_future(server.wait_for_termination()))
    raise RuntimeError("The server stopped without being told to.")
