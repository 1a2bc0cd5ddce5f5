"""The client for threads."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from disrupt.client import calls, lookups, media, requests, results, self_test, videos
from disrupt.client.calls import CONNECTIONS, TIMEOUT_S
from disrupt.client.connection import DEFAULT_SERVER
from disrupt.client.flow import Flow
from disrupt.client.lookups import Call, Lookups, Reporting, Steps
from disrupt.client.media import Media
from disrupt.client.requests import MAX_MATCHES, Batch, HashBatch
from disrupt.client.results import HashAnswer, ImageAnswer, IndexStatus, VideoAnswer
from disrupt.client.retries import RetryPolicy
from disrupt.client.self_test import SelfTest
from disrupt.client.videos import TIMEOUT_S as VIDEO_TIMEOUT_S
from disrupt.client.videos import Video, Watched
from disrupt.core.lookups import Effort
from disrupt.core.media import Profile
from disrupt.core.outcomes import Outcome
from disrupt.errors import DisruptError
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub

_Answer = TypeVar("_Answer")


class MatchClient:
    """Look up hashes, pictures and videos. Thread-safe; close it, or use it as a context.

    ``server`` is ``HOST:PORT``: plaintext on loopback, TLS everywhere else; ``tls_ca`` (PEM bytes
    or a path) names the authorities to trust instead of the system's. ``client_cert`` and
    ``client_key``, alike, are what a server that asks for a certificate is shown. Calls take turns
    on ``connections`` TCP connections, each of which one worker of the server answers. A call may
    take ``timeout_s``, its retries included; each part of a batch that is split is a call. Wrong
    arguments here raise ConfigurationError, those of methods InvalidRequestError. Every method
    raises classes of disrupt.errors only.
    """

    def __init__(
        self,
        server: str = DEFAULT_SERVER,
        *,
        key: str,
        tls_ca: bytes | str | Path | None = None,
        client_cert: bytes | str | Path | None = None,
        client_key: bytes | str | Path | None = None,
        connections: int = CONNECTIONS,
        timeout_s: float = TIMEOUT_S,
        retries: RetryPolicy | None = None,
    ) -> None:
        pair = client_cert, client_key
        self._settings = calls.client_settings(
            server, key, tls_ca, connections, timeout_s, retries, pair
        )
        self._channels = [self._settings.connection.open() for _ in range(connections)]
        self._stubs = itertools.cycle([MatchServiceStub(channel) for channel in self._channels])
        self._lookups = Lookups()

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
        return self._run(self._lookups.hashes(Batch(batch, qualities), options, profile))

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
            return self._run(self._lookups.parts(requests.flow_batch(batch), options, profile))

        return Flow(
            batches, parts, lambda: next(self._stubs).StreamMatchHashes, self._settings
        ).answers()

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
        memory. Hashing here is beside the client's ``timeout_s``: the limits of a picture file, and
        of the frames of an animation, bound it. ``effort``: how many edited versions are searched.
        Other arguments are those of ``match_hashes``. Raises InvalidMediaError for what is no
        picture, UnreadableMediaError for a file that cannot be read.
        """
        options = requests.options(max_distance_bits, max_matches, banks, effort)
        prepared = media.prepare(picture, effort=effort, hash_locally=hash_locally)
        return self._run(self._lookups.image(prepared, options))

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
        settings = self._settings.within(timeout_s)
        first = videos.first_message(
            requests.options(max_distance_bits, max_matches, banks, effort),
            interval_ms=interval_ms,
            min_query_share_permille=min_query_share_permille,
            min_stored_share_permille=min_stored_share_permille,
            answer_early=answer_early,
        )
        sent = videos.prepare(video, first, hash_locally=hash_locally, watched=watched)
        with sent.reading():
            response: match_pb2.MatchVideoResponse = calls.call(
                lambda: videos.streaming(next(self._stubs).MatchVideo), sent, settings
            )
        return results.video_answer(response, incomplete=sent.incomplete)

    def report(self, match_id: bytes, outcome: Outcome) -> None:
        """Tell the hotline what came of a match; returns once that is durable.

        ``match_id`` is that of a ``Match``. The same report again changes nothing, another outcome
        corrects the one before. Raises NotFoundError for a match whose picture was withdrawn since,
        and LimitExceededError where enough matches of this item were reported: do not repeat these.
        """
        self._answer(lookups.report(requests.report(match_id, outcome)))

    def report_all(
        self, reports: Iterable[tuple[bytes, Outcome]]
    ) -> tuple[DisruptError | None, ...]:
        """Report several matches at once, on all connections; return what refused each, or None.

        ``reports`` are pairs of match id and outcome, as for ``report``. Once a report meets what
        all would meet (no server, a refused key), the rest are not sent, and have that error too.
        It is safe to send all of them again. Raises InvalidRequestError for arguments that are no
        reports, and sends nothing then.
        """
        given, reporting = requests.reports(reports), Reporting()

        def send(request: match_pb2.ReportOutcomeRequest) -> DisruptError | None:
            if reporting.failure is None:
                try:
                    self._answer(lookups.report(request))
                except DisruptError as error:
                    return reporting.failed(error)
            return reporting.failure

        with ThreadPoolExecutor(len(self._channels)) as threads:
            return tuple(threads.map(send, given))

    def index_status(self, cursor: str = "") -> IndexStatus:
        """Return state and limits of the index of the process that answers.

        ``cursor`` is that of a receipt or another answer: ``includes_cursor`` tells whether the
        index includes it.
        """
        return self._run(self._lookups.index_status(cursor))

    def self_test(self) -> SelfTest:
        """Try server, key, TLS, hashing and search with published pictures; return what came.

        They are in the bank ``test`` of every server, and in no statistic. Failures are in the
        answer, not raised; docs/clients.md says what they mean. Takes some seconds.
        """
        encrypted = self._settings.connection.credentials is not None
        steps = self_test.steps(self_test.trials(), is_encrypted=encrypted)
        ask = next(steps)
        while True:
            try:
                answer = getattr(self, ask.method)(*ask.arguments, **dict(ask.options))
            except DisruptError as error:
                answer = error
            try:
                ask = steps.send(answer)
            except StopIteration as end:
                found: SelfTest = end.value
                return found

    def _run(self, steps: Steps[_Answer]) -> _Answer:
        answers = None
        while True:
            try:
                step = steps.send(answers)
            except StopIteration as end:
                answer: _Answer = end.value
                return answer
            answers = self._at_once(step)

    def _at_once(self, step: Sequence[Call]) -> list[object]:
        if len(step) <= 1:
            return [self._answer(call) for call in step]
        with ThreadPoolExecutor(len(self._channels)) as threads:
            return list(threads.map(self._answer, step))

    def _answer(self, call: Call) -> object:
        response = calls.call(
            lambda: getattr(next(self._stubs), call.method), call.request, self._settings
        )
        return call.answer(response)
