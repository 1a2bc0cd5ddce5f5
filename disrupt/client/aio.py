"""The client for asyncio."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections.abc import (
    AsyncIterator,
    Callable,
    Iterator,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from disrupt.client import calls, lookups, media, requests, results, videos
from disrupt.client.calls import CONNECTIONS, TIMEOUT_S, CallSettings, Deadline
from disrupt.client.connection import DEFAULT_SERVER
from disrupt.client.lookups import Call, Steps
from disrupt.client.media import Media
from disrupt.client.requests import MAX_MATCHES, HashBatch
from disrupt.client.results import HashAnswer, ImageAnswer, IndexStatus, VideoAnswer
from disrupt.client.retries import RetryPolicy
from disrupt.client.videos import TIMEOUT_S as VIDEO_TIMEOUT_S
from disrupt.client.videos import Video, Watched
from disrupt.core.lookups import Effort
from disrupt.core.media import Profile
from disrupt.core.outcomes import MatchOutcome
from disrupt.errors import ClientUnusableError
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub

if TYPE_CHECKING:  # exists in the generated types only
    from disrupt.v1.match_pb2_grpc import MatchServiceAsyncStub

_THREADS = 8

_Answer = TypeVar("_Answer")
_Item = TypeVar("_Item")
_Returned = TypeVar("_Returned")


class AsyncMatchClient:
    """MatchClient for asyncio: the same arguments, answers and errors.

    Make it inside the running event loop: it belongs to that one. Files are read and hashed in up
    to 8 threads of its own, so that slow ones keep no thread from the rest of the program.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        key: str,
        tls_ca: bytes | str | Path | None = None,
        connections: int = CONNECTIONS,
        timeout_s: float = TIMEOUT_S,
        retries: RetryPolicy | None = None,
    ) -> None:
        self._settings = calls.client_settings(server, key, tls_ca, connections, timeout_s, retries)
        self._loop = _running_loop()
        self._channels = [self._settings.connection.open_async() for _ in range(connections)]
        self._stubs = itertools.cycle([MatchServiceStub(channel) for channel in self._channels])
        self._threads = ThreadPoolExecutor(_THREADS, "disrupt-client")
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. What is being hashed is finished, and the result dropped."""
        self._is_closed = True
        self._threads.shutdown(wait=False)
        for channel in self._channels:
            await channel.close()

    async def match_hashes(  # noqa: PLR0913 all but one by name
        self,
        batch: HashBatch,
        *,
        profile: Profile = Profile.UNKNOWN,
        qualities: Sequence[int] | None = None,
        uploads: int | None = None,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
        leave_out_common: bool = False,
        timeout_s: float | None = None,
        since: str | None = None,
    ) -> tuple[HashAnswer, ...]:
        """Look up hashes, as MatchClient.match_hashes does."""
        options = requests.options(
            max_distance_bits, max_matches, banks, leave_out_common=leave_out_common
        )
        steps = lookups.hashes(batch, options, profile, qualities, uploads, since)
        return await self._run(steps, self._settings.within(timeout_s))

    async def match_image(  # noqa: PLR0913 all but one by name
        self,
        picture: Media,
        *,
        hash_locally: bool = True,
        effort: Effort = Effort.STANDARD,
        whole_only: bool = False,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
        leave_out_common: bool = False,
        timeout_s: float | None = None,
    ) -> ImageAnswer:
        """Look up a picture, as MatchClient.match_image does; a thread reads and hashes it."""
        options = requests.options(
            max_distance_bits,
            max_matches,
            banks,
            effort,
            whole_only=whole_only,
            leave_out_common=leave_out_common,
        )
        settings = self._settings.within(timeout_s)
        deadline = settings.deadline()
        prepared = await self._in_time(
            lambda: media.prepare(picture, effort=effort, hash_locally=hash_locally), deadline
        )
        return await self._run(lookups.image(prepared, options), settings.after(deadline))

    async def match_file(  # noqa: PLR0913 all but one by name
        self,
        file: Media,
        *,
        hash_locally: bool = True,
        effort: Effort = Effort.STANDARD,
        whole_only: bool = False,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
        leave_out_common: bool = False,
        timeout_s: float | None = None,
    ) -> ImageAnswer | VideoAnswer:
        """Look up a picture or a video, as MatchClient.match_file does."""
        asked: dict[str, Any] = {
            "hash_locally": hash_locally,
            "effort": effort,
            "whole_only": whole_only,
            "max_distance_bits": max_distance_bits,
            "max_matches": max_matches,
            "banks": banks,
            "leave_out_common": leave_out_common,
        }
        if await self._in_thread(lambda: media.is_video_file(file)):
            video_s = VIDEO_TIMEOUT_S if timeout_s is None else timeout_s
            return await self.match_video(file, timeout_s=video_s, **asked)
        return await self.match_image(file, timeout_s=timeout_s, **asked)

    async def match_video(  # noqa: PLR0913 all but one by name
        self,
        video: Video,
        *,
        hash_locally: bool = True,
        interval_ms: int = 1000,
        min_query_share_permille: int = 0,
        min_stored_share_permille: int = 0,
        answer_early: bool = False,
        effort: Effort = Effort.STANDARD,
        whole_only: bool = False,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
        leave_out_common: bool = False,
        watched: Watched = lambda _time_ms, _declared_ms: None,
        timeout_s: float = VIDEO_TIMEOUT_S,
    ) -> VideoAnswer:
        """Look up a video, as MatchClient.match_video does; a thread reads and hashes it."""
        settings = self._settings.within(timeout_s)
        deadline = settings.deadline()
        first = videos.first_message(
            requests.options(
                max_distance_bits,
                max_matches,
                banks,
                effort,
                whole_only=whole_only,
                leave_out_common=leave_out_common,
            ),
            interval_ms=interval_ms,
            min_query_share_permille=min_query_share_permille,
            min_stored_share_permille=min_stored_share_permille,
            answer_early=answer_early,
        )
        sent = await self._in_time(
            lambda: videos.prepare(
                video, first, hash_locally=hash_locally, watched=watched, deadline=deadline
            ),
            deadline,
        )
        settings = settings.after(deadline)
        with sent.reading():
            response: match_pb2.MatchVideoResponse = await calls.call_async(
                lambda: videos.streaming(self._stub().MatchVideo, self._each_in_thread),
                sent,
                settings,
            )
        return results.video_answer(response, incomplete=sent.incomplete)

    async def index_status(
        self, cursor: str = "", *, timeout_s: float | None = None
    ) -> IndexStatus:
        """Return the index's state and limits, as MatchClient.index_status does."""
        return await self._run(lookups.index_status(cursor), self._settings.within(timeout_s))

    async def report_outcome(
        self, match_id: bytes, outcome: MatchOutcome, *, timeout_s: float | None = None
    ) -> None:
        """Tell the hotline what came of a match, as MatchClient.report_outcome does."""
        await self._run(lookups.report_outcome(match_id, outcome), self._settings.within(timeout_s))

    def _stub(self) -> MatchServiceAsyncStub:
        """Return the next connection's stub. Raises ClientUnusableError in any other event loop."""
        if _running_loop() is not self._loop:
            raise ClientUnusableError(
                "This client belongs to another event loop: make one inside the loop that uses it."
            )
        return next(self._stubs)

    async def _run(self, steps: Steps[_Answer], settings: CallSettings) -> _Answer:
        answers = None
        while True:
            try:
                step = steps.send(answers)
            except StopIteration as end:
                answer: _Answer = end.value
                return answer
            answers = await self._at_once(step, settings)

    async def _at_once(self, step: Sequence[Call], settings: CallSettings) -> list[object]:
        if len(step) <= 1:
            return [await self._answer(call, settings) for call in step]
        free = asyncio.Semaphore(len(self._channels))

        async def answer(call: Call) -> object:
            async with free:
                return await self._answer(call, settings)

        tasks = [asyncio.create_task(answer(call)) for call in step]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _answer(self, call: Call, settings: CallSettings) -> object:
        response = await calls.call_async(
            lambda: getattr(self._stub(), call.method), call.request, settings
        )
        return call.answer(response)

    async def _in_time(self, function: Callable[[], _Returned], deadline: Deadline) -> _Returned:
        """Call a function in a thread. Raises DeadlineExceededError where that takes too long."""
        waiting = asyncio.timeout(deadline.remaining_s())
        try:
            async with waiting:
                return await self._in_thread(function)
        except TimeoutError:
            if not waiting.expired():
                raise
            raise deadline.exceeded() from None

    async def _in_thread(self, function: Callable[[], _Returned]) -> _Returned:
        """Call a function in a thread."""

        def call() -> _Returned:
            self._check_open()
            return function()

        self._check_open()
        context = contextvars.copy_context()
        return await _running_loop().run_in_executor(self._threads, context.run, call)

    async def _each_in_thread(self, items: Iterator[_Item]) -> AsyncIterator[_Item]:
        while (item := await self._in_thread(lambda: next(items, None))) is not None:
            yield item

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClientUnusableError(calls.CLOSED)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise ClientUnusableError(
            "No event loop is running: make and use AsyncMatchClient inside of coroutines."
        ) from error
