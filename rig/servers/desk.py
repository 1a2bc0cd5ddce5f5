"""A desk in this process, on a port of its own, and somebody who uses it by HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from disrupt.client.retries import RetryPolicy
from disrupt.client.review import ReviewClient
from disrupt.desk.application import HEADERS, TOKEN_HEADER, Desk
from disrupt.desk.commands import party_of
from disrupt.desk.files import read_files
from disrupt.desk.passkeys import Passkeys
from disrupt.http_server import configuration

ORIGIN = "https://desk.example.org"


@dataclass
class Answer:
    """What came back for a request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """Return why a request was refused; empty where it was not."""
        return str(self.json.get("reason", "")) if self.body else ""


@dataclass
class Clock:
    """A clock that tests move."""

    ahead_s: float = 0.0

    def __call__(self) -> float:
        """Return its time."""
        return time.monotonic() + self.ahead_s


@dataclass
class Running:
    """A running desk."""

    port: int
    clock: Clock


@dataclass
class Browser:
    """Keeps cookies and token, and asks as the desk's page does."""

    desk: Running
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def ask(self, path: str, body: Any = None, method: str = "POST", **changed: str) -> Answer:
        """Make a request; ``changed`` are headers, without which one that is empty is sent."""
        headers = {
            "Content-Type": "application/json",
            "Origin": ORIGIN,
            TOKEN_HEADER: self.token,
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        } | {name.replace("_", "-"): value for name, value in changed.items()}
        sent = json.dumps({} if body is None else body)
        connection = http.client.HTTPConnection("127.0.0.1", self.desk.port)
        try:
            given = {name: value for name, value in headers.items() if value}
            connection.request(method, path, sent if method == "POST" else None, given)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        if answer.status == http.client.OK and path in _BEGINNING:
            self.token = answer.json["token"]
        return answer


_BEGINNING = {"/enrol/finish", "/sign-in/finish", "/session"}


@contextmanager
def running(
    server: str,
    state_dir: Path,
    *,
    origin: str = ORIGIN,
    client: Callable[[str], ReviewClient] | None = None,
    options: dict[str, Any] | None = None,
    port: int = 0,
) -> Iterator[Running]:
    """Run a desk before the server at an address; ``options`` are uvicorn's."""
    clock, listening = Clock(), socket.create_server(("127.0.0.1", port))
    started: list[uvicorn.Server] = []
    ready = threading.Event()

    def calls_with(secret: str) -> ReviewClient:
        return ReviewClient(server, key=secret, retries=RetryPolicy(attempts=1))

    async def serve() -> None:
        with Passkeys(state_dir) as passkeys:
            desk = Desk(read_files(), party_of(origin), passkeys, client or calls_with, clock=clock)
            config = configuration(desk.application(), options or {"proxy_headers": False}, HEADERS)
            started.append(uvicorn.Server(config))
            ready.set()
            await started[0].serve([listening])
            desk.close()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    ready.wait()
    try:
        yield Running(listening.getsockname()[1], clock)
    finally:
        started[0].should_exit = True
        thread.join()
        listening.close()
