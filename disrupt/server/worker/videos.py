"""Receive videos, which come in parts, no faster than they are decoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Effort, VideoOptions
from disrupt.core.media import LowQuality
from disrupt.core.videos import Versions, VideoFingerprints
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    InvalidRequestError,
    LimitExceededError,
    Violation,
)
from disrupt.hashing.videos.frames import REGISTRATION_INTERVAL_MS, fingerprints
from disrupt.isolation.video_messages import Ended
from disrupt.isolation.videos import IsolatedVideos
from disrupt.server.edge.limits import CHUNK_BYTES_MAX, FRAMES_MAX
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.shares import Resource, holder
from disrupt.services.video_matching import VideoLookup
from disrupt.v1 import match_pb2, registration_pb2
from disrupt.wire import videos as wire

_FRAMES_AT_ONCE = 16
"""Frames that are searched together."""

_Part = TypeVar("_Part", match_pb2.MatchVideoRequest, registration_pb2.RegisterVideoRequest)


async def first_part(parts: AsyncIterator[_Part], name: str) -> _Part:
    """Receive the part that has to come first, which is called ``name``."""
    part = await anext(parts, None)
    if part is None or part.WhichOneof("part") != name:
        raise _invalid(f"send the {name} first, then the video in chunks")
    return part


async def fingerprint(
    videos: IsolatedVideos, parts: AsyncIterator[registration_pb2.RegisterVideoRequest]
) -> VideoFingerprints | LowQuality:
    """Compute what is registered of the video whose chunks ``parts`` are."""
    rows: list[NDArray[np.void]] = []
    ended = Ended(small=False, incomplete=False)
    # Twice what two versions of each frame are: only a decoder that was taken over gives more.
    left = 4 * (videos.limits.max_duration_s * 1000 // REGISTRATION_INTERVAL_MS + 1)
    hashing = videos.hash(
        _chunks(parts),
        interval_ms=REGISTRATION_INTERVAL_MS,
        versions=Versions.STORED,
    )
    with holder.get().holding(Resource.VIDEOS):
        async with aclosing(hashing) as answers:
            async for answer in answers:
                if isinstance(answer, Ended):
                    ended = answer
                    continue
                rows.append(answer.rows)
                left -= len(answer.rows)
                if left < 0:
                    raise DisruptError("The decoder gave more frames than its limits allow.")
    if not rows:
        raise DisruptError("The decoder gave no frame, and no reason.")
    return fingerprints(np.concatenate(rows), small=ended.small, incomplete=ended.incomplete)


@dataclass(slots=True)
class VideoSearch:
    """A lookup of a video's frames, in blocks, each in a turn of a thread.

    What the lookup holds is counted as its caller's, until ``let_go``.
    """

    lookup: VideoLookup
    options: VideoOptions
    searching: Pool
    incomplete: bool = False
    answered_early: bool = False
    _waiting: list[NDArray[np.void]] = field(default_factory=list)
    _held_bytes: int = 0

    async def run(
        self, videos: IsolatedVideos, parts: AsyncIterator[match_pb2.MatchVideoRequest]
    ) -> None:
        """Look up what comes: chunks of a file, or frames."""
        part = await anext(parts, None)
        if part is not None and part.WhichOneof("part") == "frames":
            await self._frames(part, parts)
        else:
            await self._file(videos, _chunks(parts, part))

    async def compare(self) -> None:
        """Compare all frames with what they are near to, before the lookup's matches."""
        async for _ in in_turns(self.searching, self.lookup.weigh()):
            pass

    def let_go(self) -> None:
        """Count what the lookup holds as the caller's no more."""
        holder.get().give_back(Resource.VIDEO_BYTES, self._held_bytes)
        self._held_bytes = 0

    async def _file(self, videos: IsolatedVideos, chunks: AsyncIterator[bytes]) -> None:
        fast = self.options.lookup.effort == Effort.FAST
        versions = Versions.NONE if fast else Versions.SEARCHED
        hashing = videos.hash(chunks, interval_ms=self.options.interval_ms, versions=versions)
        with holder.get().holding(Resource.VIDEOS):
            async with aclosing(hashing) as answers:
                async for answer in answers:
                    if isinstance(answer, Ended):
                        self.incomplete = answer.incomplete
                        continue
                    self._waiting.append(answer.rows)
                    if await self._search(_FRAMES_AT_ONCE):
                        return
        await self._search(1)

    async def _frames(
        self,
        part: match_pb2.MatchVideoRequest | None,
        parts: AsyncIterator[match_pb2.MatchVideoRequest],
    ) -> None:
        last_ms = 0
        while part is not None:
            if part.WhichOneof("part") != "frames":
                raise _invalid("after frames only frames can come")
            # not walked here, on the event loop: there may be a hundred thousand
            frames = await self.searching.run(list, wire.frames(part.frames))
            if int(frames[0]["start_ms"][0]) < last_ms:
                raise InvalidRequestError.of(
                    Violation("frames.start_ms", "frames must ascend in time")
                )
            last_ms = int(frames[-1]["start_ms"][0])
            self._waiting += frames
            if self.lookup.hashed + len(self._waiting) > FRAMES_MAX:
                raise LimitExceededError(
                    f"At most {FRAMES_MAX} frames in one lookup. Send the video in parts.",
                    limit=str(FRAMES_MAX),
                )
            if await self._search(_FRAMES_AT_ONCE):
                return
            part = await anext(parts, None)
        await self._search(1)

    async def _search(self, least: int) -> bool:
        """Look up waiting frames if there are ``least``; tell whether the answer is certain."""
        if len(self._waiting) < least:
            return False
        frames, self._waiting = self._waiting, []

        for start in range(0, len(frames), _FRAMES_AT_ONCE):
            adding = self.lookup.adding(frames[start : start + _FRAMES_AT_ONCE])
            async for _ in in_turns(self.searching, adding):
                pass
            self._hold()
            if self.options.answer_early:
                async for certain in in_turns(self.searching, self.lookup.certain()):
                    if certain:
                        self.answered_early = True
                        return True
        return False

    def _hold(self) -> None:
        more_bytes = self.lookup.held_bytes - self._held_bytes
        holder.get().take(Resource.VIDEO_BYTES, more_bytes)
        self._held_bytes += more_bytes


