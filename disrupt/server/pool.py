"""Threads for work that would hold up the event loop, with a bound on what may wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from disrupt.errors import OverloadedError

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Pool:
    """``threads`` that work and a queue of ``queued`` calls; more is an OverloadedError.

    A call that is cancelled while it waits leaves the queue. One that is being worked on keeps its
    place until its thread has finished, since that is what it occupies.
    """

    def __init__(self, name: str, *, threads: int, queued: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._places = threading.BoundedSemaphore(threads + queued)

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What ``function`` returns or raises, in a thread."""
        if not self._places.acquire(blocking=False):
            raise OverloadedError("The server is busy. Try again in a moment.", retry_after_s=1.0)
        try:
            future = self._executor.submit(function, *args, **kwargs)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)
