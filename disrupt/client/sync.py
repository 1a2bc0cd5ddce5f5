"""The client for threads."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

import grpc

from disrupt.client import requests, results, videos
from disrupt.client.arguments import flag, seconds
from disrupt.client.calls import CONNECTIONS, TIMEOUT_S, call, check_settings
from disrupt.client.connection import DEFAULT_SERVER, connect
from disrupt.client.flow import Flow
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
from disrupt.hashing import hash_image
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class MatchClient:
    """Look up hashes, pictures and videos. Thread-safe; close it, or use it as a context.

    ``server`` is ``HOST:PORT``: plaintext on loopback, TLS everywhere else; ``tls_ca`` (PEM bytes
    or a path) names the authorities to trust instead of the system's. Calls take turns on
    ``connections`` TCP connections, each of which one worker of the server answers. A call may take
    ``timeout_s``, its retries included; each part of a batch that is split is a call. Wrong
    arguments here raise ConfigurationError, those of methods InvalidRequestError. Every method
    raises classes of disrupt.errors only.
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
        self._timeout_s = timeout_s
        self._retries = retries or RetryPolicy()
        self._channels = [self._connection.open() for _ in range(connections)]
        self._stubs = itertools.cycle([MatchServiceStub(channel) for channel in self._channels])
        self._hashes_per_lookup = 0
        self._limit_until_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            channel.close()

    def match_hashes(
        self,
        batch: HashBatch,
        *,
        profile: Profile = Profile.UNKNOWN,
        qualities: Sequence[int] | None = None,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
    ) -> tuple[HashAnswer, ...]:
        """Look up hashes; return the answers in their order.

        ``batch`` are values, an array of shape (n, 32) and dtype uint8, or 32 bytes each, packed;
        more than the server's limit are sent in parts, at once on all connections. ``qualities``
        are PDQ qualities of 0-100: hashes of less than 50 are then answered ``low_quality``.
        ``max_distance_bits`` is inclusive, None is each bank's own; ``max_matches`` are media items
        per hash, 1-1000, nearest first, beside which the nearest of each searched bank is answered;
        ``banks`` are names, empty for all that the key may search.
        """
        options = requests.options(max_distance_bits, max_matches, banks)
        packed = requests.pack(batch)
        parts = requests.match_hashes(
            packed,
            most=self._most_hashes(len(packed)),
            profile=profile,
            qualities=qualities,
            options=options,
        )
        if len(parts) <= 1:
            return results.in_order([self._part(part) for part in parts])
        with ThreadPoolExecutor(len(self._channels)) as threads:
            return results.in_order(list(threads.map(self._part, parts)))

    def stream_hashes(
        self,
        batches: Iterable[HashBatch | Batch],
        *,
        profile: Profile = Profile.UNKNOWN,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
    ) -> Generator[tuple[HashAnswer, ...]]:
        """Look up batches that keep coming; yield the answers to each batch as soon as they come.

        They come in the order of ``batches``, which a thread of the flow reads at most 32 ahead of
        the answers that were taken, so that neither side collects them. A ``Batch`` has qualities,
        too; none may be empty. ``timeout_s`` is for each answer. What the connection or the server
        loses is sent again until then, however often it fails. Any other failure, of ``batches``
        too, is raised after the answers before it, and ends the flow; so does closing the
        generator. Other arguments are those of ``match_hashes``.
        """
        options = requests.options(max_distance_bits, max_matches, banks)
        requests.check_flow(batches, Iterable, profile=profile)

        def parts(batch: HashBatch | Batch) -> list[match_pb2.MatchHashesRequest]:
            packed, qualities = requests.of_flow(batch)
            return requests.match_hashes(
                packed,
                most=self._most_hashes(len(packed)),
                profile=profile,
                qualities=qualities,
                options=options,
            )

        return Flow(batches, parts, self._flow_calls()).answers()

    def match_image(
        self,
        picture: Media,
        *,
        hash_locally: bool = True,
        effort: Effort = Effort.STANDARD,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
    ) -> ImageAnswer:
        """Look up a picture: the bytes of a picture file (docs/hashing-pictures.md), or its path.

        It is hashed here, in this process, and does not leave it: private, and cheap for the
        server. With ``hash_locally=False`` it is sent, and the server decodes and hashes it in
        memory. ``effort``: how many edited versions are searched. Other arguments are those
        of ``match_hashes``. Raises InvalidMediaError for what is no picture, UnreadableMediaError
        for a file that cannot be read.
        """
        options = requests.options(max_distance_bits, max_matches, banks, effort)
        flag("hash_locally", hash_locally)
        data = read_picture(picture)
        if not hash_locally:
            request = match_pb2.MatchImageRequest(image=data, options=options)
            return results.image_answer(self._call(lambda stub: stub.MatchImage, request))
        query = hash_image(data, effort=effort)
        if isinstance(query, LowQuality):
            return results.low_quality(query)
        most = self._most_hashes(len(query.hashes) * HASH_BYTES)
        answers = [
            self._part(part) for part in requests.match_query(query, most=most, options=options)
        ]
        return results.merged(query, results.in_order(answers), max_matches=max_matches)

    def match_video(  # noqa: PLR0913 all but one by name
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
        """Look up a video: the bytes of a video file (docs/video.md), its path, or hashed frames.

        A file is hashed here, a frame each ``interval_ms``, and does not leave this process; with
        ``hash_locally=False`` it is sent, and the server hashes it in memory while it comes.
        ``min_query_share_permille`` and ``min_stored_share_permille`` are the least shares of
        frames, of this video and of a stored one, that a match must show. ``answer_early``: answer
        once one match is certain. ``effort`` FAST searches for the frames as they are, others
        also for them mirrored and without borders. ``watched`` is called with the progress of
        hashing. The call may take ``timeout_s`` beside hashing. Other arguments are those of
        ``match_hashes``. Raises InvalidMediaError for what is no video, UnreadableMediaError for a
        file that cannot be read.
        """
        seconds("timeout_s", timeout_s)
        first = videos.first_message(
            requests.options(max_distance_bits, max_matches, banks, effort),
            interval_ms=interval_ms,
            min_query_share_permille=min_query_share_permille,
            min_stored_share_permille=min_stored_share_permille,
            answer_early=answer_early,
        )
        sent = videos.prepare(video, first, hash_locally=hash_locally, watched=watched)
        with sent.reading():
            response: match_pb2.MatchVideoResponse = call(
                lambda: videos.streaming(next(self._stubs).MatchVideo),
                sent,
                connection=self._connection,
                timeout_s=timeout_s,
                retries=self._retries,
            )
        return results.video_answer(response, incomplete=sent.incomplete)

    def index_status(self, cursor: str = "") -> IndexStatus:
        """Return state and limits of the index of the process that answers.

        ``cursor`` is that of a receipt or another answer: ``includes_cursor`` tells whether the
        index includes it.
        """
        request = requests.index_status(cursor)
        return results.index_status(self._call(lambda stub: stub.GetIndexStatus, request))

    def _most_hashes(self, packed_bytes: int) -> int:
        if packed_bytes <= requests.SMALL_BATCH_BYTES:
            return requests.SMALL_BATCH
        if time.monotonic() >= self._limit_until_s:
            self._hashes_per_lookup = self.index_status().limits.hashes_per_lookup
            self._limit_until_s = time.monotonic() + requests.LIMIT_HOLDS_S
        return self._hashes_per_lookup or requests.SMALL_BATCH

    def _part(self, request: match_pb2.MatchHashesRequest) -> tuple[HashAnswer, ...]:
        response = self._call(lambda stub: stub.MatchHashes, request)
        return results.hash_answers(response, requests.count(request))

    def _call(
        self,
        method: Callable[[MatchServiceStub], grpc.UnaryUnaryMultiCallable[_Request, _Response]],
        request: _Request,
    ) -> _Response:
        return call(
            lambda: method(next(self._stubs)),
            request,
            connection=self._connection,
            timeout_s=self._timeout_s,
            retries=self._retries,
        )

    def _flow_calls(self) -> Calls:
        return Calls(
            lambda: next(self._stubs).StreamMatchHashes,
            self._connection,
            self._timeout_s,
            self._retries,
        )
