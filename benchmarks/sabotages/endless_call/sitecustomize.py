"""The call of a picture that cannot be decoded is never answered."""

from __future__ import annotations

import asyncio

from disrupt.errors import InvalidMediaError
from disrupt.hashing import isolation
from disrupt.hashing.isolation_messages import Answer, Task

_run = isolation.IsolatedHashing._run


async def _wait(self: isolation.IsolatedHashing, task: Task, data: bytes) -> Answer:
    try:
        return await _run(self, task, data)
    except InvalidMediaError:
        await asyncio.Event().wait()
        raise


isolation.IsolatedHashing._run = _wait  # type: ignore[method-assign]
