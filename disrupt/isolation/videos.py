"""Untrusted videos are decoded and hashed in processes of their own, while they come in."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from mmap import MADV_REMOVE
from types import TracebackType
from typing import Self

import structlog

from disrupt.core.videos import Versions
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    OverloadedError,
)
from disrupt.hashing.decoding.videos import DEFAULT_LIMITS, VideoLimits, refused
from disrupt.isolation.child import Cause, Child, ProcessDiedError
from disrupt.isolation.messages import Ready, Refused
from disrupt.isolation.picture_process import START_TIMEOUT_S
from disrupt.isolation.pool import DecoderPool
from disrupt.isolation.video_messages import (
    ANSWER_BYTES_MAX,
    Answer,
    Begin,
    Ended,
    Fed,
    Frames,
    Request,
    Wanted,
    pack_request,
    unpack_video_answer,
)
from disrupt.isolation.video_worker import AHEAD_BYTES
from disrupt.tasks import ignore_error

_PATIENCE_S = 5.0
"""Total time that a sender may keep its process waiting while others wait for one."""
_LEAST_BYTES_PER_S = 256 * 1024
"""Rate at which received parts extend that time: 2 Mbit/s are enough."""
_LOOK_S = 0.5

_CUT_SHORT_S = 1.0
"""Time for a process to be done with a video that was given up. To start another takes as long."""

_LONG_RETRY_AFTER_S = 60.0
"""Pause before a video is to be sent again that took long while others waited."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VideoIsolationLimits:
    """Limits of one process.

    ``memory_bytes`` of address space beside the file: a video of 9 megapixels a frame takes 0.6
    GiB, libraries 0.4. ``cpu_s`` of processor time for one video, in whole seconds: an hour of
    720p takes about 100. ``wanted_s``: longest time from when another caller waits for a process.
    ``stall_s``: longest wait for the next part of a file.
    """

    memory_bytes: int = 1536 * 2**20
    cpu_s: int = 300
    wanted_s: float = 60.0
    stall_s: float = 20.0


