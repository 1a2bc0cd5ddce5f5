"""Read what processes of this machine are, have and take, from /proc."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

_PROC = Path("/proc")
_ESTABLISHED = "01"
_NAME_BYTES = 15
"""Longest name of a process: the kernel cuts longer ones."""


def processes(parent: int, role: str = "") -> list[int]:
    """Return the ids of the living children of a process, sorted; of one role where it is named.

    The role is ``writer``, ``worker`` and so on under a supervisor, which forks and names its
    children so, or a module under a worker, which starts it as a new program.
    """
    ids = []
    for place in _PROC.glob("[0-9]*"):
        process = int(place.name)
        fields = status(process)
        if fields.get("PPid") != str(parent) or fields["State"].startswith("Z"):
            continue
        if _has_role(process, role):
            ids.append(process)
    return sorted(ids)


def children(process: int) -> list[int]:
    """Return the ids of the children of a process, of all its threads; none where it has ended.

    That takes less time than ``processes``, but may leave some out while others end.
    """
    ids: list[int] = []
    with contextlib.suppress(OSError):
        for thread in (_PROC / str(process) / "task").iterdir():
            ids += map(int, (thread / "children").read_text().split())
    return ids


def _has_role(process: int, role: str) -> bool:
    name = name_of(process)
    if name == f"disrupt:{role}"[:_NAME_BYTES] or (not role and name.startswith("disrupt:")):
        return True
    with contextlib.suppress(OSError):
        return role.encode() in (_PROC / str(process) / "cmdline").read_bytes().split(b"\0")
    return False


def name_of(process: int) -> str:
    """Return the name that a process gave itself; empty where it has ended."""
    with contextlib.suppress(OSError):
        return (_PROC / str(process) / "comm").read_text().strip()
    return ""


def status(process: int | str = "self") -> dict[str, str]:
    """Return the fields of a process's status, as proc(5) names them; none where it has ended."""
    with contextlib.suppress(OSError):
        lines = (_PROC / str(process) / "status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return {}


def alive(process: int) -> bool:
    """Tell whether a process has not ended."""
    return not status(process).get("State", "Z").startswith("Z")


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


def peak_bytes(process: int | str = "self") -> int:
    """Return the most memory that a process ever had; 0 where it has ended."""
    return _bytes(status(process).get("VmHWM", "0 kB"))


def memory_mb(process: int) -> tuple[float, float]:
    """Return the size of a process's own pages, and of mapped files, in units of 10⁶ bytes."""
    fields = status(process)
    own, mapped = (_bytes(fields.get(name, "0 kB")) / 1e6 for name in ("RssAnon", "RssFile"))
    return own, mapped


def pss_mb(process: int | str = "self") -> float:
    """Return the proportional set size of a process, in units of 10⁶ bytes; 0 if it has ended."""
    with contextlib.suppress(OSError):
        for line in (_PROC / str(process) / "smaps_rollup").read_text("ascii").splitlines():
            if line.startswith("Pss:"):
                return _bytes(line.removeprefix("Pss:")) / 1e6
    return 0.0


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


def _bytes(size: str) -> int:
    """Return a size of proc(5), such as ``1024 kB``."""
    return int(size.split(maxsplit=1)[0]) * 1024
