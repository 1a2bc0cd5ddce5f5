"""Where the chaos proof plays: a server that is started anew when it ends, as systemd does."""

from __future__ import annotations

import io
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import numpy as np
from PIL import Image

from benchmarks.harness import registries
from benchmarks.harness.deployment import BIN, WITH_BYTECODE, CommandFailedError, Deployment
from benchmarks.harness.disks import mounted
from disrupt.feed.rebuild import rebuild
from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.registry import sqlite
from tests.proofs import strace

HASHES_PER_ITEM = 100
OPEN_FILES_MAX = 500
_RESTART_S = 0.1
"""Pause before a start, as of systemd's RestartSec."""
_SETTINGS = """\
hashing_workers = 1
video_workers = 1
max_call_s = 10
connection_max_age_s = 3600
erase_within_h = 0.1
"""
"""Maintenance looks for something to do every 15 s, and erases what was withdrawn 300 s ago."""

SMALL_DISK, STRACE, FAKETIME = "a small disk, which root may mount", "strace", "faketime"
_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
"""Debian's faketime: sets the clock of the programs that load it."""


class Kept:
    """A context: a server that is started anew when it ends, as a service manager does."""

    def __init__(self, start: Callable[[], Deployment]) -> None:
        self._start, self._ending = start, threading.Event()
        self.server, self.starts = start(), 1
        self._keeper = threading.Thread(target=self._keep)

    def __enter__(self) -> Self:
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._keeper.join()
        self.server.kill()

    def _keep(self) -> None:
        while not self._ending.wait(0.02):
            if self.server.process.poll() is None:
                continue
            if self.server.process.stdout:
                self.server.process.stdout.close()
            while not self._ending.wait(_RESTART_S):
                self.starts += 1
                with suppress(CommandFailedError, OSError):
                    self.server = self._start()
                    break


class Site:
    """A context: a server on a disk of its own, where this process may mount one."""

    def __init__(self, work: Path, hashes: int, workers: int, wrapper: tuple[str, ...]) -> None:
        """Prepare for a registry that has so many hashes from the start."""
        self.codes = np.random.default_rng(1).integers(0, 256, (hashes, 32), np.uint8)
        self.picture = _picture()
        hashed = fingerprint_image(self.picture)
        assert isinstance(hashed, ImageFingerprints)
        self.codes[0] = np.frombuffer(hashed.fingerprints[0].hash.value, np.uint8)
        self._work, self._workers, self._wrapper = work, workers, wrapper
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        has_small_disk = self._stack.enter_context(mounted(self._work / "disk", "2g"))
        has = {SMALL_DISK: has_small_disk, STRACE: strace.is_there(), FAKETIME: _LIBRARY.exists()}
        self.means = {means for means, is_there in has.items() if is_there}
        registries.fill(self.data_dir, self.codes, HASHES_PER_ITEM)
        with sqlite.open_reader(self.data_dir / "registry.db") as reader:
            rebuild(reader, self.data_dir / "index")
        self.set_clock(0)
        # chosen here, as a server that is started anew has to have them again
        with socket.socket() as free, socket.socket() as other:
            for each in (free, other):
                each.bind(("127.0.0.1", 0))
            self.port, metrics_port = (each.getsockname()[1] for each in (free, other))
        self.metrics_address = f"127.0.0.1:{metrics_port}"
        self._kept = self._stack.enter_context(Kept(self._start))
        rights = {"register": "register", "match": "match", "large": "match"}
        self.keys = {name: self.server.make_key(name, right) for name, right in rights.items()}
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def server(self) -> Deployment:
        """The server that was started last."""
        return self._kept.server

    @property
    def starts(self) -> int:
        """Number of times that it was started."""
        return self._kept.starts

    @property
    def data_dir(self) -> Path:
        """Data directory of the server."""
        return self._work / "disk" / "data"

    @property
    def supervisor(self) -> int:
        """Process id of the supervisor, which may have ended just now."""
        return self.server.process.pid

    def set_clock(self, ahead_s: int) -> None:
        """Let the server's clock be so far ahead of the real one, from the next second on."""
        aside = self._work / "clock.new"
        aside.write_text(f"{ahead_s:+}\n")
        aside.rename(self._work / "clock")

    def index_command(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the operators' tool on the data directory."""
        return subprocess.Popen(
            [BIN / "disrupt-index", *words, "--data-dir", self.data_dir],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _start(self) -> Deployment:
        clock = (
            *("env", f"LD_PRELOAD={_LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={self._work / 'clock'}"),
            *("FAKETIME_CACHE_DURATION=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"),
        )
        return Deployment.start(
            self.data_dir,
            *("--metrics-listen", self.metrics_address),
            listen=f"127.0.0.1:{self.port}",
            workers=self._workers,
            settings=_SETTINGS,
            wrapper=(
                *("prlimit", f"--nofile={OPEN_FILES_MAX}:{OPEN_FILES_MAX}"),
                *(clock if FAKETIME in self.means else ()),
                *WITH_BYTECODE,
                *self._wrapper,
            ),
        )


def _picture() -> bytes:
    """Return a generated picture, which is registered from the start."""
    coarse = np.random.default_rng(2).integers(0, 256, (12, 12, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((480, 360), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


class Relay:
    """Pass TCP connections on to a port of this machine, until they are cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def ports(self) -> set[int]:
        """Return the ports from which connections are passed on now, as the server sees them."""
        ports = set()
        for _, server in self._pairs.copy():
            with suppress(OSError):
                ports.add(server.getsockname()[1])
        return ports

    def cut(self) -> None:
        """End every connection, whatever is under way in it."""
        for pair in self._pairs.copy():
            _end(pair)

    def close(self) -> None:
        """Accept nothing more, and end every connection."""
        with suppress(OSError):  # which wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                client.close()
                continue
            self._pairs.append(pair := (client, server))
            # before either thread runs: it may close both
            for each in pair:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for ends in (pair, pair[::-1]):
                threading.Thread(target=self._pass_on, args=(*ends, pair), daemon=True).start()

    def _pass_on(
        self,
        source: socket.socket,
        target: socket.socket,
        pair: tuple[socket.socket, socket.socket],
    ) -> None:
        with suppress(OSError):
            while read := source.recv(1 << 16):
                target.sendall(read)
        _end(pair)
        with suppress(ValueError):  # the other direction ended before
            self._pairs.remove(pair)


def _end(pair: tuple[socket.socket, socket.socket]) -> None:
    for each in pair:
        with suppress(OSError):  # shut down, as a thread that waits for it does not see it closed
            each.shutdown(socket.SHUT_RDWR)
        each.close()


def children(process: int) -> list[int]:
    """Return the ids of the children of a process, at once; none where it has ended."""
    with suppress(OSError):
        return [*map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())]
    return []


def name_of(process: int) -> str:
    """Return the name that a process gave itself; empty where it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text().strip()
    return ""


def exists(process: int) -> bool:
    """Tell whether a process has not ended."""
    with suppress(OSError):
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False
