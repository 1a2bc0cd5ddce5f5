"""Run a real server in processes of its own, by the commands that operators use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

from disrupt.core.policy import Right
from disrupt.data_directory import DataDirectory
from disrupt.server.desk import open_desk
from disrupt.wire import admin as wire

BIN = Path(sys.executable).parent
"""Directory of the commands of this environment."""

WITH_BYTECODE = ("env", "PYTHONDONTWRITEBYTECODE=")
"""Wrapper that lets a server keep its compiled bytecode, as an installed one does."""

FEW_DECODERS = "hashing_workers = 1\nvideo_workers = 1\n"
"""Settings of a server that starts soon: each process that decodes takes a third of a second."""

_MANY_LIVE = "live_pictures_per_key = 1000000"
"""Setting with which callers register more in a day than helplines do, and all of it matches."""

READY_TIMEOUT_S = 300
_READY = "Disrupt is ready on "


class CommandFailedError(RuntimeError):
    """A command of the project did not exit with 0; the message holds what it printed."""


def run(command: str, *arguments: str | Path, **environment: str) -> str:
    """Run a command of the project; return its output. Raises CommandFailedError on failure."""
    done = subprocess.run(
        [BIN / command, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = " ".join(map(str, [command, *arguments]))
        raise CommandFailedError(
            f"`{words}` failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


@dataclass
class Deployment:
    """A running server: data directory, supervisor process, address. Its log is next to it.

    A context, at whose end no process of it is left.
    """

    data_dir: Path
    process: subprocess.Popen[str]
    address: str

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *options: str,
        listen: str = "127.0.0.1:0",
        workers: int = 2,
        settings: str = "",
        wrapper: tuple[str | Path, ...] = (),
    ) -> Self:
        """Start it and wait until it is ready; ``wrapper`` is a command to run it under.

        ``settings`` are lines of a configuration file, which is written next to the data directory.
        """
        server = cls.launch(
            data_dir, *options, listen=listen, workers=workers, settings=settings, wrapper=wrapper
        )
        server.wait()
        return server

    @classmethod
    def launch(
        cls,
        data_dir: Path,
        *options: str,
        listen: str = "127.0.0.1:0",
        workers: int = 2,
        settings: str = "",
        wrapper: tuple[str | Path, ...] = (),
    ) -> Self:
        """Begin to start it, as ``start`` does; it has no address yet."""
        if "live_pictures_per_key" not in settings:
            settings = f"{_MANY_LIVE}\n{settings}"
        if "--config" not in options:
            config = data_dir.with_name(f"{data_dir.name}.toml")
            config.write_text(settings)
            options = (*options, "--config", str(config))
        command = [
            *wrapper,
            *(BIN / "disrupt", "serve", "--data-dir", data_dir),
            *("--listen", listen, "--workers", str(workers)),
            *("--metrics-listen", "127.0.0.1:0", *options),
        ]
        with data_dir.with_name(f"{data_dir.name}.log").open("a") as log:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        return cls(data_dir, process, "")

    def wait(self) -> None:
        """Wait until it is ready, and note its address. Raises CommandFailedError."""
        watchdog = threading.Timer(READY_TIMEOUT_S, self.process.kill)
        watchdog.start()
        try:
            ready = self.process.stdout.readline() if self.process.stdout else ""
        finally:
            watchdog.cancel()
        if not ready.startswith(_READY):
            self.kill_supervisor()
            log = self.data_dir.with_name(f"{self.data_dir.name}.log")
            raise CommandFailedError(
                f"The server did not start. Its log, {log}:\n{log.read_text()}"
            )
        self.address = ready.removeprefix(_READY).strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def metrics_address(self) -> str:
        """Return HOST:PORT of its metrics; empty where it serves none."""
        address: str = DataDirectory(self.data_dir).ask_supervisor("states")["metrics"]
        return address

    def make_key(self, name: str, *rights: str, banks: tuple[str, ...] = ()) -> str:
        """Make a key, for all banks where none is named; return its secret."""
        granted = tuple(Right[right.upper()] for right in rights)
        # As `disrupt keys create` does, without the second that a new interpreter takes.
        with open_desk(self.data_dir) as desk:
            secret: str = desk.CreateKey(wire.create_request(name, granted, banks)).secret
        return secret

    def kill(self) -> None:
        """Kill all processes that are left of it with SIGKILL, like a power cut."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._ended()

    def kill_supervisor(self) -> None:
        """Kill the supervisor alone with SIGKILL; its processes must not outlive it."""
        self.process.kill()
        self._ended()

    def stop(self) -> int:
        """Stop it with SIGTERM; return its exit code once all calls in flight are answered."""
        self.process.terminate()
        return self._ended()

    def _ended(self) -> int:
        code = self.process.wait(timeout=READY_TIMEOUT_S)
        if self.process.stdout:
            self.process.stdout.close()
        return code


Start: TypeAlias = Callable[..., Deployment]
"""The fixture ``start``, which starts a server."""
