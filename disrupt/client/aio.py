"""The client for asyncio."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import grpc

from disrupt.client import requests, results, videos
from disrupt.client.arguments import flag, seconds
from disrupt.client.calls import CONNECTIONS, TIMEOUT_S, call_async, check_settings
from disrupt.client.connection import DEFAULT_SERVER, connect
from disrupt.client.flow_aio import AsyncFlow
from disrupt.client.media import Media, read_picture
from disrupt.client.requests import MAX_MATCHES, Batch, HashBatch
from disrupt.client.results import HashAnswer, ImageAnswer, IndexStatus, VideoAnswer
from disrupt.client.retries import RetryPolicy
from disrupt.client.videos import TIMEOUT_S as VIDEO_TIMEOUT_S
from disrupt.client.videos import Video, Watched
from disrupt.client.window import Calls
from disrupt.core.hashes import HASH_BYTES
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality, Profile
from disrupt.errors import ClientUnusableError
from disrupt.hashing import hash_image
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub

if TYPE_CHECKING:  # exists in the generated types only
    from disrupt.v1.match_pb2_grpc import MatchServiceAsyncStub

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Returned = TypeVar("_Returned")


class AsyncMatchClient:
    """MatchClient for asyncio: the same arguments, answers and errors.

    Make it inside the running event loop: it belongs to that one.
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
        check_settings(connections, timeout_s, retries)
        self._connection = connect(server, key, tls_ca)
        self._loop = _running_loop()
        self._timeout_s = timeout_s
        self._retries = retries or RetryPolicy()
        self._channels = [self._connection.open_async() for _ in range(connections)]
        self._stubs = itertools.cycle([MatchServiceStub(channel) for channel in self._channels])
        self._hashes_per_lookup = 0
        self._limit_until_s = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            await channel.close()

    async def match_hashes(
        self,
        batch: HashBatch,
        *,
        profile: Profile = Profile.UNKNOWN,
        qualities: Sequence[int] | None = None,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
    ) -> tuple[HashAnswer, ...]:
        """Look up hashes, as MatchClient.match_hashes does."""
        options = requests.options(max_distance_bits, max_matches, banks)
        packed = requests.pack(batch)
        parts = requests.match_hashes(
            packed,
            most=await self._most_hashes(len(packed)),
            profile=profile,
            qualities=qualities,
            options=options,
        )
        return await self._all(parts)

    def stream_hashes(
        self,
        batches: AsyncIterable[HashBatch | Batch] | Iterable[HashBatch | Batch],
        *,
        profile: Profile = Profile.UNKNOWN,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
    ) -> AsyncGenerator[tuple[HashAnswer, ...]]:
        """Look up batches that keep coming, as MatchClient.stream_hashes does.

        They come asynchronously, or from an iterable that does not block.
        """
        options = requests.options(max_distance_bits, max_matches, banks)
        requests.check_flow(batches, Iterable, AsyncIterable, profile=profile)

        async def parts(batch: HashBatch | Batch) -> list[match_pb2.MatchHashesRequest]:
            packed, qualities = requests.of_flow(batch)
            return requests.match_hashes(
                packed,
                most=await self._most_hashes(len(packed)),
                profile=profile,
                qualities=qualities,
                options=options,
            )

        return AsyncFlow(batches, parts, self._flow_calls()).answers()

    async def match_image(
        self,
        picture: Media,
        *,
        hash_locally: bool = True,
        effort: Effort = Effort.STANDARD,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
    ) -> ImageAnswer:
        """Look up a picture, as MatchClient.match_image does; a thread reads and hashes it."""
        options = requests.options(max_distance_bits, max_matches, banks, effort)
        flag("hash_locally", hash_locally)
        data = await _in_thread(lambda: read_picture(picture))
        if not hash_locally:
            request = match_pb2.MatchImageRequest(image=data, options=options)
            return results.image_answer(await self._call(lambda stub: stub.MatchImage, request))
        query = await _in_thread(lambda: hash_image(data, effort=effort))
        if isinstance(query, LowQuality):
            return results.low_quality(query)
        most = await self._most_hashes(len(query.hashes) * HASH_BYTES)
        answers = await self._all(requests.match_query(query, most=most, options=options))
        return results.merged(query, answers, max_matches=max_matches)

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
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
        watched: Watched = lambda _time_ms, _declared_ms: None,
        timeout_s: float = VIDEO_TIMEOUT_S,
    ) -> VideoAnswer:
        """Look up a video, as MatchClient.match_video does; a thread reads and hashes it."""
        seconds("timeout_s", timeout_s)
        first = videos.first_message(
            requests.options(max_distance_bits, max_matches, banks, effort),
            interval_ms=interval_ms,
            min_query_share_permille=min_query_share_permille,
            min_stored_share_permille=min_stored_share_permille,
            answer_early=answer_early,
        )
        sent = await _in_thread(
            lambda: videos.prepare(video, first, hash_locally=hash_locally, watched=watched)
        )
        with sent.reading():
            response: match_pb2.MatchVideoResponse = await call_async(
                lambda: videos.streaming_async(self._stub().MatchVideo),
                sent,
                connection=self._connection,
                timeout_s=timeout_s,
                retries=self._retries,
            )
        return results.video_answer(response, incomplete=sent.incomplete)

    async def index_status(self, cursor: str = "") -> IndexStatus:
        """Return the index's state and limits, as MatchClient.index_status does."""
        request = requests.index_status(cursor)
        return results.index_status(await self._call(lambda stub: stub.GetIndexStatus, request))

    def _stub(self) -> MatchServiceAsyncStub:
        """Return the next connection's stub. Raises ClientUnusableError in any other event loop."""
        if _running_loop() is not self._loop:
            raise ClientUnusableError(
                "This client belongs to another event loop: make one inside the loop that uses it."
            )
        return next(self._stubs)

    async def _most_hashes(self, packed_bytes: int) -> int:
        if packed_bytes <= requests.SMALL_BATCH_BYTES:
            return requests.SMALL_BATCH
        if time.monotonic() >= self._limit_until_s:
            self._hashes_per_lookup = (await self.index_status()).limits.hashes_per_lookup
            self._limit_until_s = time.monotonic() + requests.LIMIT_HOLDS_S
        return self._hashes_per_lookup or requests.SMALL_BATCH

    async def _all(self, parts: Sequence[match_pb2.MatchHashesRequest]) -> tuple[HashAnswer, ...]:
        free = asyncio.Semaphore(len(self._channels))

        async def ask(request: match_pb2.MatchHashesRequest) -> tuple[HashAnswer, ...]:
            async with free:
                response = await self._call(lambda stub: stub.MatchHashes, request)
            return results.hash_answers(response, requests.count(request))

        tasks = [asyncio.create_task(ask(part)) for part in parts]
        try:
            return results.in_order(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def _call(
        self,
        method: Callable[
            [MatchServiceAsyncStub], grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]
        ],
        request: _Request,
    ) -> _Response:
        return await call_async(
            lambda: method(self._stub()),
            request,
            connection=self._connection,
            timeout_s=self._timeout_s,
            retries=self._retries,
        )

    def _flow_calls(self) -> Calls:
        return Calls(
            lambda: self._stub().StreamMatchHashes,
            self._connection,
            self._timeout_s,
            self._retries,
        )


async def _in_thread(function: Callable[[], _Returned]) -> _Returned:
    """Call a function in a thread. A StopIteration of it becomes a RuntimeError, as in coroutines.

    A future cannot hold a StopIteration, so whoever awaits it would wait for ever.
    """

    def call() -> _Returned:
        try:
            return function()
        except StopIteration as error:
            raise RuntimeError("A function of the caller raised StopIteration.") from error

    return await asyncio.to_thread(call)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise ClientUnusableError(
            "No event loop is running: make and use AsyncMatchClient inside of coroutines."
        ) from error
