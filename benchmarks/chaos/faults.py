"""Faults: each does its harm, undoes what nobody else would undo, and says whether it did harm."""

from __future__ import annotations

import itertools
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.chaos import watch
from benchmarks.chaos.site import Disk, Site
from benchmarks.chaos.traffic import Traffic
from benchmarks.chaos.watch import Sign
from disrupt.client import MatchClient
from disrupt.client.retries import RetryPolicy
from disrupt.errors import DisruptError, InvalidMediaError, OverloadedError, UnavailableError
from disrupt.index.generations import locked, unfinished_bytes
from disrupt.server.metrics import families
from disrupt.server.metrics.scrape import scrape

_LASTS_S = (4.0, 6.0)
"""Shortest and longest time that a fault lasts which ends by itself."""
_SILENT_S = 2.0
"""Time without figures that a process which is stopped for that long has at least."""
_HANGS_S = 60.0
_WRITES_FOR_S = 0.05
"""Longest time after which an offline command is killed that has begun to write."""
_TRIES = 5
_MEMORY_LEFT_BYTES = 4 << 20
_LARGE_BYTES = 8 << 20
_LARGE_CALLS = 8
_UNREAD_BYTES = 200_000
"""Less than an answer that is not read, and more than all that other callers hold."""
_FSYNC_DELAY_US = 300_000
_BITES = (b"(INJECTED)", b"(DELAYED)")
"""Marks of strace at calls that it let fail, or last."""
_PROC = Path("/proc")


@dataclass
class Stage:
    """The server and its callers, on which faults act."""

    site: Site
    disk: Disk
    traffic: Traffic
    chance: random.Random
    problem: Callable[[str], None]
    """Takes what must not be."""
    begin: Callable[[], None]
    """Tells whoever watches that a fault begins only now."""

    def lasts_s(self) -> float:
        """Draw how long a fault lasts."""
        return self.chance.uniform(*_LASTS_S)

    def victim(self, role: str) -> int:
        """Draw a process of a role; wait where there is none yet."""
        give_up_s = time.monotonic() + _HANGS_S
        while not (processes := self.site.processes(role)):
            if time.monotonic() > give_up_s:
                raise TimeoutError(f"there is no {role}")
            time.sleep(0.05)
        return self.chance.choice(processes)


def _kill(role: str, stage: Stage) -> bool:
    with suppress(ProcessLookupError):
        os.kill(stage.victim(role), signal.SIGKILL)
        return True
    return False


def _kill_everything(stage: Stage) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(stage.site.supervisor, signal.SIGKILL)
        return True
    return False


def _stop(role: str, stage: Stage) -> bool:
    victim = stage.victim(role)
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGSTOP)
        time.sleep(stage.lasts_s())
        os.kill(victim, signal.SIGCONT)
        return True
    return False


def _hang(role: str, stage: Stage) -> bool:
    """Stop a process for good: its server must notice, and replace it."""
    victim = stage.victim(role)
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGSTOP)
        give_up_s = time.monotonic() + _HANGS_S
        while _exists(victim):
            if time.monotonic() > give_up_s:
                stage.problem(f"a {role} that hangs was not replaced within {_HANGS_S:g} s")
                os.kill(victim, signal.SIGKILL)
                break
            time.sleep(0.1)
        return True
    return False


def _exists(process: int) -> bool:
    with suppress(OSError):
        state = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


def _kill_command(word: str, stage: Stage) -> bool:
    """Kill an offline command while it writes a generation; again where it came too late."""
    index_dir = stage.site.data_dir / "index"
    for _ in range(_TRIES):
        _remove_unfinished(stage, index_dir)
        stage.begin()
        command = stage.site.command(word)
        while command.poll() is None and not unfinished_bytes(index_dir):
            time.sleep(0.001)
        time.sleep(stage.chance.uniform(0, _WRITES_FOR_S))
        command.kill()
        command.wait()
        if unfinished_bytes(index_dir):
            return True
    return False


