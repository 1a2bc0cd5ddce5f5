"""Processes of a running server, and their memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner

from benchmarks.harness.deployment import CommandFailedError, Deployment
from disrupt.cli import main
from indexer.commands import main as index_tool
from tests.server.caller import TIMEOUT_S

Start = Callable[..., Deployment]
"""The fixture ``start``, which starts a server."""


def typed(command: str, *arguments: str | Path) -> str:
    """Run a command in this process; return its output. Raises CommandFailedError on failure."""
    words = [str(argument) for argument in arguments]
    done = CliRunner().invoke({"disrupt": main, "disrupt-index": index_tool}[command], words)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    if done.exit_code:
        raise CommandFailedError(f"`{' '.join([command, *words])}` failed:\n{done.output}")
    return done.stdout


def expire(server: Deployment, key_id: str) -> None:
    """Let the last day of a key be long past, which no command does."""
    with closing(sqlite3.connect(server.data_dir / "registry.db", timeout=TIMEOUT_S)) as connection:
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


def unexpected_errors(server: Deployment) -> list[str]:
    """Return what its log says of errors that it has no name for."""
    log = server.data_dir.with_name(f"{server.data_dir.name}.log").read_text()
    return [
        line for line in log.splitlines() if '"error_unread"' in line or '"call_failed"' in line
    ]
