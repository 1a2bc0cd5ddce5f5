"""Processes of a running server, and their memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.harness.deployment import Deployment

Start = Callable[..., Deployment]
"""The fixture ``start``, which starts a server."""


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