def _remove_unfinished(stage: Stage, index_dir: Path) -> None:
    """Remove what an earlier fault left, and wait until the metrics say so."""
    with locked(index_dir):
        shutil.rmtree(index_dir / "building", ignore_errors=True)
    give_up_s = time.monotonic() + _HANGS_S
    while time.monotonic() < give_up_s:
        with suppress(UnavailableError):
            shown = scrape(f"http://{stage.site.metrics_address}")
            if not any(shown.by(families.UNFINISHED.name).values()):
                return
        time.sleep(0.5)


def _fill_disk(stage: Stage) -> bool:
    stage.disk.fill()
    is_full = not shutil.disk_usage(stage.disk.place).free
    time.sleep(stage.lasts_s())
    stage.disk.clear()
    return is_full


def _inject(fault: str, calls: str, stage: Stage) -> bool:
    """Let system calls of the writer on its files fail, or last, by strace."""
    place = stage.site.data_dir
    paths = [place / f"registry.db{ending}" for ending in ("", "-wal")]
    paths.append(place / "removals.journal")
    named = [word for path in paths for word in ("-P", str(path))]
    what = ["-e", f"trace={calls}", "-e", f"inject={calls}:{fault}", *named]
    with tempfile.NamedTemporaryFile() as trace:
        quietly = ["strace", "-f", "-qqq", "-s", "0", "-o", trace.name]
        tracer = subprocess.Popen([*quietly, *what, "-p", str(stage.victim("writer"))])
        until_s = time.monotonic() + stage.lasts_s()
        did_harm = False
        # longer where tracing takes long to begin
        while time.monotonic() < until_s + (0 if did_harm else _HANGS_S) and tracer.poll() is None:
            time.sleep(0.1)
            did_harm |= any(word in trace.read() for word in _BITES)
        tracer.terminate()
        tracer.wait()
        return did_harm


def _use_up_descriptors(stage: Stage) -> bool:
    """Let a worker open no file and take no connection: its limit is the first free number."""
    victim = stage.victim("worker")
    with suppress(OSError):
        used = {int(path.name) for path in (_PROC / str(victim) / "fd").iterdir()}
        first_free = next(number for number in itertools.count() if number not in used)
        soft, hard = resource.prlimit(victim, resource.RLIMIT_NOFILE)
        resource.prlimit(victim, resource.RLIMIT_NOFILE, (first_free, hard))
        time.sleep(stage.lasts_s())
        resource.prlimit(victim, resource.RLIMIT_NOFILE, (soft, hard))
        return True
    return False


def _use_up_memory(stage: Stage) -> bool:
    """Let a worker have little more memory than it has, and send it more than that."""
    victim = stage.victim("worker")
    with suppress(ProcessLookupError, OSError):
        pages = int((_PROC / str(victim) / "statm").read_text().split()[0])
        most_bytes = pages * resource.getpagesize() + _MEMORY_LEFT_BYTES
        soft, hard = resource.prlimit(victim, resource.RLIMIT_AS)
        resource.prlimit(victim, resource.RLIMIT_AS, (most_bytes, hard))
        until_s = time.monotonic() + stage.lasts_s()
        with ThreadPoolExecutor(_LARGE_CALLS) as threads:
            failed = any(threads.map(_send_much, [stage.site] * _LARGE_CALLS))
        time.sleep(max(until_s - time.monotonic(), 0))
        if not _exists(victim):
            return True
        resource.prlimit(victim, resource.RLIMIT_AS, (soft, hard))
        return failed
    return False


def _send_much(site: Site) -> bool:
    """Send a file that is no picture; tell whether it was not even refused as such."""
    once = RetryPolicy(attempts=1)
    with MatchClient(
        site.address, key=site.keys["match"], connections=1, retries=once, timeout_s=10
    ) as client:
        try:
            client.match_image(bytes(_LARGE_BYTES), hash_locally=False)
        except (InvalidMediaError, OverloadedError):
            return False
        except DisruptError:
            return True
    return False


