"""Run a Ray cluster of separate processes on this machine, without a network and with a token."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.processes.running import children
from rig.servers.deployment import BIN

ADDRESS = "127.0.0.1:23379"
_TOKEN = "7" * 64
_READY_S = 120.0


def unusable() -> str:
    """Return why there can be no cluster here; empty where there can."""
    done = subprocess.run(
        ["unshare", "--net", "--pid", "--fork", "--mount-proc", "ip", "link", "set", "lo", "up"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"needs namespaces: {done.stderr.strip()}" if done.returncode else ""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster; ``pid`` is a process in its namespaces."""

    pid: int

    def start(self, *arguments: str | Path, token: str = _TOKEN) -> subprocess.Popen[str]:
        """Start a command of the project on it."""
        words = ["nsenter", "--target", str(self.pid), "--net", "--pid", "--mount"]
        return subprocess.Popen(
            [*words, BIN / "disrupt", *arguments, "--ray", ADDRESS],
            env=_environment(token),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def actors(self) -> list[int]:
        """Return the processes of the actors that are at work."""
        network = Path(f"/proc/{self.pid}/ns/net").readlink()
        processes = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_actor = (folder / "cmdline").read_bytes().startswith(b"ray::_Actor")
                if is_actor and (folder / "ns" / "net").readlink() == network:
                    processes.append(int(folder.name))
            except OSError:  # it has ended
                continue
        return processes


@contextmanager
def cluster(processors: int) -> Iterator[Cluster]:
    """Start a cluster, which ends with all its processes when the context does."""
    head: list[str | Path] = [
        *(BIN / "ray", "start", "--head", "--block", "--node-ip-address", "127.0.0.1"),
        *("--port", ADDRESS.rpartition(":")[2], "--num-cpus", str(processors)),
        *("--disable-usage-stats", "--include-dashboard", "false"),
        *("--object-store-memory", "80000000"),
        *("--system-config", '{"automatic_object_spilling_enabled": false}'),
    ]
    # below /tmp, as the paths of sockets have to be short
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        command = f'ip link set lo up; exec "$@" --temp-dir {folder}'
        namespaces = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with subprocess.Popen(
            [*namespaces, "sh", "-c", command, "sh", *head],
            env=_environment(_TOKEN),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                raylet = Path(folder) / "session_latest" / "sockets" / "raylet"
                give_up_s = time.monotonic() + _READY_S
                while not raylet.exists():
                    if process.poll() is not None or time.monotonic() > give_up_s:
                        raise RuntimeError("the Ray cluster did not start")
                    time.sleep(0.05)
                (inner,) = children(process.pid)
                yield Cluster(inner)
            finally:
                process.kill()


def _environment(token: str) -> dict[str, str]:
    usual = {name: value for name, value in os.environ.items() if "RAY" not in name}
    return usual | {"RAY_AUTH_TOKEN": token, "RAY_AUTH_MODE": "token"}
