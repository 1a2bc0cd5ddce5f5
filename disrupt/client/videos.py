"""Lookups by video: the messages that are sent, from a file, hashed here or not, or from frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.client.media import open_media
from disrupt.client.requests import Lookup
from disrupt.core.lookups import Effort
from disrupt.core.videos import FRAME
from disrupt.errors import InvalidRequestError, Violation
from disrupt.hashing.videos import hash_video
from disrupt.v1 import match_pb2
from disrupt.wire.videos import frames_message

TIMEOUT_S = 600.0
"""A server takes as long for a video, unless it is set otherwise."""

CHUNK_BYTES = 1 << 18
_ROWS_AT_ONCE = 2000

Video: TypeAlias = "bytes | str | os.PathLike[str] | NDArray[np.void]"
"""The bytes of a video file, its path, or frames that were hashed before (dtype FRAME)."""

Watched: TypeAlias = "Callable[[int, int], None]"
"""Told where hashing is, and how long the video says that it lasts (0: it does not), in ms."""


@dataclass(frozen=True, slots=True)
class VideoLookup:
    """What narrows a lookup by video; see MatchVideoOptions in proto/disrupt/v1/match.proto."""

    lookup: Lookup
    interval_ms: int = 1000
    min_query_share_permille: int = 0
    min_stored_share_permille: int = 0
    answer_early: bool = False

    def first(self) -> match_pb2.MatchVideoRequest:
        """The message that comes first."""
        return match_pb2.MatchVideoRequest(
            options=match_pb2.MatchVideoOptions(
                options=self.lookup.options(),
                sample_interval_ms=self.interval_ms,
                min_query_share_permille=self.min_query_share_permille,
                min_stored_share_permille=self.min_stored_share_permille,
                answer_early=self.answer_early,
            )
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is sent, made anew for each attempt, and whether the file was found to end early."""

    parts: Callable[[], Iterator[match_pb2.MatchVideoRequest]]
    incomplete: bool = False


def prepare(video: Video, asked: VideoLookup, *, hash_locally: bool, watched: Watched) -> Prepared:
    """The messages of a lookup. What is hashed here is hashed now; InvalidMediaError as of it."""
    first = asked.first()  # what is wrong with it is told before anything is hashed
    if isinstance(video, np.ndarray):
        if video.dtype != FRAME or video.ndim != 1 or not len(video):
            raise InvalidRequestError.of(
                Violation("frames", f"give rows of dtype FRAME, not {video.dtype} {video.shape}")
            )
        return Prepared(lambda: _frames(first, video))
    if not hash_locally:
        open_media(video).close()  # what cannot be read is told in our words
        return Prepared(lambda: _chunks(first, open_media(video)))
    with open_media(video) as file:
        versions = asked.lookup.effort != Effort.FAST
        rows, incomplete = hash_video(
            file, interval_ms=asked.interval_ms, versions=versions, watched=watched
        )
    return Prepared(lambda: _frames(first, rows), incomplete)


def streaming(method: Any) -> Any:  # noqa: ANN401 of either API
    """A method to call with what makes its messages, so that it can be tried again."""
    return lambda parts, **options: method(parts(), **options)


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
