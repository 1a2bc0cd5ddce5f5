"""Ask the hotline's server, with the platform's key; only hashes go there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from google.protobuf.message import Message

from disrupt.client import calls, lookups, requests, results, videos
from disrupt.client.aio import AsyncMatchClient
from disrupt.client.lookups import Call, Steps
from disrupt.client.results import HashAnswer, ImageAnswer, VideoAnswer
from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality, Profile
from disrupt.door.uploads import VIDEO_INTERVAL_MS, Hashed, HashedVideo
from disrupt.errors import (
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from disrupt.hashing import ImageQuery
from disrupt.v1 import match_pb2

_Answer = TypeVar("_Answer")

_MOST_MATCHES = 100


class Hotline(AsyncMatchClient):
    """The SDK's client for uploads that are hashed already, and for calls that are passed on.

    Retries until ``timeout_s`` is over. Raises as MatchClient; where the hotline refuses the door's
    own key, UnavailableError with that error's reason, since the caller's request is not at fault.
    """

    async def look_up(
        self, hashed: Hashed, effort: Effort, banks: tuple[str, ...] = ()
    ) -> ImageAnswer | VideoAnswer:
        """Look up an upload that was hashed here."""
        options = requests.options(None, _MOST_MATCHES, banks, effort)
        if not isinstance(hashed, HashedVideo):
            return await self.picture(hashed, options)
        first = videos.first_message(
            options,
            interval_ms=VIDEO_INTERVAL_MS,
            min_query_share_permille=0,
            min_stored_share_permille=0,
            answer_early=False,
        )
        return results.video_answer(await self.frames(hashed, first))

    async def picture(
        self, query: ImageQuery | LowQuality, options: match_pb2.MatchOptions
    ) -> ImageAnswer:
        """Look up a picture that was hashed here, with the options of a call."""
        return await self._asked(lookups.image(query, options))

    async def hashes(
        self, values: list[PdqHash], banks: tuple[str, ...] = ()
    ) -> tuple[HashAnswer, ...]:
        """Look up hashes of unknown origin."""
        options = requests.options(None, _MOST_MATCHES, banks)
        return await self._asked(lookups.hashes(values, options, Profile.UNKNOWN))

    async def frames(
        self, video: HashedVideo, first: match_pb2.MatchVideoRequest, timeout_s: float | None = None
    ) -> match_pb2.MatchVideoResponse:
        """Look up the frames of a video; ``first`` is the message with the options."""
        sent = videos.prepare(
            video.rows,
            first,
            hash_locally=True,
            watched=lambda _time_ms, _declared_ms: None,
            deadline=self._settings.deadline(),
        )
        response = await self._video(sent, timeout_s)
        response.incomplete |= video.incomplete
        return response

    async def video(
        self, parts: list[match_pb2.MatchVideoRequest], timeout_s: float | None
    ) -> match_pb2.MatchVideoResponse:
        """Pass on the messages of a lookup by frames."""
        return await self._video(videos.Sent(lambda: iter(parts), incomplete=False), timeout_s)

    async def _video(
        self, sent: videos.Sent, timeout_s: float | None
    ) -> match_pb2.MatchVideoResponse:
        with _blaming_the_key():
            response: match_pb2.MatchVideoResponse = await calls.call_async(
                lambda: videos.streaming(self._stub().MatchVideo, self._each_in_thread),
                sent,
                self._settings.within(timeout_s),
            )
        return response

    async def pass_on(self, method: str, request: Message, timeout_s: float | None = None) -> Any:  # noqa: ANN401 the method's response
        """Make a call of MatchService as it comes, and return its response as it comes."""
        settings = self._settings.within(timeout_s)
        with _blaming_the_key():
            return await self._answer(Call(method, request, lambda response: response), settings)

    async def _asked(self, steps: Steps[_Answer]) -> _Answer:
        with _blaming_the_key():
            return await self._run(steps, self._settings)


@contextmanager
def _blaming_the_key() -> Iterator[None]:
    """Say whose fault a refused key is."""
    try:
        yield
    except (UnauthenticatedError, PermissionDeniedError) as error:
        refused = UnavailableError(
            f"The hotline refuses the door's key, so nothing was looked up: {error.message}",
            retry_after_s=60.0,
        )
        refused.reason = error.reason
        raise refused from error
