"""MatchService, answered by a worker from its own index."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from grpc import aio
from numpy.typing import NDArray

from disrupt import test_bank
from disrupt.core.changes import Cursor
from disrupt.core.hashes import MAX_DISTANCE_BITS, stack
from disrupt.core.lookups import LookupOptions, Matches
from disrupt.core.media import LowQuality
from disrupt.core.organisations import Kind
from disrupt.core.outcomes import Outcome
from disrupt.core.policy import ApiKey, Scope, scope, visible
from disrupt.core.status import Limits
from disrupt.errors import CursorExpiredError
from disrupt.index.part import Part
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Context
from disrupt.server.admission.shares import Counts, Resource, holder
from disrupt.server.calls.interceptors import allowed_s, caller
from disrupt.server.calls.relay import Relay
from disrupt.server.calls.videos import VideoSearch, first_part, in_time
from disrupt.server.config import Config
from disrupt.server.following import Following
from disrupt.services import matching
from disrupt.services.cursors import SealedCursors
from disrupt.services.keys import KeyRing
from disrupt.services.matching import Allowance, Index, Steps, advance
from disrupt.services.slow_start import SlowStart, draw_key
from disrupt.services.tokens import MatchTokens
from disrupt.services.video_matching import VideoLookup
from disrupt.v1 import match_pb2, match_pb2_grpc
from disrupt.wire import match as wire
from disrupt.wire import videos as wire_videos
from disrupt.wire.payloads import WithImage

_Answer = TypeVar("_Answer")

_INLINE_MAX_US = 500.0
"""Longest search, as estimated, that runs on the event loop.

