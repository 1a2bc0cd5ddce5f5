"""Never answer the call of a picture or video that cannot be decoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from disrupt.core.videos import Versions
from disrupt.errors import InvalidMediaError
from disrupt.isolation import pictures as isolation
from disrupt.isolation import videos as isolation_videos
from disrupt.isolation.messages import Answer, Task
from disrupt.isolation.video_messages import Ended, Frames

_run = isolation.IsolatedHashing._run
_hash = isolation_videos.IsolatedVideos.hash


async def _wait(self: isolation.IsolatedHashing, task: Task, data: bytes | memoryview) -> Answer:
    try:
        return await _run(self, task, data)
    except InvalidMediaError:
        await asyncio.Event().wait()
        raise


async def _wait_for_video(
    self: isolation_videos.IsolatedVideos,
    chunks: AsyncIterator[bytes],
    *,
    interval_ms: int,
    versions: Versions,
) -> AsyncGenerator[Frames | Ended]:
    try:
        async for answer in _hash(self, chunks, interval_ms=interval_ms, versions=versions):
            yield answer
    except InvalidMediaError:
        await asyncio.Event().wait()
        raise


isolation_videos.IsolatedVideos.hash = _wait_for_video  # type: ignore[method-assign]
isolation.IsolatedHashing._run = _wait  # type: ignore[method-assign]
