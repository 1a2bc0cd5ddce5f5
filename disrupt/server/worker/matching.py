"""MatchService, answered by a worker from its own index."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from disrupt.core.case_erasures import day_of
from disrupt.core.changes import Cursor
from disrupt.core.examples import EXAMPLE_IDS
from disrupt.core.hashes import stack
from disrupt.core.lookups import HashLookup, LookupOptions, Matches
from disrupt.core.media import LowQuality
from disrupt.core.outcomes import OutcomeReport
from disrupt.core.policy import TEST_BANK, ApiKey, Scope, scope
from disrupt.core.status import Limits
from disrupt.errors import CursorExpiredError, OverloadedError
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import allowed_s, caller
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Context
from disrupt.server.edge.shares import Resource, holder
from disrupt.server.metrics import families
from disrupt.server.worker.probing import ProbingWatch, wait
from disrupt.server.worker.quotas import LookupQuotas, charged
from disrupt.server.worker.relay import Relay
from disrupt.server.worker.state import WorkerState
from disrupt.server.worker.videos import VideoSearch, first_part, in_time
from disrupt.services import matching
from disrupt.services.cursors import SealedCursors
from disrupt.services.distance_bands import banded, banded_videos
from disrupt.services.keys import KeyRing
from disrupt.services.matching import Allowance, Steps, advance
from disrupt.services.own_disputes import disputed_last
from disrupt.services.tokens import MatchTokens, not_a_match_id
from disrupt.services.upload_counts import NONE_MATCHED, Pair, matched_uploads
from disrupt.services.video_matching import VideoLookup
from disrupt.v1 import match_pb2
from disrupt.wire import admin as wire_admin
from disrupt.wire import match as wire
from disrupt.wire import videos as wire_videos
from disrupt.wire.payloads import WithImage

_Answer = TypeVar("_Answer")

_INLINE_MAX_US = 500.0
"""Longest search, as estimated, that runs on the event loop.

