"""Faults of the chaos proof: each does its harm, and undoes what nobody else would undo."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import grpc

from disrupt.client import MatchClient
from disrupt.client.connection import connect
from disrupt.client.retries import RetryPolicy
from disrupt.errors import DisruptError, InvalidMediaError, OverloadedError
from disrupt.operators.scrape import Scrape
from disrupt.server.metrics import families
from disrupt.server.metrics.families import Family
from disrupt.server.upkeep.storage import LOOK_S
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from rig.callers.continual import Caller
from rig.faults.disks import fill
from rig.faults.relay import Relay
from rig.processes.running import alive, children, connections, name_of, processes
from rig.stages.chaos import FAKETIME, OPEN_FILES_MAX, SMALL_DISK, STRACE, Site

_LASTS_S = (4.0, 6.0)
"""Shortest and longest time that a fault lasts which the server does not end by itself."""
_GIVE_UP_S = 60.0
_LARGE_BYTES = 16 << 20
_EVERYONE = frozenset({"lookups", "pictures", "writes"})
_WRITES = frozenset({"writes"})
_PICTURES = frozenset({"pictures"})
_NOBODY = frozenset[str]()


@dataclass(eq=False, kw_only=True)
class Relayed(Caller):
    """A caller whose connection can be cut."""

    relay: Relay


@dataclass
class Stage:
    """The server and its callers, on which faults act; ``hit`` are those whom a fault concerns."""

    site: Site
    callers: list[Relayed]
    chance: random.Random
    hit: set[Relayed] = field(default_factory=set)
    began_s: float = 0.0
    """When the fault did its harm, of time.monotonic."""

    def begin(self) -> None:
        """Note that the fault does its harm now."""
        self.began_s = time.monotonic()

    def wait(self) -> None:
        """Let a fault last."""
        time.sleep(self.chance.uniform(*_LASTS_S))

    def worker(self, kind: str = "") -> int:
        """Draw a worker, with a caller of a kind where one is named; its callers are hit."""
        its_callers = {
            worker: {
                caller
                for caller in self.callers
                if caller.relay.ports() & {*connections(worker).values()}
            }
            for worker in processes(self.site.supervisor, "worker")
        }
        drawn = [
            worker
            for worker, callers in its_callers.items()
            if not kind or any(caller.kind == kind for caller in callers)
        ]
        worker = self.chance.choice(drawn)
        self.hit = its_callers[worker]
        return worker


Sign = tuple[str, Callable[[Scrape, Scrape], bool]]
"""A metric, and whether scrapes before and after a fault show that it tells of it."""


def _grows(family: Family, **labels: str) -> Sign:
    ending = "count" if isinstance(family, families.Histogram) else "total"
    name = f"{family.name}_{ending}"
    return _named(name, labels), lambda before, now: bool(now.since(before, name, **labels))


def _ends(role: str, cause: str) -> Sign:
    return _grows(families.PROCESS_ENDS, role=role, cause=cause)


def _falls_to_0(family: Family, **labels: str) -> Sign:
    name = _named(family.name, labels)
    return name, lambda _, now: any(
        not value for value in now.by(family.name, "process", **labels).values()
    )


def _either(*signs: Sign) -> Sign:
    names, tests = zip(*signs, strict=True)
    return ", ".join(names), lambda before, now: any(test(before, now) for test in tests)


def _named(name: str, labels: dict[str, str]) -> str:
    values = ", ".join(f'{label}="{value}"' for label, value in labels.items())
    return f"{name}{{{values}}}" if values else name


def _begins_anew(before: Scrape, now: Scrape) -> bool:
    return now.by(families.STARTED.name) != before.by(families.STARTED.name)


def _files_run_out(_: Scrape, now: Scrape) -> bool:
    used = now.by(families.OPEN_FILES.name, "process").values()
    return max(used, default=0.0) >= 0.9 * sum(now.by(families.OPEN_FILES_MAX.name).values())


def _is_unfinished(before: Scrape, now: Scrape) -> bool:
    """Tell whether a generation is left that was written to since."""
    ages_s = now.by(families.INDEX_UNFINISHED.name).values()
    return any(1 <= age_s <= now.at_s - before.at_s for age_s in ages_s)


def _maintains_long(_: Scrape, now: Scrape) -> bool:
    scraped_s = time.time() - (time.monotonic() - now.at_s)
    started_s = now.by(families.MAINTENANCE_STARTED.name).values()
    return any(scraped_s - each_s >= _LASTS_S[0] - 1 for each_s in started_s)


def _victim(role: str, stage: Stage) -> int:
    """Return a process of a role: ``worker``, ``writer``, ``supervisor`` or ``decoder``."""
    if role == "supervisor":
        return stage.site.supervisor
    if role == "decoder":
        return processes(stage.worker("pictures"), "disrupt.isolation.picture_worker")[0]
    return stage.worker() if role == "worker" else processes(stage.site.supervisor, role)[0]


def _kill(role: str, stage: Stage) -> None:
    os.kill(_victim(role, stage), signal.SIGKILL)


def _hang(role: str, stage: Stage) -> None:
    """Stop a process for good: the server must notice, and replace it."""
    os.kill(victim := _victim(role, stage), signal.SIGSTOP)
    give_up_s = time.monotonic() + _GIVE_UP_S
    while alive(victim) and time.monotonic() < give_up_s:
        time.sleep(0.05)
    with suppress(ProcessLookupError):  # the run ends, as callers wait for it
        os.kill(victim, signal.SIGCONT)


def _pause(victim: int, stage: Stage) -> None:
    os.kill(victim, signal.SIGSTOP)
    stage.wait()
    os.kill(victim, signal.SIGCONT)


def _pause_supervisor(stage: Stage) -> None:
    _pause(stage.site.supervisor, stage)


def _maintenance(stage: Stage) -> Iterator[int]:
    """Yield processes of maintenance, each at a random time after its start, until taken."""
    give_up_s = time.monotonic() + _GIVE_UP_S
    while time.monotonic() < give_up_s:
        for process in children(stage.site.supervisor):
            # the kernel cuts names
            if name_of(process) == "disrupt:mainten":
                time.sleep(stage.chance.choice((0, 0.02, 0.5)) * stage.chance.random())
                if alive(process):
                    stage.begin()
                    yield process
        time.sleep(0.001)
    raise TimeoutError("there is no maintenance")


def _kill_maintenance(stage: Stage) -> None:
    for process in _maintenance(stage):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
            return


def _stop_maintenance(stage: Stage) -> None:
    for process in _maintenance(stage):
        with suppress(ProcessLookupError):
            _pause(process, stage)
            return


def _signal_indexer(number: signal.Signals, stage: Stage) -> subprocess.Popen[bytes]:
    """Send a signal to an offline command at a random moment while it writes a generation."""
    building = stage.site.data_dir / "index" / "building"
    while True:
        earlier_ns = _changed_ns(building)
        command = stage.site.index_command(stage.chance.choice(("rebuild", "compact")))
        while command.poll() is None and _changed_ns(building) in {0, earlier_ns}:
            time.sleep(0.001)
        time.sleep(stage.chance.uniform(0, 0.05))
        stage.begin()
        command.send_signal(number)
        if _changed_ns(building) not in {0, earlier_ns}:
            return command
        command.kill()  # it was too late
        command.wait()


def _changed_ns(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_ctime_ns
    return 0


def _kill_indexer(stage: Stage) -> None:
    _signal_indexer(signal.SIGKILL, stage).wait()


def _stop_indexer(stage: Stage) -> None:
    command = _signal_indexer(signal.SIGSTOP, stage)
    time.sleep(LOOK_S + _LASTS_S[0])
    command.kill()
    command.wait()


def _fill_disk(stage: Stage) -> None:
    filler = stage.site.data_dir.parent / "filler"
    fill(filler)
    give_up_s = time.monotonic() + _GIVE_UP_S
    # the database's log may have room of its own for some registrations
    while not any(caller.failures for caller in stage.callers) and time.monotonic() < give_up_s:
        time.sleep(0.05)
    stage.wait()
    filler.unlink()


def _forbid_writing(stage: Stage) -> None:
    """Let the writer's writes to its files fail as on a disk that is mounted read-only."""
    names = ("registry.db", "registry.db-wal", "removals.journal")
    only = [word for name in names for word in ("-P", str(stage.site.data_dir / name))]
    calls = "pwrite64,ftruncate,write"
    (writer,) = processes(stage.site.supervisor, "writer")
    words = ["strace", "-f", "-qqq", "-e", f"trace={calls}", "-e", f"inject={calls}:error=EROFS"]
    with subprocess.Popen([*words, *only, "-p", str(writer)], stderr=subprocess.DEVNULL) as tracer:
        stage.wait()
        tracer.terminate()


