"""Lookups by video leave memory, threads and turns to others."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from disrupt.core.lookups import VideoOptions
from disrupt.core.policy import ADULTS, Scope
from disrupt.core.videos import FRAME, HELD_BYTES_MAX
from disrupt.errors import DisruptError, OverloadedError
from disrupt.fair_queue import turn_of
from disrupt.hashing.decoding.videos import VideoLimits
from disrupt.index.live import LiveIndex
from disrupt.isolation.video_messages import Frames
from disrupt.isolation.videos import IsolatedVideos
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import caller
from disrupt.server.edge.limits import capacities
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.shares import Admission, Holder, Resource, holder
from disrupt.server.worker.matching import MatchServicer
from disrupt.server.worker.quotas import LookupQuotas
from disrupt.server.worker.videos import VideoSearch, fingerprint
from disrupt.services.matching import Allowance, Steps
from disrupt.services.video_matching import VideoLookup
from disrupt.v1 import match_pb2
from disrupt.wire.videos import frames_message

CONFIG = Config(data_dir="data")  # type: ignore[arg-type]
NO_VIDEOS = cast("IsolatedVideos", None)
FRAMES = 2000


def part(start: int, count: int = FRAMES) -> match_pb2.MatchVideoRequest:
    """So many frames of eight versions, that differ."""
    rows = np.zeros(8 * count, FRAME)
    rows["hash"] = np.random.default_rng(start).integers(0, 256, (8 * count, 32), np.uint8)
    rows["usable"], rows["quality"] = 1, 90
    rows["start_ms"] = np.repeat(np.arange(start, start + count), 8)
    rows["end_ms"] = rows["start_ms"] + 1
    return match_pb2.MatchVideoRequest(frames=frames_message(rows))


def admission() -> Admission:
    return Admission(capacities(CONFIG))


def search(lookup: Any = None, pool: Pool | None = None) -> VideoSearch:
    options = VideoOptions()
    if lookup is None:
        scope = Scope({})  # nothing is searched
        lookup = VideoLookup(LiveIndex(), scope, options, Allowance(math.inf))
    return VideoSearch(lookup, options, pool or Pool("videos", threads=1, queued=100))


async def kept_open(begun: list[VideoSearch], by: Holder) -> None:
    """Send frames for as long as they are taken, and leave every call open."""
    holder.set(by)
    while True:
        begun.append(search())

        async def parts() -> AsyncIterator[match_pb2.MatchVideoRequest]:
            for at in range(6):
                yield part(at * FRAMES)

        await begun[-1].run(NO_VIDEOS, parts())


def test_what_all_lookups_hold_together_is_bounded_and_a_key_leaves_some() -> None:
    async def calls() -> None:
        worker, begun = admission(), list[VideoSearch]()
        greedy, other = worker.holder("0"), worker.holder("1")
        with pytest.raises(OverloadedError, match="frames of videos"):
            await kept_open(begun, greedy)
        held = sum(search.lookup.held_bytes for search in begun)
        assert held <= HELD_BYTES_MAX + (1 << 20)  # a block that was refused
        more: list[VideoSearch] = []
        with pytest.raises(OverloadedError):
            await kept_open(more, other)
        assert len(more) > 1
        holder.set(greedy)
        for search in begun:
            search.let_go()
        assert greedy.held(Resource.VIDEO_BYTES) == 0

    asyncio.run(calls())


class Recorded:
    """A lookup of which each step is noted."""

    held_bytes = hashed = 0

    def __init__(self, name: str, steps: list[str]) -> None:
        self.name, self.steps = name, steps

    def weigh(self) -> Iterator[bool]:
        for _ in range(20):
            self.steps.append(self.name)
            yield False


def test_callers_take_turns_with_each_candidate() -> None:
    steps: list[str] = []

    async def comparing(name: str, pool: Pool) -> None:
        turn_of.set(name)
        await search(Recorded(name, steps), pool).compare()

    async def calls() -> None:
        pool = Pool("videos", threads=1, queued=100)
        await asyncio.gather(comparing("greedy", pool), comparing("other", pool))

    asyncio.run(calls())
    assert len(steps) == 40
    assert "other" in steps[:20]


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_lookups_by_hash_find_a_thread_while_videos_are_compared(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = threading.Event()
    monkeypatch.setattr(VideoLookup, "add", lambda *_: going_on.wait())

    async def video(servicer: MatchServicer) -> None:
        async def parts() -> AsyncIterator[match_pb2.MatchVideoRequest]:
            yield match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
            yield part(0, 16)

        context: Any = SimpleNamespace(time_remaining=lambda: None)
        await servicer.MatchVideo(parts(), context)

    async def calls() -> None:
        holder.set(admission().holder("0"))
        following: Any = SimpleNamespace(live=LiveIndex(), ring=None, disputes=lambda _: {})
        config = CONFIG.model_copy(update={"search_threads": threads})
        parts: list[Any] = [*[None] * 5, LookupQuotas()]
        servicer: Any = MatchServicer(config, following, *parts)
        monkeypatch.setattr(servicer, "_scope", lambda *_: Scope({ADULTS.number: 31}))
        monkeypatch.setattr(servicer, "_cursor", str)
        key: Any = SimpleNamespace(key_id="0", organisation="o")
        caller.set(key)
        videos = [asyncio.create_task(video(servicer)) for _ in range(2 * threads)]
        await asyncio.sleep(0.2)  # so that they have the threads that they get

        def steps() -> Steps[str]:
            yield
            return "answer"

        try:
            async with asyncio.timeout(20):
                assert await servicer._search(steps(), Allowance(math.inf)) == "answer"
        finally:
            going_on.set()
            await asyncio.gather(*videos, return_exceptions=True)

    asyncio.run(calls())


def test_a_decoder_that_never_ends_is_left() -> None:
    async def endless(*_: object, **__: object) -> AsyncIterator[Frames]:
        rows = np.zeros(1, FRAME)
        while True:
            yield Frames(rows)

    async def parts() -> AsyncIterator[Any]:
        yield None

    async def register() -> None:
        holder.set(admission().holder("0"))
        videos: Any = SimpleNamespace(hash=endless, limits=VideoLimits(max_duration_s=10))
        with pytest.raises(DisruptError, match="more frames"):
            await fingerprint(videos, parts())

    asyncio.run(register())
