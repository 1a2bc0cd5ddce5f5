"""Serve metrics, /livez and /readyz from the supervisor, which sees all processes."""

from __future__ import annotations

import asyncio
import math
import mmap
import os
import resource
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import disrupt
from disrupt.server.config import parsed_address
from disrupt.server.edge.health import FEED, LOOKUPS, MATCH, REGISTRATION
from disrupt.server.edge.states import DRAINING, STALE, WAITING
from disrupt.server.metrics import families
from disrupt.server.metrics.rows import Rows
from disrupt.server.supervisor.site import Answer, serve_paths

_PAUSE_S = 1.0
"""Pause between two looks at the time. A look that is late by more counts as a stall."""
_JUMP_S = 2.0
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

States = Sequence[Mapping[str, Any]]
"""The state of each process, as ``disrupt health`` reads it."""


def bound(listen: str) -> socket.socket:
    """Return a socket bound to HOST:PORT. Raises OSError."""
    host, port = parsed_address("metrics_listen", listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def address_of(listener: socket.socket) -> str:
    """Return HOST:PORT of a bound socket."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def serve(
    listener: socket.socket, rows: Rows, states: Callable[[], States], role: str
) -> asyncio.Server:
    """Serve on a bound socket; ``role`` is that of the server."""
    shown = set[str]()

    def metrics() -> Answer:
        from disrupt.server.supervisor import exposition  # noqa: PLC0415 no start waits for it

        _show_processes(states(), shown)
        return Answer(exposition.exposed(rows), content_type=exposition.CONTENT_TYPE)

    def ready() -> Answer:
        wrong = unready(states(), role) if role != "writer" else unready_writer(states())
        lines = [
            f"{service}: {', '.join(reasons) or 'ready'}\n" for service, reasons in wrong.items()
        ]
        status = HTTPStatus.SERVICE_UNAVAILABLE if next(iter(wrong.values())) else HTTPStatus.OK
        return Answer("".join(lines).encode(), status)

    paths = {"/metrics": metrics, "/readyz": ready, "/livez": lambda: Answer(b"live\n")}
    return await serve_paths(listener, paths)


def count_from_0(roles: Iterable[str]) -> None:
    """Show from the start what the supervisor counts, and what seldom happens to ``roles``."""
    families.INFO.set(disrupt.__version__, value=1)
    families.STARTED.set(value=time.time())
    families.FAULTS.add(amount=0)
    for outcome in ("done", "refused", "failed"):
        families.RELOADS.add(outcome, amount=0)
    families.SUPERVISOR_STALLED.add(amount=0)
    for direction in ("forward", "back"):
        families.CLOCK_JUMPS.add(direction, amount=0)
    families.HELD.add(amount=0)
    for role in roles:
        for cause in ("died", "hung"):
            families.PROCESS_ENDS.add(role, cause, amount=0)


async def watch_time() -> None:
    """Count, for as long as this runs, when this process stood still and when the clock jumped.

    A machine that was suspended is neither.
    """
    while True:
        ran_s, clock_s = time.monotonic(), _clock_s()
        await asyncio.sleep(_PAUSE_S)
        if (stalled_s := time.monotonic() - ran_s - _PAUSE_S) > _PAUSE_S:
            families.SUPERVISOR_STALLED.add(amount=stalled_s)
        if abs(jump_s := _clock_s() - clock_s) > _JUMP_S:
            families.CLOCK_JUMPS.add("forward" if jump_s > 0 else "back")


def _clock_s() -> float:
    """Return by how much the clock is ahead of one that nobody sets."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def unready(processes: States, role: str) -> dict[str, list[str]]:
    """Return, by service, why callers should go elsewhere; nothing where they need not.

    The first service decides: for role ``match`` it is that of lookups from an index of whatever
    age, since all nodes are stale while the registry cannot be read.

    Every worker that takes connections has to serve, as nobody chooses the one that a connection
    leads to; one that is down, starting or draining takes none. The writer counts by what workers
    say of it.
    """
    workers = [
        process
        for process in processes
        if process["role"] == "worker" and process["state"] not in {"down", "starting", DRAINING}
    ]
    wrong: dict[str, list[str]] = {}
    others = () if role == "mirror" else (FEED, REGISTRATION)
    for service in (*([LOOKUPS] if role == "match" else []), MATCH, *others):
        wrong[service] = [] if workers else ["no worker runs"]
        for process in workers:
            name = f"worker {process['number']}"
            if process["state"] == "silent":
                wrong[service].append(f"{name} is silent")
            elif service in process.get("not_serving", ()):
                stale = process["state"] == STALE and service in {MATCH, FEED}
                behind = f" by {process['lag_ms'] / 1000:.0f} s" if "lag_ms" in process else ""
                wrong[service].append(
                    f"{name} is stale{behind}" if stale else f"{name} does not serve"
                )
    return wrong


def unready_writer(processes: States) -> dict[str, list[str]]:
    """Return what ``unready`` does of a server without workers."""
    reasons = [
        f"writer: {process['state']}"
        for process in processes
        if process["state"] != "serving" or process.get("not_serving")
    ]
    return {REGISTRATION: reasons}


def _show_processes(processes: States, shown: set[str]) -> None:
    """Set the metrics of each process, and of this one, as the kernel has them.

    Hides processes of ``shown`` that there are no more, as after a reload with fewer workers, and
    adds the others to it.
    """
    for name in shown - {process["name"] for process in processes}:
        for family in (families.PROCESS_UP, families.PROCESS_SILENT):
            family.set(name, value=math.nan)
        _show_usage(name, None)
    families.OPEN_FILES_MAX.set(value=resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    _show_usage("supervisor", os.getpid())
    for process in processes:
        name = process["name"]
        shown.add(name)
        is_up = process["state"] in {"serving", STALE, DRAINING, WAITING}
        families.PROCESS_UP.set(name, value=is_up)
        families.PROCESS_SILENT.set(name, value=process["silent_s"])
        _show_usage(name, process["pid"])


def _show_usage(name: str, pid: int | None) -> None:
    shown = (families.MEMORY, families.OPEN_FILES, families.PROCESSOR)
    values = [math.nan] * len(shown)
    with suppress(OSError):  # it has ended
        if pid is not None:
            directory = Path(f"/proc/{pid}")
            pages = int((directory / "statm").read_bytes().split()[1])
            fields = (directory / "stat").read_text().rpartition(")")[2].split()
            files = sum(1 for _ in (directory / "fd").iterdir())
            values = [pages * mmap.PAGESIZE, files, (int(fields[11]) + int(fields[12])) * _TICK_S]
    for family, value in zip(shown, values, strict=True):
        family.set(name, value=value)