async def in_turns(pool: Pool, steps: Iterator[bool]) -> AsyncIterator[bool]:
    """Make each step in a turn of its own, so that callers alternate."""
    while (step := await pool.run(next, steps, None)) is not None:
        yield step


async def in_time(parts: AsyncIterator[_Part], stall_s: float) -> AsyncIterator[_Part]:
    """Yield the parts of a call; DeadlineExceededError where none comes for ``stall_s``."""
    while True:
        try:
            async with asyncio.timeout(stall_s):
                part = await anext(parts, None)
        except TimeoutError:
            raise DeadlineExceededError(f"No part of the video came for {stall_s:g} s.") from None
        if part is None:
            return
        yield part


async def _chunks(parts: AsyncIterator[_Part], first: _Part | None = None) -> AsyncIterator[bytes]:
    """Yield the chunks of a file, each of at most 1 MiB."""
    while True:
        part = first if first is not None else await anext(parts, None)
        first = None
        if part is None:
            return
        if part.WhichOneof("part") != "chunk":
            raise _invalid("after the first message only chunks of the file can come")
        if len(part.chunk) > CHUNK_BYTES_MAX:
            raise InvalidRequestError.of(
                Violation("chunk", f"{len(part.chunk)} bytes; at most {CHUNK_BYTES_MAX} in a part")
            )
        if part.chunk:
            yield part.chunk


def _invalid(reason: str) -> InvalidRequestError:
    return InvalidRequestError.of(Violation("part", reason))
