"""A door as platforms run it: the command, in a process of its own."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.servers.deployment import BIN, READY_TIMEOUT_S, CommandFailedError

TOKEN = "token-of-the-platform's-own-programs"  # noqa: S105 of a test
_READY = "The door is ready on "


@dataclass(frozen=True)
class Answer:
    """What came back for a request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Door:
    """A running door."""

    port: int
    grpc: str
    log: Path
    process: subprocess.Popen[str]

    def ask(
        self, method: str, path: str, body: bytes = b"", token: str = TOKEN, **headers: str
    ) -> Answer:
        """Make a request; underscores in names of headers are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            named["authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def form(self, path: str, field: str, data: bytes) -> Answer:
        """Send a file in a form, as HMA's clients do."""
        mark = "a-boundary-of-the-form"
        name = f'form-data; name="{field}"; filename="x"'
        head = f"--{mark}\r\nContent-Disposition: {name}\r\n\r\n"
        body = head.encode() + data + f"\r\n--{mark}--\r\n".encode()
        return self.ask("POST", path, body, content_type=f"multipart/form-data; boundary={mark}")


@contextmanager
def door(
    folder: Path, server: str, key: str, policy: str = "", *options: str | Path
) -> Iterator[Door]:
    """Run a door before the server at an address, with a policy in TOML."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("key", key), ("tokens", f"{TOKEN}\n"), ("policy.toml", policy)):
        (folder / name).write_text(text)
    log = folder / "log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [
                *(BIN / "disrupt", "door", "--server", server, "--key-file", folder / "key"),
                *("--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"),
                *("--token-file", folder / "tokens", "--policy", folder / "policy.toml"),
                *("--state-dir", folder / "state", "--workers", "1", *options),
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    watchdog = threading.Timer(READY_TIMEOUT_S, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith(_READY):
            raise CommandFailedError(f"The door did not start. Its log, {log}:\n{log.read_text()}")
        http_address, _, grpc_address = line.removeprefix(_READY).strip().partition(" and ")
        port = int(http_address.rpartition(":")[2])
        yield Door(port, grpc_address.removeprefix("grpc://"), log, process)
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()
