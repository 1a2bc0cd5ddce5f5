"""A server on a directory of its own, which is started anew when it ends, as a service is."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from benchmarks.harness.deployment import BIN, WITH_BYTECODE, CommandFailedError, Deployment
from benchmarks.harness.processes import processes

DECODER = "disrupt.isolation.picture_worker"
_RESTART_S = 0.5
_SETTINGS = "hashing_workers = 1\nvideo_workers = 1\nhung_after_s = 10\nmax_call_s = 10\n"


@dataclass
class Site:
    """Where a run plays: ``work`` is on a small disk of its own where this process may mount one.

    Systemd would start a server that has ended; here a thread does, and counts.
    """

    work: Path
    workers: int
    wrapper: tuple[str, ...] = ()
    restarts: int = 0
    keys: dict[str, str] = field(default_factory=dict)
    _ending: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        with socket.socket() as probe, socket.socket() as other:
            for each in (probe, other):
                each.bind(("127.0.0.1", 0))
            self._port, self._metrics_port = (each.getsockname()[1] for each in (probe, other))
        self.server = self._start()
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._keeper.join()
        with suppress(ProcessLookupError):
            self.server.kill()

    def make_keys(self) -> None:
        """Make the keys that callers use."""
        for right in ("register", "match"):
            self.keys[right] = self.server.make_key(right, right)

    @property
    def address(self) -> str:
        """Address of the server, the same after each start."""
        return f"127.0.0.1:{self._port}"

    @property
    def metrics_address(self) -> str:
        """Where the server shows its metrics."""
        return f"127.0.0.1:{self._metrics_port}"

    @property
    def data_dir(self) -> Path:
        """Data directory of the server."""
        return self.work / "data"

    @property
    def supervisor(self) -> int:
        """Process id of the supervisor, which may have ended just now."""
        return self.server.process.pid

    def processes(self, role: str) -> list[int]:
        """Return the processes of a role now: writer, worker, supervisor, or decoder."""
        if role == "supervisor":
            return [self.supervisor]
        if role == "decoder":
            workers = processes(self.supervisor, "worker")
            return [process for worker in workers for process in processes(worker, DECODER)]
        return processes(self.supervisor, role)

    def command(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the offline tool on the data directory."""
        return subprocess.Popen(
            [BIN / "disrupt-index", *words, "--data-dir", self.data_dir],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},
        )

    def _start(self) -> Deployment:
        return Deployment.start(
            self.data_dir,
            *("--metrics-listen", self.metrics_address),
            listen=self.address,
            workers=self.workers,
            settings=_SETTINGS,
            wrapper=(*WITH_BYTECODE, *self.wrapper),
        )

    def _keep(self) -> None:
        while not self._ending.wait(0.05):
            if self.server.process.poll() is None:
                continue
            self.restarts += 1
            # a start that fails, as on a full disk, is tried again
            while not self._ending.wait(_RESTART_S):
                with suppress(CommandFailedError, OSError):
                    self.server = self._start()
                    break


class Disk:
    """A file system of 256 MiB at a path. Needs the right to mount."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(place)]
        self.is_small = (
            os.geteuid() == 0
            and not subprocess.run(mount, check=False, capture_output=True).returncode
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_small:
            unmount = ["umount", "--lazy", str(self.place)]
            subprocess.run(unmount, check=False)

    def fill(self) -> None:
        """Leave no byte free."""
        for size in (1 << 16, 1):
            with (self.place / "filler").open("ab", buffering=0) as filler, suppress(OSError):
                while filler.write(bytes(size)):
                    pass

    def clear(self) -> None:
        """Give back what ``fill`` took."""
        (self.place / "filler").unlink(missing_ok=True)
