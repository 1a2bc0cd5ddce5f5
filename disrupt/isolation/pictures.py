"""Untrusted pictures are decoded and hashed in processes of their own, which hold nothing else.

The processes are started before the first call, locked down (see ``sandbox``), limited in memory
and time, killed when they hang and replaced when they die: a picture that breaks its decoder
fails one call. Pictures go there through memory that both sides map, and never touch a disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.errors import (
    DisruptError,
    UnavailableError,
)
from disrupt.hashing.decoding.pictures import DEFAULT_LIMITS, ImageLimits, refused
from disrupt.hashing.lookup import ImageQuery
from disrupt.hashing.registration import ImageFingerprints
from disrupt.isolation.child import Cause, ProcessDiedError
from disrupt.isolation.messages import (
    Answer,
    Task,
)
from disrupt.isolation.picture_process import IsolationLimits, NotBegunError, Process
from disrupt.isolation.pool import DecoderPool
from disrupt.tasks import ignore_error

_RESTART_PAUSE_S = 1.0
_FAILING_S = 3.0
"""Longest time for which pictures wait while no process starts: a lack of memory may pass."""

_LOOKUPS = {
    Effort.FAST: Task.FAST_LOOKUP,
    Effort.STANDARD: Task.LOOKUP,
    Effort.THOROUGH: Task.THOROUGH_LOOKUP,
}

_log = structlog.get_logger(__name__)


class IsolatedHashing(DecoderPool):
    """Hashes pictures in processes; more than may wait are OverloadedError.

    An asynchronous context, entered once all processes are ready, on the main thread. A call
    that is cancelled while it waits leaves the queue; one whose picture a process has in hand keeps
    its place until that has ended, since it occupies the process.

    Errors of its calls, each with ``cause`` in its metadata where a process ended:
    InvalidMediaError for what is no picture within the limits, and for one that crashes its
    decoder, takes too much memory or too much processor time; DeadlineExceededError where it took
    too long without using the processor; UnavailableError where the process was killed from
    outside, or where none can be started.
    """

    def __init__(
        self,
        *,
        workers: int,
        queued: int,
        limits: ImageLimits = DEFAULT_LIMITS,
        isolation: IsolationLimits = IsolationLimits(),  # noqa: B008 frozen
    ) -> None:
        super().__init__(
            workers=workers,
            queued=queued,
            memory_bytes=isolation.memory_bytes,
            cpu_s=isolation.cpu_s,
        )
        self.limits = limits
        self.missing: tuple[str, ...] = ()
        """Layers of the lock-down that this kernel lacks."""
        self._isolation = isolation
        self._workers = workers
        self._free: asyncio.Queue[Process] = asyncio.Queue()
        self._processes: set[Process] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failing_since_s: float | None = None
        """Time of the first start that failed since the last that did not."""

    async def __aenter__(self) -> Self:
        """Start the processes; DisruptError if one does not get ready."""
        started = await asyncio.gather(
            *(self._start() for _ in range(self._workers)), return_exceptions=True
        )
        failed = [outcome for outcome in started if isinstance(outcome, BaseException)]
        if failed:
            await self._end()
            raise DisruptError(
                f"The decoding processes do not start ({failed[0]}); the log says why."
            ) from failed[0]
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Kill the processes, whatever they are at."""
        await self._end()

    def without_decoder_s(self) -> float:
        """Return how long starts have failed while there is no process. Replaces dead ones.

        0 where there is one, or where its first successor is starting.
        """
        for process in tuple(self._processes):
            if process.status is not None:
                self._found_dead(process, process.status)
        if self._processes or self._failing_since_s is None:
            return 0.0
        return time.monotonic() - self._failing_since_s

    def silent_s(self) -> float:
        """Return for how long every process has had a picture in hand, and has answered nothing."""
        return min((process.silent_s() for process in self._processes), default=0.0)

    @property
    def pids(self) -> frozenset[int]:
        """Process ids of the processes that are ready or at work."""
        return frozenset(process.pid for process in self._processes)

    async def hash_image(
        self, data: bytes | memoryview, effort: Effort = Effort.STANDARD
    ) -> ImageQuery | LowQuality:
        """Hash a picture in a process, as ``hashing.hash_image`` does."""
        answer = await self._run(_LOOKUPS[effort], data)
        if not isinstance(answer, (ImageQuery, LowQuality)):
            raise self._error_of_answer(answer)
        return answer

    async def fingerprint_image(
        self, data: bytes | memoryview, *, every_frame: bool = False
    ) -> ImageFingerprints | LowQuality:
        """Fingerprint a picture in a process; ``every_frame`` as in ``fingerprint_frames``."""
        task = Task.REGISTRATION_OF_FRAMES if every_frame else Task.REGISTRATION
        answer = await self._run(task, data)
        if not isinstance(answer, (ImageFingerprints, LowQuality)):
            raise self._error_of_answer(answer)
        return answer

    async def _run(self, task: Task, data: bytes | memoryview) -> Answer:
        if len(data) > self.limits.max_bytes:
            raise refused(
                f"the file has {len(data)} bytes; at most {self.limits.max_bytes} are accepted"
            )
        self._take_place()
        try:
            turn = await self._queue.begin()
        except BaseException:
            self._places += 1
            raise

        def ended(_work: object = None) -> None:
            self._places += 1
            turn.end()

        work: asyncio.Task[Answer] | None = None
        try:
            while True:
                process = await self._free_process()
                work = self._spawn(self._work(process, task, data))
                with contextlib.suppress(NotBegunError):
                    return await asyncio.shield(work)
        finally:
            if work is None or work.done():
                ended()
            else:  # Its caller is gone, but it still occupies a process.
                work.add_done_callback(ended)

    async def _free_process(self) -> Process:
        while True:
            if self.without_decoder_s() > _FAILING_S:
                raise UnavailableError(
                    "No picture can be decoded just now. Try again in a moment.",
                    retry_after_s=self.retry_after_s,
                )
            try:
                async with asyncio.timeout(_RESTART_PAUSE_S):
                    process = await self._free.get()
            except TimeoutError:
                continue
            status = process.status
            if status is None:
                return process
            self._found_dead(process, status)

    async def _work(self, process: Process, task: Task, data: bytes | memoryview) -> Answer:
        """Have one process hash one picture, to its end."""
        try:
            answer = await process.ask(task, data)
        except ProcessDiedError as death:
            self._lost(process, death)
            raise self._error_of_death(death) from None
        except NotBegunError:
            self._found_dead(process, await process.wait())
            raise
        except Exception:
            # What the process does now is unknown, so that it cannot be used any more.
            self._lost(process, ProcessDiedError(Cause.KILLED, -signal.SIGKILL))
            raise
        self._free.put_nowait(process)
        return answer

    def _found_dead(self, process: Process, status: int) -> None:
        """Note the death of an idle process; if it had a picture, that call reports the death."""
        if not process.in_hand:
            self._lost(process, ProcessDiedError(Cause.IDLE, status))

    def _lost(self, process: Process, death: ProcessDiedError) -> None:
        """Count and replace a process, once, whoever reports its death."""
        if process not in self._processes:
            return
        process.kill()
        self._processes.discard(process)
        self._spawn(process.wait())
        self._spawn(self._replace())
        self._note_death(death)

    async def _start(self) -> None:
        process, ready = await Process.start(self._isolation, self.limits)
        self._processes.add(process)
        self._failing_since_s = None
        self.missing = ready.missing
        if ready.missing:
            _log.error("sandbox_incomplete", kernel_lacks=ready.missing)
        self._free.put_nowait(process)

    async def _replace(self) -> None:
        while True:
            try:
                return await self._start()
            except Exception as error:  # noqa: BLE001 whatever it is, there has to be a successor
                if self._failing_since_s is None:
                    self._failing_since_s = time.monotonic()
                _log.error("decoder_does_not_start", problem=str(error) or type(error).__name__)
                await asyncio.sleep(_RESTART_PAUSE_S)

    async def _end(self) -> None:
        for process in self._processes:
            process.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(process.wait() for process in self._processes))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task that nobody need await."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(ignore_error)
        return task
