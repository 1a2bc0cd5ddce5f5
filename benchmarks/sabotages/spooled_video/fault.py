"""Keep videos that are sent in a temporary file for a moment."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator

from disrupt.core.videos import Versions
from disrupt.isolation.video_messages import Ended, Frames
from disrupt.isolation.videos import IsolatedVideos

_hash = IsolatedVideos.hash


async def _spool_and_hash(
    self: IsolatedVideos, chunks: AsyncIterator[bytes], *, interval_ms: int, versions: Versions
) -> AsyncGenerator[Frames | Ended]:
    with tempfile.TemporaryFile() as spool:

        async def spooled() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                spool.write(chunk)
                spool.flush()
                yield chunk

        async for answer in _hash(self, spooled(), interval_ms=interval_ms, versions=versions):
            yield answer


IsolatedVideos.hash = _spool_and_hash  # type: ignore[method-assign]
