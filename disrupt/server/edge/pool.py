"""Threads for work that would hold up the event loop, with a bound on what may wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from disrupt.errors import OverloadedError
from disrupt.fair_queue import FairQueue

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Pool:
    """``threads`` that work and a queue of ``queued`` calls; one more raises OverloadedError.

    For one event loop. Callers take turns. A call that is cancelled while it waits leaves the
    queue. One that is being worked on keeps its place until its thread has finished, since that is
    what it occupies.
    """

    def __init__(self, name: str, *, threads: int, queued: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._queue = FairQueue(threads)
        self._places = threads + queued

    @property
    def waiting(self) -> int:
        """Number of calls that wait for a thread."""
        return self._queue.waiting

    @property
    def pace_s(self) -> float:
        """Time by which each call that waits delays those behind it, as measured of late."""
        return self._queue.pace_s

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run ``function`` in a thread, and return or raise what it does."""
        if not self._places:
            raise OverloadedError("The server is busy. Try again in a moment.", retry_after_s=1.0)
        self._places -= 1
        try:
            turn = await self._queue.begin()
        except BaseException:
            self._places += 1
            raise
        loop = asyncio.get_running_loop()

        def ended() -> None:
            self._places += 1
            turn.end()

        def done(_: Any) -> None:  # noqa: ANN401 any future
            with suppress(RuntimeError):  # a loop that is closed has no turns to give
                loop.call_soon_threadsafe(ended)

        try:
            future = self._executor.submit(function, *args, **kwargs)
        except BaseException:
            ended()
            raise
        future.add_done_callback(done)
        return await asyncio.wrap_future(future)