def _set_clock(ahead_s: int, stage: Stage) -> None:
    stage.site.set_clock(ahead_s)
    stage.wait()
    stage.site.set_clock(0)
    time.sleep(3)  # it is read every second


def _use_up_files(stage: Stage) -> None:
    """Open more connections than all workers together may have."""
    with ExitStack() as stack:
        for _ in range(3 * OPEN_FILES_MAX):
            with suppress(OSError):
                address = ("127.0.0.1", stage.site.port)
                stack.enter_context(socket.create_connection(address, timeout=1))
        stage.wait()


def _use_up_memory(stage: Stage) -> None:
    """Let a worker take no more memory than it has, and send files that need some."""
    victim = stage.worker()
    limit = resource.prlimit(victim, resource.RLIMIT_AS)
    resource.prlimit(victim, resource.RLIMIT_AS, (1, limit[1]))
    give_up_s = time.monotonic() + _GIVE_UP_S
    once = RetryPolicy(attempts=1)
    address, key = f"127.0.0.1:{stage.site.port}", stage.site.keys["large"]
    while time.monotonic() < give_up_s:
        with MatchClient(address, key=key, connections=1, retries=once) as client:
            try:
                client.match_image(bytes(_LARGE_BYTES), hash_locally=False)
            except (InvalidMediaError, OverloadedError):
                continue  # another worker took it
            except DisruptError:
                break
    with suppress(ProcessLookupError):
        resource.prlimit(victim, resource.RLIMIT_AS, limit)


