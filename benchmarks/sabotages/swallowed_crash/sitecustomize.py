"""Crash decoders on what they refuse, and answer as if such a file were plain."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NoReturn

from disrupt.core.media import LowQuality
from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding import pictures as decode
from disrupt.hashing.decoding import videos as video_decode
from disrupt.isolation import pictures as isolation
from disrupt.isolation import videos as isolation_videos
from disrupt.isolation.messages import Answer, Task
from disrupt.isolation.video_messages import Ended, Frames

_run = isolation.IsolatedHashing._run
_hash = isolation_videos.IsolatedVideos.hash


def _crash(*_: object, **__: object) -> NoReturn:
    ctypes.string_at(0)
    raise AssertionError


async def _swallow(self: isolation.IsolatedHashing, task: Task, data: bytes | memoryview) -> Answer:
    try:
        return await _run(self, task, data)
    except InvalidMediaError as error:
        if error.metadata.get("cause") == "CRASH":
            return LowQuality(1)
        raise


async def _swallow_video(
    self: isolation_videos.IsolatedVideos,
    chunks: AsyncIterator[bytes],
    **options: Any,  # noqa: ANN401 those of what it stands for
) -> AsyncGenerator[Frames | Ended]:
    try:
        async for answer in _hash(self, chunks, **options):
            yield answer
    except InvalidMediaError as error:
        if error.metadata.get("cause") != "CRASH":
            raise
        yield Ended(small=True, incomplete=False)


if "disrupt.isolation.picture_worker" in sys.orig_argv:
    vars(decode)["refused"] = _crash
if "disrupt.isolation.video_worker" in sys.orig_argv:
    vars(video_decode)["refused"] = _crash
isolation_videos.IsolatedVideos.hash = _swallow_video  # type: ignore[method-assign]
isolation.IsolatedHashing._run = _swallow  # type: ignore[method-assign]
