"""A gateway in a process of its own, and what browsers and others send to it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from disrupt.v1 import registration_pb2
from tests.server.caller import TIMEOUT_S

HOST = "127.0.0.1"
ANSWERS: dict[str, Any] = {
    name: getattr(registration_pb2, f"{name}Response")
    for name in ("RegisterHashes", "GetCase", "WithdrawItems", "WithdrawCase", "KeepCase")
}
_READY = "The page is ready on "

_START = """
from disrupt.cli import main
from disrupt.web import {modules}
{bounds}
main()
"""
"""A gateway with bounds that a test can reach."""


@dataclass(frozen=True)
class Answer:
    """An answer as it came."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)

    @property
    def reason(self) -> str:
        """Return the reason of an error."""
        return self._detail(error_details_pb2.ErrorInfo()).reason  # type: ignore[no-any-return]

    @property
    def retry_after_s(self) -> float:
        """Return the time of RetryInfo."""
        retry = self._detail(error_details_pb2.RetryInfo())
        return float(retry.retry_delay.ToMilliseconds() / 1000)

    def _detail(self, into: Any) -> Any:
        status = status_pb2.Status.FromString(self.body)
        assert any(detail.Unpack(into) for detail in status.details), status
        return into


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def headers_for(body: bytes) -> dict[str, str]:
    return {"content-type": "application/x-protobuf", "content-digest": digest(body)}


@dataclass
class Web:
    """A running gateway, and its log."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    @classmethod
    def start(
        cls,
        directory: Path,
        page: Path,
        server: str,
        *options: str,
        key: str = "none",
        bounds: Mapping[str, object] | None = None,
    ) -> Web:
        """Start one; ``bounds`` are values of constants, as in ``connections.HEADERS_S``."""
        log = directory / "web.log"
        modules = {name.partition(".")[0] for name in bounds or {"limits": 0}}
        lines = "\n".join(f"{name} = {value!r}" for name, value in (bounds or {}).items())
        program = _START.format(modules=", ".join(modules), bounds=lines)
        command: list[str | Path] = [
            *(sys.executable, "-c", program, "web", "--page", page, "--server", server),
            *("--listen", f"{HOST}:0", *options),
        ]
        with log.open("a") as stream:
            process = subprocess.Popen(
                command,
                env=os.environ | {"DISRUPT_KEY": key},
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        ready = process.stdout.readline() if process.stdout else ""
        if not ready.startswith(_READY):
            process.kill()
            process.communicate()
            raise AssertionError(log.read_text())
        return cls(process, int(ready.rpartition(":")[2]), log)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it, and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(TIMEOUT_S)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self.process.kill()
        self.process.wait(TIMEOUT_S)
        if self.process.stdout:
            self.process.stdout.close()

    def connect(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), TIMEOUT_S)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Any = None
    ) -> Answer:
        """Send a request on a connection of its own."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body, headers or {})
            return answer_of(connection)
        finally:
            connection.close()

    def post(self, call: str, body: bytes, **headers: str) -> Answer:
        """Send the body of a call."""
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", f"/v1/{call}", body, headers_for(body) | extra)

    def call(self, call: str, message: Message, **headers: str) -> Any:
        """Make a call that must succeed, and return its answer."""
        answer = self.post(call, message.SerializeToString(), **headers)
        assert answer.status == 200, status_pb2.Status.FromString(answer.body)
        assert answer.header("content-digest") == digest(answer.body)
        return ANSWERS[call].FromString(answer.body)


def answer_of(connection: http.client.HTTPConnection) -> Answer:
    response = connection.getresponse()
    body = response.read()
    named = [(name.lower(), value) for name, value in response.getheaders()]
    return Answer(response.status, named, body)


def raw_request(call: str, body: bytes, length: int | None = None, **headers: str) -> bytes:
    """Return a whole request as bytes, for those who end, or go on, where browsers do not."""
    head = {"host": HOST, "content-length": str(len(body) if length is None else length)} | headers
    lines = [f"{name}: {value}" for name, value in (head | headers_for(body)).items()]
    return "\r\n".join([f"POST /v1/{call} HTTP/1.1", *lines, "", ""]).encode() + body
