"""Answer GET over HTTP, for the supervisor: a few paths, in a few lines of its one thread."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple, TypeAlias

_CONNECTIONS_MAX = 32
"""Most connections at once. The oldest makes room for one more: who asks is answered at once."""

_HEAD_BYTES_MAX = 8192
_WITHIN_S = 10.0
"""Time for a request and for its answer."""


class Answer(NamedTuple):
    """Body, status and type of an HTTP answer."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "text/plain; charset=utf-8"


Paths: TypeAlias = Mapping[str, Callable[[], Answer]]


async def serve_paths(listener: socket.socket, paths: Paths) -> asyncio.Server:
    """Answer GET requests on a bound socket; every connection has one."""
    open_writers = list[asyncio.StreamWriter]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.append(writer)
        if len(open_writers) > _CONNECTIONS_MAX:
            open_writers.pop(0).transport.abort()
        try:
            async with asyncio.timeout(_WITHIN_S):
                await _answer(reader, writer, paths)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()
        finally:
            if writer in open_writers:
                open_writers.remove(writer)
            writer.close()

    return await asyncio.start_server(connected, sock=listener, limit=_HEAD_BYTES_MAX)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, paths: Paths) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    method, _, rest = head.decode("latin-1").partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if method not in {"GET", "HEAD"}:
        answer = Answer(b"GET only\n", HTTPStatus.METHOD_NOT_ALLOWED)
    elif path not in paths:
        answer = Answer("".join(f"{path}\n" for path in paths).encode(), HTTPStatus.NOT_FOUND)
    else:
        answer = paths[path]()
    fields = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
        "\r\n",
    )
    writer.write("\r\n".join(fields).encode() + (b"" if method == "HEAD" else answer.body))
    await writer.drain()
    with suppress(OSError):
        # closing alone would not end it: a process that was forked meanwhile has it open, too
        writer.write_eof()
