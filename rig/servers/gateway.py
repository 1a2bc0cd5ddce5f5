"""A gateway in this process, on a port of its own."""

from __future__ import annotations

import asyncio
import functools
import http.client
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from disrupt.client.connection import connect
from disrupt.http_server import configuration
from disrupt.web.files import File, Operator, operator_files, read_page, text_files
from disrupt.web.gateway import CONTENT_TYPE, HEADERS, SERVICE, Bounds, Gateway
from disrupt.web.origins import Origins
from disrupt.web.upstream import Upstream

PAGE = {"/": File(b"<!doctype html>", b"", "text/html; charset=utf-8")}


@functools.cache
def whole_page() -> dict[str, File]:
    """Return the files of the page, those of npm too, without an operator."""
    subprocess.run([Path(__file__).parents[2] / "scripts" / "page-libraries"], check=True)
    return read_page() | text_files() | operator_files(Operator())


@dataclass(frozen=True)
class Answer:
    """What came back for a request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass
class Running:
    """A running gateway, or the proxy before one."""

    port: int
    origins: Origins = field(default_factory=Origins)
    tls: ssl.SSLContext | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Make a request; underscores in names of headers are hyphens."""
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.port, context=self.tls)
            if self.tls
            else http.client.HTTPConnection("127.0.0.1", self.port)
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def call(self, method: str, body: bytes, **headers: str) -> Answer:
        """Make a call as the page does."""
        headers = {"content_type": CONTENT_TYPE} | headers
        return self.ask("POST", f"{SERVICE}/{method}", body, **headers)


@contextmanager
def running(
    server: str,
    files: dict[str, File] = PAGE,
    origins: Origins | None = None,
    key: str = "key-of-the-gateway",
    options: dict[str, Any] | None = None,
    bounds: Bounds | None = None,
) -> Iterator[Running]:
    """Run a gateway before the server at an address; ``options`` are uvicorn's."""
    origins = origins or Origins()
    listening = socket.create_server(("127.0.0.1", 0))
    started: list[uvicorn.Server] = []
    ready = threading.Event()

    async def serve() -> None:
        upstream = Upstream(connect(server, key))
        gateway = Gateway(files, upstream, origins, bounds)
        config = configuration(gateway.application(), options or {"proxy_headers": False}, HEADERS)
        started.append(uvicorn.Server(config))
        ready.set()
        await started[0].serve([listening])
        await upstream.close()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    ready.wait()
    try:
        yield Running(listening.getsockname()[1], origins)
    finally:
        started[0].should_exit = True
        thread.join()
        listening.close()