def _cut_flow(stage: Stage) -> bool:
    flow = stage.traffic.flow
    is_cut = flow.poll() is None
    flow.kill()
    flow.wait()
    return is_cut


def _read_nothing(stage: Stage) -> bool:
    words = [sys.executable, "-m", "benchmarks.chaos.silent", stage.site.address]
    stored = stage.traffic.stored_hash.hex()
    with subprocess.Popen(
        [*words, stage.site.keys["match"], stored], stdout=subprocess.PIPE
    ) as client:
        asks = bool(client.stdout and client.stdout.readline())
        stage.begin()
        time.sleep(stage.lasts_s())
        client.kill()
    return asks


def _no_need(_: Stage) -> str:
    return ""


def _needs_disk(stage: Stage) -> str:
    return "" if stage.disk.is_small else "mounting a small disk needs root"


def _needs_strace(_: Stage) -> str:
    return "" if shutil.which("strace") else "strace is not installed"


@dataclass(frozen=True)
class Fault:
    """Harm to a site, by what its metrics show it, and why it cannot be done here, if so.

    ``harm`` returns whether it did any: a process may have ended by itself just before.
    """

    harm: Callable[[Stage], bool]
    sign: Sign
    lacks: Callable[[Stage], str] = _no_need


_DECODERS_END = watch.grows(f"{families.DECODER_ENDS.name}_total", of="pictures")
_UNFINISHED = watch.reaches(families.UNFINISHED, 1)

FAULTS = {
    "worker-killed": Fault(partial(_kill, "worker"), watch.ends("worker")),
    "writer-killed": Fault(partial(_kill, "writer"), watch.ends("writer")),
    "supervisor-killed": Fault(partial(_kill, "supervisor"), watch.begins_anew),
    "everything-killed": Fault(_kill_everything, watch.begins_anew),
    "decoder-killed": Fault(partial(_kill, "decoder"), _DECODERS_END),
    "rebuild-killed": Fault(partial(_kill_command, "rebuild"), _UNFINISHED),
    "compaction-killed": Fault(partial(_kill_command, "compact"), _UNFINISHED),
    "worker-stopped": Fault(partial(_stop, "worker"), watch.is_silent("worker", _SILENT_S)),
    "writer-stopped": Fault(partial(_stop, "writer"), watch.is_silent("writer", _SILENT_S)),
    "supervisor-stopped": Fault(
        partial(_stop, "supervisor"), watch.is_silent("supervisor", _SILENT_S)
    ),
    "worker-hangs": Fault(partial(_hang, "worker"), watch.ends("worker")),
    "writer-hangs": Fault(partial(_hang, "writer"), watch.ends("writer")),
    "decoder-hangs": Fault(partial(_hang, "decoder"), _DECODERS_END),
    "disk-full": Fault(_fill_disk, watch.refuses_writes, _needs_disk),
    "disk-read-only": Fault(
        partial(_inject, "error=EROFS", "pwrite64,ftruncate,write"),
        watch.refuses_writes,
        _needs_strace,
    ),
    "disk-slow": Fault(
        partial(_inject, f"delay_enter={_FSYNC_DELAY_US}", "fsync,fdatasync"),
        watch.is_slow("RegistrationService/RegisterHashes", "0.25"),
        _needs_strace,
    ),
    "descriptors-short": Fault(
        _use_up_descriptors, watch.is_used_up(families.OPEN_FILES, families.OPEN_FILES_MAX)
    ),
    "memory-short": Fault(
        _use_up_memory, watch.is_used_up(families.ADDRESSES, families.ADDRESSES_MAX)
    ),
    "connection-cut": Fault(_cut_flow, watch.grows(watch.CALLS, outcome="CANCELLED")),
    "client-reads-nothing": Fault(
        _read_nothing, watch.reaches(families.HELD, _UNREAD_BYTES, of="bytes")
    ),
}
"""By name; a run plays them in turn."""
