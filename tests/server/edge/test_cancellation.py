"""A call that nobody waits for any more is cancelled; test_matching shows that its search ends."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpc import aio

from disrupt.v1 import match_pb2
from rig.servers.in_process import CONFIG, KEYS, Stub, serving

SOON_S = 0.2
LATE_S = 1000.0


@pytest.mark.parametrize(
    ("deadline_s", "max_call_s", "code"),
    [
        (None, LATE_S, grpc.StatusCode.CANCELLED),
        (SOON_S, LATE_S, grpc.StatusCode.DEADLINE_EXCEEDED),
        (None, SOON_S, grpc.StatusCode.DEADLINE_EXCEEDED),
        (LATE_S, SOON_S, grpc.StatusCode.DEADLINE_EXCEEDED),
    ],
    ids=["by its caller", "at its deadline", "at the server's", "at the server's, which is sooner"],
)
def test_a_call_is_cancelled(
    deadline_s: float | None, max_call_s: float, code: grpc.StatusCode
) -> None:
    async def play() -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        class Waiting(Stub):
            async def MatchHashes(self, *_: object) -> match_pb2.MatchHashesResponse:  # noqa: N802
                began.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    ended.set()
                    raise
                raise AssertionError

        config = CONFIG.model_copy(update={"max_call_s": max_call_s})
        async with (
            asyncio.timeout(60),
            serving(Waiting, config=config) as address,
            aio.insecure_channel(address) as channel,
        ):
            unary: Any = channel.unary_unary("/disrupt.v1.MatchService/MatchHashes")
            metadata = (("authorization", f"Bearer {KEYS[0]}"),)
            call = unary(b"", metadata=metadata, timeout=deadline_s)
            await began.wait()
            if code is grpc.StatusCode.CANCELLED:
                call.cancel()
            await ended.wait()
            assert await call.code() is code

    asyncio.run(play())
