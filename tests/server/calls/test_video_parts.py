"""A video file comes in chunks, and nothing else may come among them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from grpc import aio

from disrupt.core.lookups import VideoOptions
from disrupt.errors import DeadlineExceededError
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.shares import holder
from disrupt.server.calls.registration_relay import RelayingServicer
from disrupt.server.calls.videos import VideoSearch
from disrupt.server.config import Config
from disrupt.v1 import match_pb2, registration_pb2
from disrupt.wire import videos as wire


def test_a_message_of_many_frames_is_not_walked_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[int] = []

    class Rows:
        """The versions of one frame."""

        def __init__(self, ms: int) -> None:
            self.ms = ms

        def __len__(self) -> int:
            return 1

        def __getitem__(self, _: str) -> Any:
            looked_at.append(self.ms)
            return np.array([self.ms])

    monkeypatch.setattr(wire, "frames", lambda _: map(Rows, range(1000)))
    added: list[Any] = []

    def adding(frames: list[Any]) -> Any:
        added.extend(frames)
        return iter(())

    async def search() -> None:
        lookup: Any = SimpleNamespace(hashed=0, held_bytes=0, adding=adding)
        by: Any = SimpleNamespace(spend=lambda *_: None, take=lambda *_: None)
        holder.set(by)
        videos: Any = None
        part = match_pb2.MatchVideoRequest()
        part.frames.SetInParent()

        async def parts() -> AsyncIterator[match_pb2.MatchVideoRequest]:
            yield part

        pool = Pool("search", threads=1, queued=1)
        await VideoSearch(lookup, VideoOptions(), pool).run(videos, parts())

    asyncio.run(search())
    assert [rows.ms for rows in added] == [*range(1000)]
    assert looked_at == [0, 999]


def test_a_video_to_register_whose_first_part_does_not_come_ends_in_time() -> None:
    async def parts() -> AsyncIterator[registration_pb2.RegisterVideoRequest]:
        await asyncio.Event().wait()
        yield registration_pb2.RegisterVideoRequest()

    async def register() -> None:
        config = Config(data_dir=Path(), video_stall_s=0.01)
        nothing: Any = None
        async with aio.insecure_channel("unix:nobody") as channel:
            servicer = RelayingServicer(config, channel, nothing, nothing)
            await servicer.RegisterVideo(parts(), nothing)

    with pytest.raises(DeadlineExceededError, match="No part of the video came"):
        asyncio.run(register())
