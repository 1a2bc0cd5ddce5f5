"""Find the processes of a running server, and which of them a connection reaches."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.deployment import Deployment
from disrupt.client import MatchClient

_PROC = Path("/proc")
_CONNECTIONS_MAX = 64
_ESTABLISHED = "01"


def processes(parent: int, role: str) -> list[int]:
    """Return the ids of the living processes of a role, under their parent.

    The role is ``writer`` or ``worker`` under a supervisor, which forks and names them so, or a
    module under a worker, which starts it as a new program.
    """
    ids = []
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = (process / "status").read_text()
            its_parent = re.search(r"\nPPid:\s+(\d+)", status)
            if its_parent is None or int(its_parent[1]) != parent or "\nState:\tZ" in status:
                continue
            words = (process / "cmdline").read_bytes().split(b"\0")
            name = (process / "comm").read_text().strip()
            if role.encode() in words or name == f"disrupt:{role}":
                ids.append(int(process.name))
    return sorted(ids)


def cpu_s(process: int) -> float:
    """Return the processor time that a process has taken. OSError if it has ended."""
    return time.clock_gettime(~process << 3 | 2)  # its clock, as of clock_getcpuclockid(3)


def session(leader: int) -> list[int]:
    """Return the ids of the processes of a session: a server, and all that it started."""
    ids = []
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # after the name, which may hold anything: state, parent, group, session
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                ids.append(int(process.name))
    return sorted(ids)


def memory_mb(process: int) -> tuple[float, float]:
    """Return the size of a process's own pages, and of mapped files, in units of 10⁶ bytes."""
    sizes_mb = {"RssAnon": 0.0, "RssFile": 0.0}
    with contextlib.suppress(OSError):
        for line in (_PROC / str(process) / "status").read_text("ascii").splitlines():
            name, _, value = line.partition(":")
            if name in sizes_mb:
                sizes_mb[name] = int(value.split()[0]) * 1024 / 1e6
    return sizes_mb["RssAnon"], sizes_mb["RssFile"]


def pss_mb(process: int | str = "self") -> float:
    """Return the proportional set size of a process, in units of 10⁶ bytes; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in (_PROC / str(process) / "smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


@contextlib.contextmanager
def client_of_each_worker(server: Deployment, key: str) -> Iterator[dict[int, MatchClient]]:
    """Open a client of one connection to each of the workers; yield them by process id.

    The kernel chooses the worker of a new connection, so connections are opened until each has one.
    """
    with contextlib.ExitStack() as stack:
        clients: dict[int, MatchClient] = {}
        workers = processes(server.process.pid, "worker")
        seen = {worker: connections(worker).keys() for worker in workers}
        for _ in range(_CONNECTIONS_MAX):
            client = MatchClient(server.address, key=key, connections=1)
            stack.enter_context(client)
            client.index_status()
            now = {worker: connections(worker).keys() for worker in workers}
            for worker in workers:
                if now[worker] - seen[worker]:
                    clients.setdefault(worker, client)
            seen = now
            if workers and len(clients) == len(workers):
                yield clients
                return
        raise RuntimeError(f"{_CONNECTIONS_MAX} connections did not reach every worker")


def connections(process: int) -> dict[str, int]:
    """Return the TCP connections of a process: the port of the other side, by their inodes."""
    place = _PROC / str(process)
    tables = "".join((place / "net" / name).read_text() for name in ("tcp", "tcp6"))
    rows = map(str.split, tables.splitlines())
    ports = {row[9]: int(row[2].rpartition(":")[2], 16) for row in rows if row[3] == _ESTABLISHED}
    links = set()
    for descriptor in (place / "fd").iterdir():
        with contextlib.suppress(OSError):
            links.add(str(descriptor.readlink()))
    return {inode: port for inode, port in ports.items() if f"socket:[{inode}]" in links}
