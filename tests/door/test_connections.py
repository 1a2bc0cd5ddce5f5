"""Whoever sends nothing, or too slowly, or without end, keeps nobody out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from disrupt import http_server
from disrupt.door import bodies
from disrupt.door.connections import Quick
from disrupt.errors import DeadlineExceededError

PROTOCOLS = pytest.mark.parametrize("protocol", [http_server.H11, Quick])
WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BEGUN = b"GET / HTTP/1.1\r\nX: "


@asynccontextmanager
async def connected(
    protocol: type[Any],
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a server that answers with a line."""
    answer = PlainTextResponse("here")
    with http_server.bind("127.0.0.1", 0) as listening:
        server = uvicorn.Server(http_server.configuration(answer, {}, protocol=protocol))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            port = listening.getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            yield reader, writer
            writer.close()
        finally:
            server.should_exit = True
            await serving


@PROTOCOLS
@pytest.mark.parametrize("begin", [b"", b"GET", WHOLE, WHOLE + BEGUN], ids=len)
def test_a_connection_without_a_request_ends(
    protocol: type[Any], begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_KEEP_ALIVE_S", 0.5)

    async def ends() -> None:
        async with connected(protocol) as (reader, writer):
            writer.write(begin)
            if begin.startswith(WHOLE):
                await reader.readuntil(b"here")
            received = asyncio.ensure_future(reader.read())
            while begin not in (b"", WHOLE) and not received.done():
                writer.write(b"a")
                await asyncio.sleep(0.02)
            with contextlib.suppress(ConnectionError):  # what came last was not read
                await received

    asyncio.run(ends())


@PROTOCOLS
def test_headers_without_end_end_the_connection(protocol: type[Any]) -> None:
    async def send() -> None:
        async with connected(protocol) as (_, writer):
            writer.write(BEGUN)
            for _ in range(1000):
                writer.write(b"a" * (1 << 16))
                await writer.drain()

    with pytest.raises(ConnectionError):
        asyncio.run(send())


@pytest.mark.parametrize("step", [0, 1])
def test_a_body_that_comes_too_slowly_is_given_up(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_S", 0.1)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(0.01 if step else 3600)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def read() -> None:
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        async for _ in bodies.raw(request):
            pass

    with pytest.raises(DeadlineExceededError):
        asyncio.run(read())
