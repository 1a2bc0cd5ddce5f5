"""The client for threads."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar

from disrupt.client import calls, lookups, media, requests, results, videos
from disrupt.client.calls import CONNECTIONS, TIMEOUT_S, CallSettings
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
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub

_Answer = TypeVar("_Answer")


class MatchClient:
    """Look up hashes, pictures and videos. Thread-safe; close it, or use it as a context.

    ``server`` is ``HOST:PORT``: plaintext on loopback, TLS everywhere else; ``tls_ca`` (PEM bytes
    or a path) names the authorities to trust instead of the system's. Several, of IP addresses and
    between commas, are machines that answer alike: a call that one of them fails reaches another.
    Calls take turns on ``connections`` TCP connections to each, which one worker of the server
    answers. A call may take ``timeout_s``, its retries and hashing here included; 1 000 hashes are
    a call. The default outlasts a planned restart of the server. Wrong arguments here raise
    ConfigurationError, those of methods InvalidRequestError. Every method raises classes of
    disrupt.errors only.
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
        self._channels = [self._settings.connection.open() for _ in range(connections)]
        self._stubs = itertools.cycle([MatchServiceStub(channel) for channel in self._channels])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels:
            channel.close()

    def match_hashes(  # noqa: PLR0913 all but one by name
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
        """Look up hashes; return the answers in their order.

        ``batch`` are values, an array of shape (n, 32) and dtype uint8, or 32 bytes each, packed.
        They are sent in calls of 1 000, one at a time on each connection. ``qualities``
        are PDQ qualities of 0-100: hashes of less than 50 are then answered ``low_quality``.
        ``uploads`` is how many pictures and videos the hashes are of: a quota counts these, and
        each hash as one where it is None (docs/keys.md).
        ``max_distance_bits`` is inclusive, None is each bank's own; ``max_matches`` are media items
        per hash, 1-1000, nearest first, beside which the nearest of each searched bank is answered;
        ``banks`` are names, empty for all that the key may search. ``leave_out_common``: leave out
        matches that something in common use explains as well, see Match.common; not of videos.
        ``timeout_s`` takes the place of the client's for this lookup; so it does in all calls.

        ``since`` is for hashes that you keep and ask again: with "" everything is searched, and the
        answers have a cursor, ``next_since``. With that of an earlier lookup, only what became
        new since is searched, in a fraction of the time (docs/archives.md). Raises
        CursorExpiredError where everything has to be looked up again.
        """
        options = requests.options(
            max_distance_bits, max_matches, banks, leave_out_common=leave_out_common
        )
        return self._run(
            lookups.hashes(batch, options, profile, qualities, uploads, since),
            self._settings.within(timeout_s),
        )

    def match_image(  # noqa: PLR0913 all but one by name
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
        """Look up a picture: the bytes of a picture file (docs/hashing-pictures.md), or its path.

        It is hashed here, in this process, and does not leave it: private, and cheap for the
        server. With ``hash_locally=False`` it is sent, and the server decodes and hashes it in
        memory. Hashing here is within the client's ``timeout_s``; where that ends first, its
        thread finishes and the result is dropped. ``effort``: how many edited versions are
        searched.
        ``whole_only``: leave out matches of a part of both pictures, see Match.extent.
        Other arguments are those of ``match_hashes``. Raises InvalidMediaError for what is no
        picture, UnreadableMediaError for a file that cannot be read.
        """
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
        prepared = media.in_time(
            lambda: media.prepare(picture, effort=effort, hash_locally=hash_locally), deadline
        )
        return self._run(lookups.image(prepared, options), settings.after(deadline))

    def match_file(  # noqa: PLR0913 all but one by name
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
        """Look up a picture or a video, as ``match_image`` or ``match_video``: its content decides.

        Animations are pictures. ``timeout_s`` None: that of the client for a picture, and 600 s
        for a video. Arguments are those of ``match_image``; errors those of both.
        """
        asked: dict[str, Any] = {
            "hash_locally": hash_locally,
            "effort": effort,
            "whole_only": whole_only,
            "max_distance_bits": max_distance_bits,
            "max_matches": max_matches,
            "banks": banks,
            "leave_out_common": leave_out_common,
        }
        if media.is_video_file(file):
            video_s = VIDEO_TIMEOUT_S if timeout_s is None else timeout_s
            return self.match_video(file, timeout_s=video_s, **asked)
        return self.match_image(file, timeout_s=timeout_s, **asked)

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
        whole_only: bool = False,
        max_distance_bits: int | None = None,
        max_matches: int = MAX_MATCHES,
        banks: Sequence[str] = (),
        leave_out_common: bool = False,
        watched: Watched = lambda _time_ms, _declared_ms: None,
        timeout_s: float = VIDEO_TIMEOUT_S,
    ) -> VideoAnswer:
        """Look up a video: the bytes of a video file (docs/video.md), its path, or hashed frames.

        A file is hashed here, a frame each ``interval_ms``, and does not leave this process; with
        ``hash_locally=False`` it is sent, and the server hashes it in memory while it comes.
        ``min_query_share_permille`` and ``min_stored_share_permille`` are the least shares of
        frames, of this video and of a stored one, that a match must show. ``answer_early``: answer
        once one match is certain. ``effort`` FAST searches for the frames as they are, others
        also for them mirrored and without borders. ``whole_only``: leave out matches of a part of
        the frames, see Match.extent. ``watched`` is called with the progress of
        hashing. All of it may take ``timeout_s``. Other arguments are those of
        ``match_hashes``. Raises InvalidMediaError for what is no video, UnreadableMediaError for a
        file that cannot be read.
        """
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
        sent = videos.prepare(
            video, first, hash_locally=hash_locally, watched=watched, deadline=deadline
        )
        settings = settings.after(deadline)
        with sent.reading():
            response: match_pb2.MatchVideoResponse = calls.call(
                lambda: videos.streaming(next(self._stubs).MatchVideo), sent, settings
            )
        return results.video_answer(response, incomplete=sent.incomplete)

    def index_status(self, cursor: str = "", *, timeout_s: float | None = None) -> IndexStatus:
        """Return state and limits of the index of the process that answers.

        ``cursor`` is that of a receipt or another answer: ``includes_cursor`` tells whether the
        index includes it.
        """
        return self._run(lookups.index_status(cursor), self._settings.within(timeout_s))

    def report_outcome(
        self, match_id: bytes, outcome: MatchOutcome, *, timeout_s: float | None = None
    ) -> None:
        """Tell the hotline what came of a match, durably.

        ``match_id`` is that of a Match. Safe to repeat: the last report of a match counts. Raises
        InvalidRequestError for what is no match id of your organisation, NotFoundError where the
        item was withdrawn since.
        """
        self._run(lookups.report_outcome(match_id, outcome), self._settings.within(timeout_s))

    def _run(self, steps: Steps[_Answer], settings: CallSettings) -> _Answer:
        answers = None
        while True:
            try:
                step = steps.send(answers)
            except StopIteration as end:
                answer: _Answer = end.value
                return answer
            answers = self._at_once(step, settings)

    def _at_once(self, step: Sequence[Call], settings: CallSettings) -> list[object]:
        if len(step) <= 1:
            return [self._answer(call, settings) for call in step]
        with ThreadPoolExecutor(len(self._channels)) as threads:
            return list(threads.map(lambda call: self._answer(call, settings), step))

    def _answer(self, call: Call, settings: CallSettings) -> object:
        response = calls.call(
            lambda: getattr(next(self._stubs), call.method), call.request, settings
        )
        return call.answer(response)
