"""Memory and time of the processes of a browser."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_PAGE_PROCESSES = (b"--type=renderer", b"-contentproc", b"WebKitWebProcess")


def cpu_ms(ancestor: int) -> float:
    """Return the processor time of a process and its descendants so far, of all cores."""
    ticks = 0
    for process in _descendants(ancestor):
        with contextlib.suppress(OSError):
            fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


def most_memory_mb(ancestor: int) -> float:
    """Return the most memory that any process of a page had, in units of 10⁶ bytes."""
    peaks = [0.0]
    for process in _descendants(ancestor):
        with contextlib.suppress(OSError):
            command = (_PROC / str(process) / "cmdline").read_bytes()
            peak = re.search(r"VmHWM:\s+(\d+)", (_PROC / str(process) / "status").read_text())
            if peak and any(name in command for name in _PAGE_PROCESSES):
                peaks.append(int(peak[1]) * 1024 / 1e6)
    return round(max(peaks), 1)


def _descendants(ancestor: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(process.name))
    waiting = [ancestor]
    while waiting:
        yield (process_id := waiting.pop())
        waiting += children.get(process_id, [])
