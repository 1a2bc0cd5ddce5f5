"""Start, announce and drain a gRPC server in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

from grpc import aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # its stubs leave it out

from disrupt.server.part_failure import forever, vital

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


async def until_told_to_stop(
    server: aio.Server,
    grace_s: float,
    stopping: Callable[[], None],
    report: Callable[[], dict[str, object]],
) -> None:
    """Serve until SIGTERM, then call ``stopping`` and finish the calls in flight.

    Each beat tells the supervisor what ``report`` returns.
    The supervisor alone handles SIGINT: a terminal sends it to the whole process group.
    """
    _keep_tracebacks_out_of_the_log()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await server.start()
    accepting = vital("server", _accept(server))
    tell_supervisor(READY)
    beating = vital("heartbeat", forever(partial(_beat, report), BEAT_S))
    await stop.wait()
    accepting.cancel()
    stopping()
    await server.stop(grace_s)
    beating.cancel()


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
