"""Make the messages of lookups by video, from a file, hashed here or not, or from frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.client.arguments import flag, invalid, whole_number
from disrupt.client.calls import Deadline
from disrupt.client.media import Media, decoding, open_media
from disrupt.core.lookups import MAX_INTERVAL_MS, MIN_INTERVAL_MS, Effort
from disrupt.core.videos import FRAME
from disrupt.errors import DisruptError
from disrupt.v1 import match_pb2
from disrupt.wire.videos import frames_message

TIMEOUT_S = 600.0
"""Longest time of a call: that which a server allows by default."""

CHUNK_BYTES = 1 << 18
_ROWS_AT_ONCE = 2000

Video: TypeAlias = "Media | NDArray[np.void]"
"""The bytes of a video file, its path, or frames that were hashed before (dtype FRAME)."""

Watched: TypeAlias = "Callable[[int, int], None]"
"""Called with the time that hashing has reached, and the declared duration (0: none), in ms."""


class Sent:
    """The messages of one lookup; ``parts`` makes them anew for each attempt."""

    def __init__(
        self, parts: Callable[[], Iterator[match_pb2.MatchVideoRequest]], *, incomplete: bool
    ) -> None:
        self._parts = parts
        self.incomplete = incomplete
        """True if the file was hashed here and ended early."""
        self._failure: DisruptError | None = None

    def __call__(self) -> Iterator[match_pb2.MatchVideoRequest]:
        """Yield the messages of one attempt; they end where the file cannot be read."""
        try:
            yield from self._parts()
        except DisruptError as error:
            # gRPC would turn it into a cancelled call, and lose the error.
            self._failure = error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raise the error of reading the file, whatever became of the call.

        An interrupt or a cancellation passes.
        """
        try:
            yield
        except Exception:
            if self._failure is None:
                raise
        if self._failure is not None:
            raise self._failure


def first_message(
    options: match_pb2.MatchOptions,
    *,
    interval_ms: int,
    min_query_share_permille: int,
    min_stored_share_permille: int,
    answer_early: bool,
) -> match_pb2.MatchVideoRequest:
    """Make the message that comes first; see MatchVideoOptions in proto/disrupt/v1/match.proto."""
    query, stored = "options.min_query_share_permille", "options.min_stored_share_permille"
    return match_pb2.MatchVideoRequest(
        options=match_pb2.MatchVideoOptions(
            options=options,
            sample_interval_ms=whole_number(
                "options.sample_interval_ms", interval_ms, MIN_INTERVAL_MS, MAX_INTERVAL_MS
            ),
            min_query_share_permille=whole_number(query, min_query_share_permille, 0, 1000),
            min_stored_share_permille=whole_number(stored, min_stored_share_permille, 0, 1000),
            answer_early=flag("options.answer_early", answer_early),
        )
    )


def prepare(
    video: Video,
    first: match_pb2.MatchVideoRequest,
    *,
    hash_locally: bool,
    watched: Watched,
    deadline: Deadline,
) -> Sent:
    """Make the messages of a lookup. A file that is hashed here is hashed now, and may raise.

    Raises DeadlineExceededError where hashing lasts beyond the deadline.
    """
    if not callable(watched):
        raise invalid("watched", f"give a function, not {type(watched).__name__}")
    if isinstance(video, np.ndarray):
        if video.dtype != FRAME or video.ndim != 1 or not len(video):
            raise invalid("frames", f"give rows of dtype FRAME, not {video.dtype} {video.shape}")
        return Sent(lambda: _frames(first, video), incomplete=False)
    file = open_media(video, "video")
    if not flag("hash_locally", hash_locally):
        file.close()  # each attempt reads it from the beginning
        return Sent(lambda: _chunks(first, open_media(video, "video")), incomplete=False)
    from disrupt.hashing.videos.frames import hash_video

    def watched_in_time(time_ms: int, declared_ms: int) -> None:
        deadline.check()
        watched(time_ms, declared_ms)

    with file, decoding():
        rows, incomplete = hash_video(
            file,
            interval_ms=first.options.sample_interval_ms,
            versions=first.options.options.effort != Effort.FAST.value,
            watched=watched_in_time,
        )
    return Sent(lambda: _frames(first, rows), incomplete=incomplete)


def streaming(
    method: Any,  # noqa: ANN401 a method of the generated stub
    iterate: Callable[[Iterator[match_pb2.MatchVideoRequest]], object] = iter,
) -> Any:  # noqa: ANN401 likewise
    """Wrap a method to take a Sent, whose messages are made anew each time it is tried.

    ``iterate`` makes of them what the method takes.
    """
    return lambda sent, **options: method(iterate(sent()), **options)


def _frames(
    first: match_pb2.MatchVideoRequest, rows: NDArray[np.void]
) -> Iterator[match_pb2.MatchVideoRequest]:
    yield first
    for at in range(0, len(rows), _ROWS_AT_ONCE):
        part = frames_message(rows[at : at + _ROWS_AT_ONCE])
        yield match_pb2.MatchVideoRequest(frames=part)


def _chunks(
    first: match_pb2.MatchVideoRequest, file: BinaryIO
) -> Iterator[match_pb2.MatchVideoRequest]:
    with closing(file):
        yield first
        while chunk := file.read(CHUNK_BYTES):
            yield match_pb2.MatchVideoRequest(chunk=chunk)