Handing it to a thread costs a fifth of one, and the thread has to wait for the loop's GIL.
"""

_INLINE_MAX_HASHES = 2
"""Most hashes of such a search: where something is near, each takes some ms more (see nearness)."""

_TURN_S = 0.02
"""Length of a search from which on it lets others have its thread: a batch of 10 000 hashes that
are near something takes 20 s."""

_CURSOR_KEPT_S = 0.1


class MatchServicer(match_pb2_grpc.MatchServiceServicer):
    """Answer the calls of proto/disrupt/v1/match.proto."""

    def __init__(
        self,
        config: Config,
        following: Following,
        secret: bytes,
        hashing: IsolatedHashing,
        videos: IsolatedVideos,
        writer: aio.Channel,
        counts: Counts,
    ) -> None:
        """``secret`` seals match ids and cursors, and draws what a slow start answers."""
        self._counts = counts
        self._config = config
        self._writer = match_pb2_grpc.MatchServiceStub(writer)
        self._relay = Relay(writer, config.max_call_s)
        self._following = following
        self._tokens = MatchTokens(secret)
        self._hashing = hashing
        self._videos = videos
        self._searching = Pool(
            "search",
            threads=config.search_threads,
            queued=config.max_concurrent_calls,
        )
        # One less, so that there is a core for other lookups, and at least one
        self._comparing = Pool(
            "videos",
            threads=max(1, config.search_threads - 1),
            queued=config.max_concurrent_calls,
        )
        self._cursors = SealedCursors(secret)
        self._cursor_text = _CursorText(self._cursors)
        self._scopes = _Scopes(draw_key(secret))
        self._test_bank = Part.of(test_bank.items(), tables=False)

    async def MatchHashes(  # noqa: N802 gRPC's name
        self, request: match_pb2.MatchHashesRequest, context: Context
    ) -> match_pb2.MatchHashesResponse:
        """Look up a batch of hashes."""
        return await self._match_hashes(request, caller.get(), context)

    async def StreamMatchHashes(  # noqa: N802 gRPC's name
        self, requests: AsyncIterator[match_pb2.StreamMatchHashesRequest], context: Context
    ) -> AsyncIterator[match_pb2.StreamMatchHashesResponse]:
        """Look up batches in a continuous flow, one after the other.

        The next is read when the one before is answered: gRPC's flow control bounds what waits. A
        batch that is refused ends the flow. A flow may outlast its key, so each batch checks it.
        """
        async for request in requests:
            key = self._following.ring.still(caller.get())
            answer = await self._match_hashes(request.batch, key, context)
            yield wire.batch_answer(answer, request.sequence)

    async def _match_hashes(
        self, request: match_pb2.MatchHashesRequest, key: ApiKey, context: Context
    ) -> match_pb2.MatchHashesResponse:
        by = holder.get()
        by.check_quota(Kind.HASHES)  # before work is done
        lookup = wire.hash_lookup(request, most=self._config.max_hashes_per_lookup)
        searched = self._scope(key, lookup.options)
        # read before the search, which includes at least this
        cursor = self._cursor()
        queries, index = lookup.queries, self._index(searched)

        def answer(allowance: Allowance) -> Steps[match_pb2.MatchHashesResponse]:
            matches = matching.NO_MATCHES
            if searched.limits:
                matches = yield from matching.hash_steps(
                    index,
                    queries,
                    searched,
                    lookup.options.max_matches,
                    most_matches=self._config.max_matches_per_answer,
                    allowance=allowance,
                )
            return wire.hashes_answer(
                lookup,
                matches,
                self._seal(matches, key, queries, searched),
                self._following.ring.bank_names,
                cursor,
            )

        allowance = self._allowance(context)
        steps = answer(allowance)
        response = self._inline(steps, len(queries), index, searched)
        if response is not None:
            by.charge(Kind.HASHES, len(queries))
            return response
        with by.holding(Resource.HASHES, len(queries)):
            by.charge(Kind.HASHES, len(queries))
            return await self._search(steps, allowance)

    async def MatchImage(  # noqa: N802 gRPC's name
        self,
        request: WithImage[match_pb2.MatchImageRequest],  # type: ignore[override]  # see worker
        context: Context,
    ) -> match_pb2.MatchImageResponse:
        """Hash one picture in memory and look it up."""
        key, options = caller.get(), wire.options(request.message.options)
        searched = self._scope(key, options)
        self._cursor()  # raises without an index, before anything is decoded
        by = holder.get()
        by.check_quota(Kind.PICTURES)
        with by.holding(Resource.PICTURES):
            by.charge(Kind.PICTURES, 1)
            query = await self._hashing.hash_image(request.image, options.effort)
        cursor = self._cursor()
        if isinstance(query, LowQuality):
            return wire.low_quality_answer(query, cursor)
        queries, index = stack(hash_bytes for hash_bytes, _ in query.hashes), self._index(searched)

        def answer(allowance: Allowance) -> Steps[match_pb2.MatchImageResponse]:
            matches = matching.NO_MATCHES
            if searched.limits:
                matches = yield from matching.picture_steps(
                    index, queries, searched, options.max_matches, allowance
                )
            return wire.picture_answer(
                query.quality,
                [transform for _, transform in query.hashes],
                matches,
                self._seal(matches, key, queries, searched),
                self._following.ring.bank_names,
                cursor,
                frames_skipped=query.frames_skipped,
            )

        allowance = self._allowance(context)
        steps = answer(allowance)
        response = self._inline(steps, len(queries), index, searched)
        if response is not None:
            return response
        return await self._search(steps, allowance)

    async def GetIndexStatus(  # noqa: N802 gRPC's name
        self, request: match_pb2.GetIndexStatusRequest, _context: Context
    ) -> match_pb2.GetIndexStatusResponse:
        """Return what the index holds, how fresh it is, and which limits hold."""
        config, banks = self._config, visible(caller.get(), self._following.ring.banks)
        status = self._following.live.status(banks)
        asked = self._cursors.open(request.cursor) if request.cursor else status.cursor
        if asked.epoch != status.cursor.epoch:
            raise CursorExpiredError(
                "The registry was restored since, so what this cursor stands for may be gone. Look"
                " up again what it was about."
            )
        return wire.status_answer(
            status,
            self._cursors.seal(self._following.settled),
            includes_cursor=asked.sequence <= status.cursor.sequence,
            lag_s=self._following.behind_s(),
            limits=Limits(
                message_bytes=config.max_message_bytes,
                image_pixels=self._hashing.limits.max_pixels,
                hashes_per_lookup=config.max_hashes_per_lookup,
                items_per_registration=config.max_items_per_registration,
                hashes_per_item=config.max_hashes_per_item,
                items_per_case=config.max_items_per_case,
                hashes_per_registration=config.max_hashes_per_registration,
                video_bytes=self._videos.limits.max_bytes,
                video_pixels=self._videos.limits.max_pixels,
                video_seconds=self._videos.limits.max_duration_s,
            ),
        )

    async def MatchVideo(  # noqa: N802 gRPC's name
        self, parts: AsyncIterator[match_pb2.MatchVideoRequest], context: Context
    ) -> match_pb2.MatchVideoResponse:
        """Hash one video in memory, while it comes in, and look its frames up."""
        key = caller.get()
        parts = in_time(parts, self._config.video_stall_s)
        options = wire_videos.video_options((await first_part(parts, "options")).options)
        searched = self._scope(key, options.lookup)
        cursor = self._cursor()
        allowance = Allowance(time.monotonic() + allowed_s(context, self._config.max_video_call_s))
        lookup = VideoLookup(self._index(searched), searched, options, allowance)
        search = VideoSearch(lookup, options, self._comparing)

        def answer() -> match_pb2.MatchVideoResponse:
            result = lookup.matches()
            if result.matches and _counts(searched):
                self._following.seen.note_hashes(
                    [match.item_id for match in result.matches],
                    [match.kind for match in result.matches],
                    stack(match.query_hash for match in result.matches),
                    key.organisation,
                    self._following.ring.day,
                )
            self._counts.matched(
                np.array([match.bank for match in result.matches], np.uint16),
                np.array([match.distance_bits for match in result.matches], np.uint16),
            )
            pairs = [(match.item_id, match.distance_bits) for match in result.matches]
            match_ids = self._tokens.seal(
                [item_id for item_id, _ in pairs],
                [distance for _, distance in pairs],
                key.key_id,
                int(time.time()),
            )
            return wire_videos.video_answer(result, match_ids, self._following.ring.bank_names)

        try:
            await search.run(self._videos, parts)
            await search.compare()
            response = await self._comparing.run(answer)
        except asyncio.CancelledError:
            allowance.end()
            raise
        finally:
            search.let_go()
        response.frames_hashed = lookup.hashed
        response.frames_low_quality = lookup.low_quality
        response.incomplete = search.incomplete
        response.answered_early = search.answered_early
        response.index_cursor = cursor
        return response

    async def ReportOutcome(  # noqa: N802 gRPC's name
        self, request: match_pb2.ReportOutcomeRequest, context: Context
    ) -> match_pb2.ReportOutcomeResponse:
        """Tell the hotline what came of a match."""
        response = await self._relay(self._writer.ReportOutcome, request, context)
        self._counts.reported(Outcome(request.outcome), holder.get().place)
        return response

    def _scope(self, key: ApiKey, options: LookupOptions) -> Scope:
        return self._scopes(self._following.ring, key, options)

    def _index(self, searched: Scope) -> Index:
        """Return what is searched: the live index must be there in any case."""
        live = self._following.live
        return self._test_bank if searched.is_test else live

    def _cursor(self) -> str:
        return self._cursor_text(self._following.settled)

    def _allowance(self, context: Context) -> Allowance:
        return Allowance(time.monotonic() + allowed_s(context, self._config.max_call_s))

    def _inline(
        self, steps: Steps[_Answer], queries: int, index: Index, searched: Scope
    ) -> _Answer | None:
        """Take the first step to an answer, if the search seems short enough for the event loop.

        There is no answer yet near a crowd, of which the estimate does not know.
        """
        if queries > _INLINE_MAX_HASHES:
            return None
        if queries * index.expected_us(searched.radius_bits) > _INLINE_MAX_US:
            return None
        return advance(steps, 0.0)

    async def _search(self, steps: Steps[_Answer], allowance: Allowance) -> _Answer:
        """Take the steps to an answer in turns of a thread, so that callers alternate."""
        try:
            while (answer := await self._searching.run(advance, steps, _TURN_S)) is None:
                pass
        except asyncio.CancelledError:
            allowance.end()
            raise
        return answer

    def _seal(
        self, matches: Matches, key: ApiKey, queries: NDArray[np.uint8], searched: Scope
    ) -> list[bytes]:
        """Return the match ids of ``matches``; count the lookup of ``queries``, if any matched."""
        if not len(matches):
            return []
        self._counts.matched(matches.bank, matches.distance_bits)
        if _counts(searched):
            day = self._following.ring.day
            self._following.seen.note(matches, queries, key.organisation, day)
        item_ids = [item_id.tobytes() for item_id in matches.item_ids]
        distances_bits = matches.distance_bits.tolist()
        return self._tokens.seal(item_ids, distances_bits, key.key_id, int(time.time()))


def _counts(searched: Scope) -> bool:
    """Tell whether what a lookup is near to may be counted against items.

    Not of the test bank; and not where an operator asks for more than the distance within which two
    lookups near to one hash are at most ``FAR_BITS`` from each other.
    """
    return not searched.is_test and searched.radius_bits <= MAX_DISTANCE_BITS


@dataclass(slots=True)
class _CursorText:
    """Text of a recent cursor, cached, since sealing one takes a while.

    It is kept for a time, not until the next change: that would show when other banks change.
    """

    cursors: SealedCursors
    text: str = ""
    until_s: float = 0.0

    def __call__(self, cursor: Cursor) -> str:
        now_s = time.monotonic()
        if now_s >= self.until_s:
            self.text, self.until_s = self.cursors.seal(cursor), now_s + _CURSOR_KEPT_S
        return self.text


class _Scopes:
    """Scopes of lookups, cached for keys whose lookups narrow nothing until keys or banks change.

    ``draw_key`` decides which items the banks of a slow start hold back.
    """

    def __init__(self, draw_key: bytes) -> None:
        self._draw_key = draw_key
        self._ring: KeyRing | None = None
        self._slow_start: SlowStart | None = None
        self._kept: dict[int, tuple[ApiKey, Scope]] = {}

    def __call__(self, ring: KeyRing, key: ApiKey, options: LookupOptions) -> Scope:
        if ring is not self._ring:
            self._ring, self._kept = ring, {}
            self._slow_start = SlowStart.of(self._draw_key, ring.banks)
        if options.banks or options.max_distance_bits is not None:
            narrowed = scope(key, ring.banks, options.banks, options.max_distance_bits)
            return self._held_back(narrowed)
        kept = self._kept.get(id(key))
        if kept is None:
            # keep the key, so that no other object gets its id
            kept = key, self._held_back(scope(key, ring.banks, (), None))
            self._kept[id(key)] = kept
        return kept[1]

    def _held_back(self, searched: Scope) -> Scope:
        """Return a scope without the items that its banks hold back."""
        if self._slow_start is None or self._slow_start.banks.isdisjoint(searched.limits):
            return searched
        return replace(searched, held=self._slow_start)