Handing it to a thread costs a fifth of one, and the thread has to wait for the loop's GIL.
"""

_TURN_S = 0.02
"""Length of a search from which on it lets others have its thread: a batch of 10 000 hashes that
are near something takes 20 s."""

_CURSOR_KEPT_S = 0.1

_DAY_S = 86_400
_BEHIND_S = 3600.0
"""How far the clocks of machines may be apart, and a lookup take in several calls, so that a cursor
of what is new is right for all of them."""

_RECORD = "/disrupt.admin.v1.AdminService/RecordOutcome"


class MatchServicer:
    """Answer the calls of proto/disrupt/v1/match.proto."""

    def __init__(
        self,
        config: Config,
        state: WorkerState,
        relay: Relay,
        tokens: MatchTokens,
        cursors: SealedCursors,
        hashing: IsolatedHashing,
        videos: IsolatedVideos,
        quotas: LookupQuotas,
    ) -> None:
        self._config = config
        self._quotas = quotas
        self._state = state
        self._probing = ProbingWatch(config, state)
        self._relay = relay
        self._tokens = tokens
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
        self._reading = Pool("status", threads=1, queued=config.max_concurrent_calls)
        self.pools = {"searches": self._searching, "videos_compared": self._comparing}
        """Threads of lookups, by name."""
        self._cursors = cursors
        self._cursor_text = _CursorText(cursors)
        self._scopes = _Scopes()

    async def MatchHashes(
        self, request: match_pb2.MatchHashesRequest, context: Context
    ) -> match_pb2.MatchHashesResponse:
        """Look up a batch of hashes."""
        key = caller.get()
        lookup = wire.hash_lookup(request, most=self._config.max_hashes_per_lookup)
        searched = self._scope(key, lookup.options)
        # read before the search, which includes at least this
        cursor = self._cursor()
        since, next_since = self._since(lookup, key, searched)
        queries = lookup.queries

        def answer(allowance: Allowance) -> Steps[tuple[match_pb2.MatchHashesResponse, float]]:
            matches, index = matching.NO_MATCHES, self._state.live
            if since is not None:
                index = index.since(since)
            if searched.limits:
                matches = yield from disputed_last(
                    lambda rows, most: matching.hash_steps(
                        index,
                        queries[rows],
                        searched,
                        most,
                        most_matches=self._config.max_matches_per_answer,
                        allowance=allowance,
                        leave_out_common=lookup.options.leave_out_common,
                    ),
                    self._state.disputes(key.organisation),
                    index,
                    lambda query: queries[query : query + 1],
                    len(queries),
                    searched,
                    lookup.options.max_matches,
                    allowance,
                )
            self._count(
                key, searched, charge.uploads, self._pairs(matches), again=since is not None
            )
            wait_s = self._probing.hashes(key, matches, queries, matches.query)
            if key.distance_bands:
                matches = banded(matches, searched)
            response = wire.hashes_answer(
                *(lookup, matches, self._seal(matches, key), self._state.ring.bank_names),
                *(cursor, next_since),
            )
            return response, wait_s

        by, charge = holder.get(), charged(lookup)
        allowance = self._allowance(context)
        steps = answer(allowance)
        self._quotas.take(key.organisation, charge)
        # what is new may have to be copied first, which takes a thread's time
        answered = None if since is not None else self._inline(steps, len(queries), searched)
        if answered is None:
            try:
                with by.holding(Resource.HASHES, len(queries)):
                    answered = await self._search(steps, allowance)
            except OverloadedError:
                self._quotas.give_back(key.organisation, charge)
                raise
        response, wait_s = answered
        await wait(wait_s, context)
        return response

    async def MatchImage(
        self,
        request: WithImage[match_pb2.MatchImageRequest],
        context: Context,
    ) -> match_pb2.MatchImageResponse:
        """Hash one picture in memory and look it up."""
        key, options = caller.get(), wire.options(request.message.options)
        searched = self._scope(key, options)
        self._cursor()  # raises without an index, before anything is decoded
        with holder.get().holding(Resource.PICTURES):
            self._quotas.take(key.organisation)
            query = await self._hashing.hash_image(request.image, options.effort)
        cursor = self._cursor()
        if isinstance(query, LowQuality):
            self._count(key, searched, 1, ())
            return wire.low_quality_answer(query, cursor)
        queries = stack(hash_bytes for hash_bytes, _ in query.hashes)
        transforms = [transform for _, transform in query.hashes]

        def answer(allowance: Allowance) -> Steps[tuple[match_pb2.MatchImageResponse, float]]:
            matches, index = matching.NO_MATCHES, self._state.live
            if searched.limits:
                matches = yield from disputed_last(
                    lambda _, most: matching.picture_steps(
                        index,
                        queries,
                        transforms,
                        searched,
                        most,
                        allowance,
                        whole_only=options.whole_only,
                        leave_out_common=options.leave_out_common,
                    ),
                    self._state.disputes(key.organisation),
                    index,
                    lambda _: queries,
                    1,
                    searched,
                    options.max_matches,
                    allowance,
                )
            self._count(key, searched, 1, self._pairs(matches))
            wait_s = self._probing.hashes(key, matches, queries, matches.version)
            if key.distance_bands:
                matches = banded(matches, searched)
            response = wire.picture_answer(
                query.quality,
                transforms,
                matches,
                self._seal(matches, key),
                self._state.ring.bank_names,
                cursor,
                frames_skipped=query.frames_skipped,
            )
            return response, wait_s

        allowance = self._allowance(context)
        steps = answer(allowance)
        answered = self._inline(steps, len(queries), searched)
        if answered is None:
            answered = await self._search(steps, allowance)
        response, wait_s = answered
        await wait(wait_s, context)
        return response

    async def GetIndexStatus(
        self, request: match_pb2.GetIndexStatusRequest, _context: Context
    ) -> match_pb2.GetIndexStatusResponse:
        """Return what the index holds, how fresh it is, and which limits hold."""
        banks = caller.get().banks
        oldest_withdrawn_s = await self._reading.run(self._state.oldest_withdrawn_s, banks)
        config, status = self._config, self._state.live.status(banks)
        asked = self._cursors.open(request.cursor) if request.cursor else status.cursor
        if asked.epoch != status.cursor.epoch:
            raise CursorExpiredError(
                "The registry was restored since, so what this cursor stands for may be gone. Look"
                " up again what it was about."
            )
        return wire.status_answer(
            status,
            self._cursors.seal(self._state.settled),
            includes_cursor=asked.sequence <= status.cursor.sequence,
            lag_s=self._state.behind_s(),
            oldest_withdrawn_s=oldest_withdrawn_s,
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

    async def MatchVideo(
        self, parts: AsyncIterator[match_pb2.MatchVideoRequest], context: Context
    ) -> match_pb2.MatchVideoResponse:
        """Hash one video in memory, while it comes in, and look its frames up."""
        key = caller.get()
        parts = in_time(parts, self._config.video_stall_s)
        options = wire_videos.video_options((await first_part(parts, "options")).options)
        searched = self._scope(key, options.lookup)
        cursor = self._cursor()
        self._quotas.take(key.organisation)
        allowance = Allowance(time.monotonic() + allowed_s(context, self._config.max_video_call_s))
        own = self._state.disputes(key.organisation)
        lookup = VideoLookup(self._state.live, searched, options, allowance, own)
        search = VideoSearch(lookup, options, self._comparing)

        def answer() -> tuple[match_pb2.MatchVideoResponse, float]:
            result = lookup.matches()
            match_ids = self._tokens.seal(
                [match.item_id for match in result.matches],
                [match.versions for match in result.matches],
                key.key_id,
                int(time.time()),
            )
            self._count_matches(
                (match.bank, match.distance_bits, False) for match in result.matches
            )
            names = self._state.ring.bank_names
            pairs = (
                Pair(
                    *(names[match.bank], 0, match.distance_bits),
                    *(match.query_area_permille, match.stored_area_permille),
                )
                for match in result.matches
            )
            self._count(key, searched, 1, pairs)
            wait_s = self._probing.video(key, result)
            if key.distance_bands:
                result = banded_videos(result, searched)
            response = wire_videos.video_answer(result, match_ids, self._state.ring.bank_names)
            return response, wait_s

        try:
            await search.run(self._videos, parts)
            await search.compare()
            response, wait_s = await self._comparing.run(answer)
        except asyncio.CancelledError:
            allowance.end()
            raise
        except OverloadedError:
            self._quotas.give_back(key.organisation)
            raise
        finally:
            search.let_go()
        response.frames_hashed = lookup.hashed
        response.frames_low_quality = lookup.low_quality
        response.incomplete = search.incomplete
        response.answered_early = search.answered_early
        response.index_cursor = cursor
        await wait(wait_s, context)
        return response

    async def ReportOutcome(
        self, request: match_pb2.ReportOutcomeRequest, context: Context
    ) -> match_pb2.ReportOutcomeResponse:
        """Let the writer note what came of a match that the caller's organisation got."""
        outcome, token = wire.outcome(request.outcome), self._tokens.open(request.match_id)
        organisation = caller.get().organisation
        if self._state.ring.organisations.get(token.key_id) != organisation:
            raise not_a_match_id()
        report = OutcomeReport(
            *(token.item_id, organisation, outcome, token.match, token.versions),
            matched_on=day_of(token.time_s),
        )
        if token.item_id not in EXAMPLE_IDS:  # which are in no statistic
            relayed = wire_admin.record_request(report).SerializeToString()
            answer = await self._relay(_RECORD, relayed, context)
            if wire_admin.is_first_report(answer):
                families.OUTCOMES.add(outcome.name.lower(), organisation)
        return wire.reported_answer()

    async def matches_any(self, fingerprints: NDArray[np.void], context: Context) -> bool:
        """Tell whether any fingerprint, dtype FINGERPRINT, matches an item of whatever bank."""
        banks = (bank for bank in self._state.ring.banks if not bank.is_fixed)
        everywhere = Scope({bank.number: bank.max_distance_bits for bank in banks})
        hashes, allowance = fingerprints["hash"], self._allowance(context)
        return await self._searching.run(
            matching.is_near_any, self._state.live, hashes, everywhere, allowance
        )

    def _scope(self, key: ApiKey, options: LookupOptions) -> Scope:
        return self._scopes(self._state.ring, key, options)

    def _since(self, lookup: HashLookup, key: ApiKey, searched: Scope) -> tuple[int | None, str]:
        """Return the day since which a lookup asks for what is new, if it does, and its cursor.

        The cursor is of a day that began so long ago that no server is behind it: whichever made
        the answer, it includes all that was new before.
        """
        if lookup.since is None:
            return None, ""
        now_s, epoch = time.time(), self._state.live.cursor.epoch
        since = None
        if lookup.since:
            today = int(now_s // _DAY_S)
            since = self._cursors.open_since(lookup.since, today, epoch, key.key_id, searched)
        day = int((now_s - max(_BEHIND_S, self._config.stale_closes_s)) // _DAY_S)
        return since, self._cursors.seal_since(day, epoch, key.key_id, searched)

    def _cursor(self) -> str:
        return self._cursor_text(self._state.settled)

    def _allowance(self, context: Context) -> Allowance:
        return Allowance(time.monotonic() + allowed_s(context, self._config.max_call_s))

    def _inline(self, steps: Steps[_Answer], queries: int, searched: Scope) -> _Answer | None:
        """Take the first step to an answer, if the search seems short enough for the event loop.

        There is no answer yet near a crowd, of which the estimate does not know.
        """
        if queries > matching.INLINE_QUERIES:
            return None
        if queries * self._state.live.expected_us(searched.radius_bits) > _INLINE_MAX_US:
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

    def _count(
        self,
        key: ApiKey,
        searched: Scope,
        uploads: int,
        pairs: Iterable[Pair],
        *,
        again: bool = False,
    ) -> None:
        """Count uploads, and those that match: once they are answered, for any thread.

        None of lookups of the test bank alone.
        """
        ring = self._state.ring
        if all(ring.bank_names[bank] == TEST_BANK for bank in searched.limits):
            return
        matched = matched_uploads(pairs, uploads) if pairs else NONE_MATCHED
        self._state.uploads.add(ring.day, key.organisation, uploads, matched, again=again)
        families.count_uploads(key.organisation, 0 if again else uploads, matched.uploads)

    def _pairs(self, matches: Matches) -> Sequence[Pair]:
        if not len(matches):
            return ()
        names = self._state.ring.bank_names
        columns = (
            *(matches.query, matches.distance_bits),
            *(matches.query_area_permille, matches.stored_area_permille),
        )
        return [
            Pair(names[bank], *of_pair)
            for bank, *of_pair in zip(
                matches.bank.tolist(), *(column.tolist() for column in columns), strict=True
            )
            if names[bank] != TEST_BANK
        ]

    def _count_matches(self, matches: Iterable[tuple[int, int, bool]]) -> None:
        """Count matches: of each its bank's number, its distance, its mark ``common``.

        None of the test bank.
        """
        names = self._state.ring.bank_names
        families.count_matches(
            (names[bank], bits, is_common)
            for bank, bits, is_common in matches
            if names[bank] != TEST_BANK
        )

    def _seal(self, matches: Matches, key: ApiKey) -> list[bytes]:
        if not len(matches):
            return []
        item_ids = [item_id.tobytes() for item_id in matches.item_ids]
        columns = (matches.bank, matches.distance_bits, matches.is_common)
        self._count_matches(zip(*(column.tolist() for column in columns), strict=True))
        versions = matches.matched_versions()
        return self._tokens.seal(item_ids, versions, key.key_id, int(time.time()))


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
    """Cache of the scopes of keys whose lookups narrow nothing, until keys or banks change."""

    def __init__(self) -> None:
        self._ring: KeyRing | None = None
        self._kept: dict[int, tuple[ApiKey, Scope]] = {}

    def __call__(self, ring: KeyRing, key: ApiKey, options: LookupOptions) -> Scope:
        if options is not wire.DEFAULT:
            return scope(key, ring.banks, options.banks, options.max_distance_bits)
        if ring is not self._ring:
            self._ring, self._kept = ring, {}
        kept = self._kept.get(id(key))
        if kept is None:
            # keep the key, so that no other object gets its id
            kept = self._kept[id(key)] = key, scope(key, ring.banks, (), None)
        return kept[1]