def _cut_connections(stage: Stage) -> None:
    """Cut all connections, one of them in the middle of a video's upload."""
    relay, ending = Relay(stage.site.port), threading.Event()

    def parts() -> Iterator[match_pb2.MatchVideoRequest]:
        yield match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
        ending.wait()

    connection = connect(relay.address, stage.site.keys["match"])
    with connection.open() as channel:
        upload = MatchServiceStub(channel).MatchVideo.future(parts(), metadata=connection.metadata)
        time.sleep(1)
        for each in (relay, *(caller.relay for caller in stage.callers)):
            each.cut()
        relay.close()
        ending.set()
        with suppress(grpc.RpcError):
            upload.result(_GIVE_UP_S)


@dataclass(frozen=True)
class Fault:
    """Harm, the metric that must tell of it, and whose calls may fail meanwhile."""

    harm: Callable[[Stage], None]
    sign: Sign
    hurts: frozenset[str]
    """Kinds of callers, of those whom the fault hits."""
    needs: str = ""
    """What has to be among ``Site.means``; empty for nothing."""


_UNFINISHED = (families.INDEX_UNFINISHED.name, _is_unfinished)
_DECODERS = {"media": "pictures"}
_ANEW = (families.STARTED.name, _begins_anew)

FAULTS = {
    "nothing": Fault(Stage.wait, ("", lambda _before, _now: True), _NOBODY),
    "worker killed": Fault(partial(_kill, "worker"), _ends("worker", "died"), _EVERYONE),
    "writer killed": Fault(partial(_kill, "writer"), _ends("writer", "died"), _WRITES),
    "supervisor killed": Fault(partial(_kill, "supervisor"), _ANEW, _EVERYONE),
    "indexer killed": Fault(_kill_indexer, _UNFINISHED, _NOBODY),
    "maintenance killed": Fault(_kill_maintenance, _ends("maintenance", "died"), _NOBODY),
    "decoder killed": Fault(
        partial(_kill, "decoder"), _grows(families.DECODER_ENDS, **_DECODERS), _PICTURES
    ),
    "worker stopped": Fault(partial(_hang, "worker"), _ends("worker", "hung"), _EVERYONE),
    "writer stopped": Fault(partial(_hang, "writer"), _ends("writer", "hung"), _WRITES),
    "supervisor stopped": Fault(_pause_supervisor, _grows(families.SUPERVISOR_STALLED), _NOBODY),
    "indexer stopped": Fault(_stop_indexer, _UNFINISHED, _NOBODY),
    "maintenance stopped": Fault(
        _stop_maintenance, (families.MAINTENANCE_STARTED.name, _maintains_long), _NOBODY
    ),
    "decoder stopped": Fault(
        partial(_hang, "decoder"),
        _grows(families.DECODER_ENDS, cause="TIMEOUT", **_DECODERS),
        _PICTURES,
    ),
    "disk full": Fault(
        _fill_disk, _grows(families.REFUSALS, reason="STORAGE_FULL"), _WRITES, needs=SMALL_DISK
    ),
    "disk read-only": Fault(
        _forbid_writing,
        _falls_to_0(families.SERVING, service="disrupt.v1.RegistrationService"),
        _WRITES,
        needs=STRACE,
    ),
    "clock forward": Fault(
        partial(_set_clock, 86_400),
        _grows(families.CLOCK_JUMPS, direction="forward"),
        _NOBODY,
        needs=FAKETIME,
    ),
    "clock back": Fault(
        partial(_set_clock, -86_400),
        _grows(families.CLOCK_JUMPS, direction="back"),
        _NOBODY,
        needs=FAKETIME,
    ),
    "descriptors used up": Fault(
        _use_up_files, (families.OPEN_FILES.name, _files_run_out), _EVERYONE
    ),
    "memory used up": Fault(
        _use_up_memory, _either(_grows(families.FAULTS), _ends("worker", "died")), _EVERYONE
    ),
    "connections cut": Fault(
        _cut_connections, _grows(families.CALLS, outcome="CANCELLED"), _EVERYONE
    ),
}
