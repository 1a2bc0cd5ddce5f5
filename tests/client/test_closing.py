"""A client that is closed, cancelled or used in another loop raises a documented class."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from disrupt.client import AsyncMatchClient, MatchClient
from disrupt.core.hashes import HASH_BYTES
from disrupt.core.videos import FRAME
from disrupt.errors import (
    ClientUnusableError,
)
from disrupt.v1 import match_pb2
from rig.callers.sdk import NEVER, Call
from rig.servers.scripted import scripted

HASH = bytes(HASH_BYTES)


def uses(client: MatchClient | AsyncMatchClient) -> list[Call]:
    return [
        client.index_status,
        lambda: client.match_hashes(HASH),
        lambda: client.match_hashes(HASH * 2000),
        lambda: client.match_image(b"a picture", hash_locally=False),
        lambda: client.match_video(np.zeros(1, FRAME)),
    ]


def test_a_closed_client_says_so() -> None:
    client = MatchClient(NEVER, key="key")
    client.close()
    client.close()
    for use in uses(client):
        with pytest.raises(ClientUnusableError, match="closed"):
            use()

    async def ask() -> None:
        client = AsyncMatchClient(NEVER, key="key")
        await client.close()
        await client.close()
        for use in uses(client):
            with pytest.raises(ClientUnusableError, match="closed"):
                await use()

    asyncio.run(ask())


def test_closing_a_client_ends_its_calls_with_the_same_class_and_a_cancelled_task_stays_so() -> (
    None
):
    asked, go_on = threading.Event(), threading.Event()

    def wait(_: bytes) -> match_pb2.GetIndexStatusResponse:
        asked.set()
        go_on.wait(60)
        return match_pb2.GetIndexStatusResponse()

    async def ask(address: str, *, closing: bool) -> None:
        async with AsyncMatchClient(address, key="key") as client:
            call = asyncio.ensure_future(client.index_status())
            await asyncio.to_thread(asked.wait, 60)
            if closing:
                await client.close()
                with pytest.raises(ClientUnusableError, match="closed"):
                    await call
            else:
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call

    with scripted(wait) as server:
        try:
            for closing in (True, False):
                asyncio.run(ask(server.address, closing=closing))
                asked.clear()
            client = MatchClient(server.address, key="key")
            with ThreadPoolExecutor() as thread:
                call = thread.submit(client.index_status)
                asked.wait(60)
                client.close()
                with pytest.raises(ClientUnusableError, match="closed"):
                    call.result()
        finally:
            go_on.set()


def test_slow_files_leave_the_threads_of_the_loop_to_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those waiting for a thread when the client is closed end at once."""
    hashing, go_on = list[bytes](), threading.Event()

    def prepare(picture: bytes, **_: object) -> bytes:
        hashing.append(picture)
        go_on.wait(60)
        return picture

    async def ask() -> list[object]:
        async with AsyncMatchClient(NEVER, key="key") as client:
            lookups = [asyncio.ensure_future(client.match_image(b"slow")) for _ in range(40)]
            while not hashing:
                await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.01), 10)
        go_on.set()
        return await asyncio.gather(*lookups, return_exceptions=True)

    monkeypatch.setattr("disrupt.client.media.prepare", prepare)
    try:
        errors = asyncio.run(ask())
    finally:
        go_on.set()
    assert {type(error) for error in errors} == {ClientUnusableError}
    assert len(hashing) <= 8


def test_a_client_of_asyncio_is_made_and_used_in_one_loop() -> None:
    with pytest.raises(ClientUnusableError, match="event loop"):
        AsyncMatchClient(NEVER, key="key")

    async def make() -> AsyncMatchClient:
        return AsyncMatchClient(NEVER, key="key")

    client = asyncio.run(make())
    for use in uses(client):
        with pytest.raises(ClientUnusableError, match="event loop"):
            asyncio.run(use())
