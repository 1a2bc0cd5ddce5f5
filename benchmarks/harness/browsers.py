"""Drive the browsers of Debian by WebDriver (W3C): Chromium, Firefox and WebKit."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import click

Json: TypeAlias = Any
"""A decoded JSON value."""

ENGINES = ("chromium", "firefox", "webkit")

engine_option = click.option(
    "--engine", type=click.Choice(ENGINES), default="chromium", show_default=True
)
"""Option of a benchmark that measures one engine at a time."""

_MINI_BROWSER = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser"
_PROGRAMS = {
    "chromium": ("chromium", "chromedriver"),
    "firefox": ("firefox-esr",),
    "webkit": ("WebKitWebDriver", "Xvfb", _MINI_BROWSER),
}
_SCRIPT_TIMEOUT_MS = 600_000


class Session(Protocol):
    """A browser with one window; ``process`` is its ancestor."""

    process: int

    def command(self, name: str, parameters: dict[str, Any]) -> Json:
        """Send ``WebDriver:<name>``; RuntimeError with what the browser says."""


def missing(engine: str) -> list[str]:
    """Return the programs of an engine that are not installed."""
    return [program for program in _PROGRAMS[engine] if not shutil.which(program)]


@contextlib.contextmanager
def browser(
    engine: str, folder: Path, preferences: dict[str, Any] | None = None
) -> Iterator[Browser]:
    """Start a browser with its files in ``folder``; ``preferences`` of Firefox."""
    if engine == "firefox":
        opened: contextlib.AbstractContextManager[Session] = _firefox(folder, preferences or {})
    else:
        opened = _chromium(folder) if engine == "chromium" else _webkit(folder)
    with opened as session:
        session.command(
            "SetTimeouts", {"script": _SCRIPT_TIMEOUT_MS, "pageLoad": _SCRIPT_TIMEOUT_MS}
        )
        yield Browser(session)


class Browser:
    """Run scripts in a page of a browser."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.process = session.process

    def open(self, url: str) -> None:
        """Load a page."""
        self._session.command("Navigate", {"url": url})

    def run(self, script: str, *arguments: object) -> Json:
        """Return what the body of an async function returns; RuntimeError if it throws."""
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            "const given = Array.prototype.slice.call(arguments, 0, -1);"
            f"(async () => {{ {script} }})()"
            ".then((value) => done({value}), (error) => done({error: `${error} ${error.stack}`}));"
        )
        parameters = {"script": wrapped, "args": list(arguments)}
        outcome = self._session.command("ExecuteAsyncScript", parameters)
        if "error" in outcome:
            raise RuntimeError(outcome["error"])
        return outcome.get("value")

    def devtools(self, method: str, **parameters: object) -> Json:
        """Call a method of the DevTools protocol, which Chromium alone has."""
        return self._session.command("DevTools", {"cmd": method, "params": parameters})


_PATHS = {
    "SetTimeouts": "timeouts",
    "Navigate": "url",
    "ExecuteAsyncScript": "execute/async",
    "DevTools": "goog/cdp/execute",
}


class _Http:
    """A session over HTTP, as chromedriver and WebKitWebDriver have it."""

    def __init__(self, process: int, port: int, capabilities: dict[str, Any]) -> None:
        self.process = process
        self._port = port
        self._path = "/session"
        answer = self._send("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
        self._path += f"/{answer['sessionId']}"

    def command(self, name: str, parameters: dict[str, Any]) -> Json:
        return self._send("POST", f"/{_PATHS[name]}", parameters)

    def close(self) -> None:
        self._send("DELETE", "", {})

    def _send(self, method: str, path: str, parameters: dict[str, Any]) -> Json:
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request(method, self._path + path, json.dumps(parameters), headers)
            response = connection.getresponse()
            value = json.load(response)["value"]
        if response.status != http.HTTPStatus.OK:
            raise RuntimeError(value)
        return value


class _Marionette:
    """A session of Firefox: messages of JSON with their length before them."""

    def __init__(self, process: int, port: int) -> None:
        self.process = process
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._file = self._socket.makefile("rwb")
        self._numbers = itertools.count(1)
        self._read()
        self.command("NewSession", {})

    def command(self, name: str, parameters: dict[str, Any]) -> Json:
        message = json.dumps([0, next(self._numbers), f"WebDriver:{name}", parameters]).encode()
        self._file.write(b"%d:%b" % (len(message), message))
        self._file.flush()
        _, _, error, result = self._read()
        if error:
            raise RuntimeError(error)
        return result.get("value") if isinstance(result, dict) else result

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def _read(self) -> Json:
        digits = b""
        while (digit := self._file.read(1)) != b":":
            if not digit:
                raise RuntimeError("Firefox has closed its connection")
            digits += digit
        return json.loads(self._file.read(int(digits)))


@contextlib.contextmanager
def _process(*command: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "output.txt").open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=os.environ | variables, cwd=folder
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def _driven(
    command: list[str], folder: Path, capabilities: dict[str, Any], **variables: str
) -> Iterator[Session]:
    port = _free_port()
    with _process(*command, f"--port={port}", folder=folder, **variables) as process:
        _wait(process, lambda: _accepts(port))
        with contextlib.closing(_Http(process.pid, port, capabilities)) as session:
            yield session


def _chromium(folder: Path) -> contextlib.AbstractContextManager[Session]:
    options = {
        "binary": shutil.which("chromium"),
        # Chromium's own sandbox does not start as root.
        "args": [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder}/profile",
        ],
    }
    return _driven(["chromedriver"], folder, {"goog:chromeOptions": options})


@contextlib.contextmanager
def _webkit(folder: Path) -> Iterator[Session]:
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-nolisten", "tcp", "-screen", "0", "800x600x24"]
    display = subprocess.Popen(
        command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as numbers:
            number = numbers.readline().strip()
        options = {"binary": _MINI_BROWSER, "args": ["--automation"]}
        with _driven(
            ["WebKitWebDriver"],
            folder,
            {"webkitgtk:browserOptions": options},
            DISPLAY=f":{number}",
            HOME=str(folder),
            WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS="1",
        ) as session:
            yield session
    finally:
        display.terminate()
        display.wait()


@contextlib.contextmanager
def _firefox(folder: Path, preferences: dict[str, Any]) -> Iterator[Session]:
    profile = folder / "profile"
    profile.mkdir()
    preferences = {"marionette.port": 0, "remote.prefs.recommended": True, **preferences}
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});"
        for name, value in preferences.items()
    ]
    (profile / "user.js").write_text("\n".join(lines))
    port_file = profile / "MarionetteActivePort"
    command = ["firefox-esr", "--headless", "--marionette", "--profile", str(profile)]
    with _process(*command, folder=folder, HOME=str(folder)) as process:
        _wait(process, lambda: port_file.exists() and port_file.read_text().strip() != "")
        with contextlib.closing(_Marionette(process.pid, int(port_file.read_text()))) as session:
            yield session


def _wait(process: subprocess.Popen[bytes], is_ready: Callable[[], bool]) -> None:
    while not is_ready():
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        time.sleep(0.05)


def _accepts(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
