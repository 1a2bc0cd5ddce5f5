"""Threads for work beside the event loop: a call that hangs up takes none with it."""

from __future__ import annotations

import asyncio
import threading

from disrupt.server.edge.pool import Pool

THREADS = 2


def test_calls_that_are_hung_up_together_leave_every_thread_and_place() -> None:
    async def run() -> list[int]:
        pool, going_on = Pool("test", threads=THREADS, queued=10), threading.Event()
        working = [asyncio.create_task(pool.run(going_on.wait)) for _ in range(THREADS)]
        waiting = [asyncio.create_task(pool.run(int)) for _ in range(10)]
        await asyncio.sleep(0)
        going_on.set()
        while pool._queue._free < THREADS:
            for task in waiting:
                task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*working, *waiting, return_exceptions=True)
        async with asyncio.timeout(60):
            return await asyncio.gather(*(pool.run(int) for _ in range(THREADS + 10)))

    assert asyncio.run(run()) == [0] * (THREADS + 10)
