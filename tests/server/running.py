"""Processes of a running server, and their memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.harness.deployment import Deployment
from disrupt.data_directory import REGISTRY

Start = Callable[..., Deployment]
"""The fixture ``start``, which starts a server."""


def expire(server: Deployment, key_id: str) -> None:
    """Let a key be expired for long, which no command does."""
    with closing(sqlite3.connect(server.data_dir / REGISTRY, timeout=60)) as connection:
        connection.execute("UPDATE keys SET expires_on = '2020-01-01' WHERE key_id = ?", [key_id])
        connection.commit()


def children(pid: int, role: str = "") -> list[int]:
    """Return the processes of a server, by role."""
    pids = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            name = (path / "comm").read_text().strip()
        except OSError:
            continue
        if parent == pid and name.startswith(f"disrupt:{role}"):
            pids.append(int(path.name))
    return pids


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) * 1024
