"""Where the chaos proof plays: a server that is started anew when it ends, as systemd does."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import numpy as np

from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.registry import sqlite
from disrupt.upkeep.rebuild import rebuild
from rig.faults.disks import mounted
from rig.media.generated import noise
from rig.media.pictures import encode
from rig.ports import free_ports
from rig.processes import strace
from rig.servers import registries
from rig.servers.deployment import BIN, WITH_BYTECODE, Deployment
from rig.servers.kept import Kept

HASHES_PER_ITEM = 100
OPEN_FILES_MAX = 500
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


class Site:
    """A context: a server on a disk of its own, where this process may mount one."""

    def __init__(self, work: Path, hashes: int, workers: int, wrapper: tuple[str, ...]) -> None:
        """Prepare for a registry that has so many hashes from the start."""
        self.codes = np.random.default_rng(1).integers(0, 256, (hashes, 32), np.uint8)
        # a picture that is registered from the start
        self.picture = encode(noise(np.random.default_rng(2), (480, 360)))
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
        self.port, metrics_port = free_ports(2)
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
