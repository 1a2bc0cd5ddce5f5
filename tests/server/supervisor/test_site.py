"""The listener of metrics answers GET, and nobody who holds connections keeps others from it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from http import HTTPStatus

import pytest

from disrupt.server.supervisor import site
from disrupt.server.supervisor.site import Answer, serve_paths

PATHS = {
    "/livez": lambda: Answer(b"live\n"),
    "/readyz": lambda: Answer(b"no\n", HTTPStatus.SERVICE_UNAVAILABLE),
}


async def asked(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_line", "status", "body"),
    [
        (b"GET /livez HTTP/1.1", b"200 OK", b"live\n"),
        (b"GET /readyz?verbose HTTP/1.0", b"503 Service Unavailable", b"no\n"),
        (b"HEAD /livez HTTP/1.1", b"200 OK", b""),
        (b"GET / HTTP/1.1", b"404 Not Found", b"/livez\n/readyz\n"),
        (b"POST /livez HTTP/1.1", b"405 Method Not Allowed", b"GET only\n"),
        (b"\xff", b"405 Method Not Allowed", b"GET only\n"),
    ],
)
def test_each_path_has_its_answer(request_line: bytes, status: bytes, body: bytes) -> None:
    async def answer() -> bytes:
        async with await serve_paths(socket.create_server(("127.0.0.1", 0)), PATHS) as server:
            return await asked(server.sockets[0].getsockname()[1], request_line + b"\r\n\r\n")

    head, _, rest = asyncio.run(answer()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert rest == body


def test_who_holds_connections_or_sends_without_end_loses_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site, "_WITHIN_S", 0.2)

    async def answers() -> tuple[bytes, bytes]:
        async with await serve_paths(socket.create_server(("127.0.0.1", 0)), PATHS) as server:
            port = server.sockets[0].getsockname()[1]
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
            for reader, writer in held:
                with suppress(ConnectionResetError):
                    assert not await reader.read()
                writer.close()
            try:
                endless = await asked(port, b"GET /livez HTTP/1.1\r\nA: " + b"a" * 100_000)
            except ConnectionResetError:
                endless = b""
            return endless, await asked(port, b"GET /livez HTTP/1.1\r\n\r\n")

    endless, answer = asyncio.run(answers())
    assert not endless
    assert answer.endswith(b"live\n")


def test_connections_that_say_nothing_keep_nobody_from_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site, "_WITHIN_S", 3600.0)

    async def answer() -> bytes:
        async with await serve_paths(socket.create_server(("127.0.0.1", 0)), PATHS) as server:
            port = server.sockets[0].getsockname()[1]
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(600)]
            answer = await asked(port, b"GET /livez HTTP/1.1\r\n\r\n")
            while sum(not reader.at_eof() for reader, _ in held) >= site._CONNECTIONS_MAX:
                await asyncio.sleep(0.01)
            for _, writer in held:
                writer.close()
            return answer

    assert asyncio.run(answer()).endswith(b"live\n")