class IsolatedVideos(DecoderPool):
    """Hashes videos in processes; more than may wait are OverloadedError.

    An asynchronous context, on the main thread. Processes start when they are
    first needed, and serve one video at a time. One that does not leave a video that is given up
    is killed.
    """

    medium = field = "video"
    smaller = "send a smaller version, or parts"
    retry_after_s = 5.0

    def __init__(
        self,
        *,
        workers: int,
        queued: int,
        limits: VideoLimits = DEFAULT_LIMITS,
        isolation: VideoIsolationLimits = VideoIsolationLimits(),
    ) -> None:
        super().__init__(
            workers=workers,
            queued=queued,
            memory_bytes=isolation.memory_bytes,
            cpu_s=isolation.cpu_s,
        )
        self.limits = limits
        self._isolation = isolation
        self._processes: set[_Process] = set()
        self._idle: list[_Process] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Kill the processes, whatever they are at."""
        for process in self._processes:
            process.kill()
        await asyncio.gather(*(process.wait() for process in self._processes))

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of the processes that are ready or at work."""
        return frozenset(process.pid for process in self._processes if process.status is None)

    async def start(self) -> None:
        """Start a process ahead of its first video. Raises OSError or ProcessDiedError."""
        process, _ = await self._started()
        self._idle.append(process)

    async def hash(
        self, chunks: AsyncIterator[bytes], *, interval_ms: int, versions: Versions
    ) -> AsyncGenerator[Frames | Ended]:
        """Hash the file that ``chunks`` are parts of; yield frames as they come, and then its end.

        A caller that leaves it early has to close it. ``interval_ms`` and ``versions`` as of
        ``VideoHashing``. No more than 4 MiB are taken from ``chunks`` ahead of the decoder.

        InvalidMediaError for a file that is no video within the limits, and for one that crashes
        its decoder, takes too much memory or processor time; DeadlineExceededError where no part
        comes for ``stall_s``; OverloadedError, also where another caller waits while parts come too
        slowly, or for ``wanted_s``; UnavailableError. Those that wait take turns by caller,
        see ``fair_queue``.
        """
        self._take_place()
        try:
            async with self._queue.turn():
                process = await self._ready()
                feeding = asyncio.create_task(self._feed(process, chunks))
                feeding.add_done_callback(ignore_error)  # an answer may come first
                last: Answer | None = None
                try:
                    process.allow_cpu_time(self._isolation.cpu_s)
                    await process.send(Begin(interval_ms, versions, self.limits))
                    while last is None:
                        answer = await self._next(process, feeding)
                        if not isinstance(answer, Frames):
                            last = answer
                        if not isinstance(answer, Frames | Ended):
                            raise self._error_of_answer(answer)
                        yield answer
                finally:
                    feeding.cancel()
                    try:
                        await asyncio.wait({feeding})  # it reads chunks, which are closed next
                        await self._leave(process, last)
                    except BaseException:
                        process.kill()
                        raise
        finally:
            self._places += 1

    async def _ready(self) -> _Process:
        self._processes = {process for process in self._processes if process.status is None}
        while self._idle:
            process = self._idle.pop()
            if process.status is None:
                return process
            self._note_death(ProcessDiedError(Cause.IDLE, process.status))
        try:
            process, ready = await self._started()
        except (OSError, ProcessDiedError) as error:
            _log.error("decoder_does_not_start", problem=str(error) or type(error).__name__)
            raise DisruptError("The decoder of videos does not start; the log says why.") from error
        if isinstance(ready, Ready) and ready.missing:
            _log.error("sandbox_incomplete", kernel_lacks=ready.missing)
        return process

    async def _started(self) -> tuple[_Process, Answer]:
        """Start a process, and return it with its first answer."""
        file_bytes = self.limits.max_bytes
        process = _Process(file_bytes, self._isolation.memory_bytes + file_bytes)
        self._processes.add(process)
        try:
            return process, await process.answer(START_TIMEOUT_S)
        except BaseException:
            process.kill()
            raise

    async def _feed(self, process: _Process, chunks: AsyncIterator[bytes]) -> None:
        size_bytes, spare_s = 0, _PATIENCE_S
        while True:
            began_s = time.monotonic()
            chunk = await self._part(chunks, spare_s)
            spare_s -= time.monotonic() - began_s
            if chunk is None:
                break
            if size_bytes + len(chunk) > self.limits.max_bytes:
                raise refused(
                    f"the file has more than the {self.limits.max_bytes} bytes that are accepted;"
                    " send a smaller version, or parts"
                )
            process.put(size_bytes, chunk)
            size_bytes += len(chunk)
            spare_s += len(chunk) / _LEAST_BYTES_PER_S
            await process.send(Fed(size_bytes, whole=False))
            await process.wants(size_bytes)
        await process.send(Fed(size_bytes, whole=True))

    async def _part(self, chunks: AsyncIterator[bytes], spare_s: float) -> bytes | None:
        """Wait for the next part: ``stall_s`` at most, or ``spare_s`` where others wait."""
        coming = asyncio.ensure_future(anext(chunks, None))
        coming.add_done_callback(ignore_error)  # it may come as this gives up
        began_s = time.monotonic()
        try:
            while True:
                await asyncio.wait({coming}, timeout=min(_LOOK_S, self._isolation.stall_s))
                if coming.done():
                    return coming.result()
                waited_s = time.monotonic() - began_s
                if waited_s >= self._isolation.stall_s:
                    raise DeadlineExceededError(
                        f"No part of the video came for {self._isolation.stall_s:g} s."
                    )
                if waited_s > spare_s and self._queue.are_wanted():
                    raise OverloadedError(
                        "The video comes too slowly while others wait. Try again later, or send a"
                        " smaller version.",
                        retry_after_s=self.retry_after_s,
                    )
        finally:
            coming.cancel()
            await asyncio.wait({coming})

    async def _leave(self, process: _Process, last: Answer | None) -> None:
        """Keep a process for the next video if it is done with this one, or soon is; or kill it.

        ``last`` is its last answer, None where the video was given up.
        """
        if last is None:
            last = await process.cut_short()
        if isinstance(last, Ended | Refused):
            process.forget()
            self._idle.append(process)
        else:
            process.kill()

    async def _next(self, process: _Process, feeding: asyncio.Task[None]) -> Answer:
        """Return its next answer; an error of ``feeding`` is raised at once."""
        receiving = asyncio.create_task(process.answer(None))
        receiving.add_done_callback(ignore_error)  # the feed may fail at the same time
        try:
            while not receiving.done():
                self._check_turn(process)
                awaited = {receiving} if feeding.done() else {receiving, feeding}
                await asyncio.wait(awaited, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                if feeding.done() and not receiving.done():
                    with contextlib.suppress(ConnectionError):  # The process has ended.
                        feeding.result()
            return receiving.result()
        except ProcessDiedError as death:
            self._note_death(death)
            raise self._error_of_death(death) from None
        finally:
            receiving.cancel()

    def _check_turn(self, process: _Process) -> None:
        """Raise OverloadedError if another caller has waited for long."""
        now_s = time.monotonic()
        is_wanted = self._queue.are_wanted()
        process.wanted_since_s = min(process.wanted_since_s, now_s) if is_wanted else math.inf
        if now_s - process.wanted_since_s > self._isolation.wanted_s:
            raise OverloadedError(
                "The video takes long while others wait. Try again later, or send a"
                " smaller version, or parts.",
                retry_after_s=_LONG_RETRY_AFTER_S,
            )


class _Process(Child):
    """One process, which has one video at a time."""

    def __init__(self, file_bytes: int, memory_bytes: int) -> None:
        super().__init__("disrupt.isolation.video_worker", file_bytes, memory_bytes)
        self.wanted_since_s = math.inf
        """Time since which another caller waits."""
        self._read = 0
        self._further = asyncio.Event()

    async def send(self, request: Request) -> None:
        """Send a request; ConnectionError where it is gone: ``answer`` then says why."""
        await asyncio.get_running_loop().sock_sendall(self._socket, pack_request(request))

    def put(self, at: int, chunk: bytes) -> None:
        """Put a part of the file where it can read it."""
        self._shared[at : at + len(chunk)] = chunk

    async def wants(self, size_bytes: int) -> None:
        """Wait until it has use for more than ``size_bytes``."""
        while size_bytes >= self._read + AHEAD_BYTES:
            self._further.clear()
            await self._further.wait()

    async def answer(self, timeout_s: float | None) -> Answer:
        """Return its next answer, without progress reports; ProcessDiedError where it ends."""
        while True:
            message = await self.receive(timeout_s, ANSWER_BYTES_MAX)
            try:
                answer = unpack_video_answer(message)
            except ValueError:
                raise await self.died(Cause.CRASH) from None
            if not isinstance(answer, Wanted):
                return answer
            self._read = answer.position
            self._further.set()

    async def cut_short(self) -> Answer | None:
        """End the video where it is read to; return the last answer, None if none comes soon."""
        with contextlib.suppress(TimeoutError, OSError, ProcessDiedError):
            async with asyncio.timeout(_CUT_SHORT_S):
                await self.send(Fed(0, whole=True))
                while isinstance(answer := await self.answer(None), Frames):
                    pass
                return answer
        return None

    def forget(self) -> None:
        """Be ready for the next video; free the memory of this one, for both sides."""
        self._read = 0
        self.wanted_since_s = math.inf
        self._shared.madvise(MADV_REMOVE)
