"""The supervisor: holds the data directory, forks writer and workers, restarts and drains them.

On SIGHUP it becomes the version that is installed by then, see ``handover``.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import resource
import secrets
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import structlog
import uvloop

from disrupt import logs
from disrupt.core.sketches import SKETCH_SECRET_BYTES
from disrupt.data_directory import DataDirectory
from disrupt.distinctiveness.nearness import check_limits
from disrupt.errors import (
    DisruptError,
    SnapshotRefusedError,
    UnavailableError,
)
from disrupt.hashing import check_known_answers
from disrupt.index.generations import check_history, create_first, open_current
from disrupt.index.known_answers import check_table_search
from disrupt.registry import opening
from disrupt.registry.contract import RegistryReader
from disrupt.server import supervision
from disrupt.server.admission.shares import Board
from disrupt.server.config import Config
from disrupt.server.metrics import gauges
from disrupt.server.metrics.families import (
    MONITOR,
    PROCESS_ENDS,
    STARTED,
    SUPERVISOR,
    WRITER,
    figures_of,
    worker_row,
)
from disrupt.server.processes import forking, housekeeping, listeners, monitor, worker
from disrupt.server.processes import writer as _writer
from disrupt.server.processes.forking import Forked
from disrupt.server.processes.handover import Handover, let_signals_in, signals_held_back
from disrupt.server.processes.places import Places, reserve
from disrupt.server.processes.serving import BEAT, BEAT_S, COMPACT, READY
from disrupt.server.supervision import forever, vital

_Run: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

LOCK_PATIENCE_S = 2.0
"""Wait for the lock: processes of a server that was killed need a moment to die."""

_FIRST_BACKOFF_S = 0.1
_MAX_BACKOFF_S = 1.5
"""Longest pause before a process that dies again and again is started anew."""
_STEADY_AFTER_S = 30.0
"""A process that ran this long is restarted as if it had never failed."""
_START_S = 600.0
"""Time for a process to become ready: for a worker that reads a large index from a slow disk, 60 GB
at 100 MB/s."""
_KILL_MARGIN_S = 5.0
_LOOK_S = 0.02
_OPEN_FILES = 65536
"""More than all that a process has open at the largest number of connections."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Child:
    """A role that one process fills at all times.

    ``ended`` is called after each process, and before the next. A process that has neither ended
    nor become ready within ``start_s`` is killed.
    """

    role: str
    run: _Run
    ended: Callable[[], None] = lambda: None
    start_s: float = _START_S
    process: Forked | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)


def serve(
    config: Config,
    ready: Callable[[str, str | None, str | None], None],
    command: Sequence[str] = (),
) -> None:
    """Run a server until SIGTERM or SIGINT; call ``ready`` once all of it serves.

    ``ready`` gets its address, and those for client certificates and for metrics, if any.
    ``command`` of this interpreter is executed again on SIGHUP, and tried with ``--check`` before.

    Raises DataDirectoryError, ConfigurationError and whatever else keeps it from starting.
    """
    before = Handover.taken()
    config = before.fixed(config)
    directory = DataDirectory(config.data_dir)
    directory.make()
    _allow_open_files()
    # The lock is held until the last process has ended: each inherits it.
    with directory.locked(patience_s=LOCK_PATIENCE_S, held=before.lock) as lock:
        forking.run_in_child("checking", check_known_answers)
        directory.secrets()
        if before.processes:
            _load_what_is(directory)
        else:
            _load(directory)
        places = before.places() or reserve(config)
        forking.settle()
        supervisor = _Supervisor(config, places, lock, before, command)
        others = [
            places[name].address if name in places else None
            for name in ("client_listen", "metrics_listen")
        ]
        asyncio.run(supervisor.run(lambda: ready(places["listen"].address, *others)))


def check(config: Config) -> None:
    """Say whether a server could begin, and change nothing.

    Raises DataDirectoryError, ConfigurationError and whatever else would keep it from starting.
    """
    listeners.check(config)
    directory = DataDirectory(config.data_dir)
    if not directory.registry.exists():
        return
    with opening.reading(directory) as registry:
        opening.check_secrets(directory, registry)
        check_history(directory.index, registry)
        with contextlib.suppress(UnavailableError):  # there is none yet
            open_current(directory.index, registry)


def _allow_open_files() -> None:
    """Take as many of the open files allowed as are of use: a shell or a service may begin low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _load(directory: DataDirectory) -> None:
    """Bring the data directory up to date, and load what all processes share."""
    with opening.writing(directory) as registry:
        check_history(directory.index, registry)
        create_first(directory.index, registry.head().epoch)
        _load_index(directory, registry)


def _load_what_is(directory: DataDirectory) -> None:
    """Load what all processes share, while another writer goes on. As ``check`` found it."""
    with opening.reading(directory) as registry:
        _load_index(directory, registry)


def _load_index(directory: DataDirectory, registry: RegistryReader) -> None:
    # the workers log what to do
    with contextlib.suppress(SnapshotRefusedError, UnavailableError):
        # reads it whole, so that the workers need not
        if open_current(directory.index, registry).has_tables:
            check_table_search()
            check_limits()


class _Supervisor:
    def __init__(
        self,
        config: Config,
        places: Places,
        lock: tuple[int, ...] = (),
        before: Handover | None = None,
        command: Sequence[str] = (),
    ) -> None:
        self._given = config
        self._config = config.model_copy(
            update={
                name: places[name].address for name in ("listen", "client_listen") if name in places
            }
        )
        self._places, self._lock, self._command = places, lock, command
        self._former = [
            (role, process)
            for role in ("housekeeping", "worker", "writer", "monitor")
            for process in (before or Handover()).forked(role)
        ]
        self._figures = figures_of(config.workers)
        self._row = self._figures.row(SUPERVISOR)
        self._stop = asyncio.Event()
        self._compact = asyncio.Event()
        self._reload = asyncio.Event()
        self._checking: Forked | None = None
        self._failure: DisruptError | None = None

    async def run(self, ready: Callable[[], None]) -> None:
        supervision.arrange()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if self._command and not os.isatty(0):  # a terminal that closes sends it, too
            loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        let_signals_in()
        children = self._children()
        # It never becomes ready, so `start_s` bounds all of its time.
        keeper = _Child(
            "housekeeping", partial(housekeeping.run, self._config), start_s=housekeeping.LONGEST_S
        )
        self._row.set(STARTED, value=time.time())
        watches = [vital(f"former {role}", _outlive(process)) for role, process in self._former]
        showing = vital("gauges", forever(partial(gauges.show_life, self._row), gauges.SHOW_S))
        try:
            await self._end_former("housekeeping")
            # The writer first: the health that workers report from their start on needs it. Where
            # there is one, workers first: it goes on until they answer.
            for role in ("worker", "writer", "monitor") if self._former else children:
                if self._stop.is_set():
                    break
                if role != "worker":
                    await self._end_former(role)
                watches += [vital(role, self._keep(child)) for child in children[role]]
                await self._unless_stopped(*(child.ready.wait() for child in children[role]))
                await self._end_former(role)
            if not self._stop.is_set():
                upkeep = housekeeping.keep_house(
                    self._config,
                    lambda: self._run_once(keeper),
                    self._compact,
                    self._stop,
                )
                watches.append(vital("upkeep", upkeep))
                everyone = [keeper, *itertools.chain.from_iterable(children.values())]
                if self._command:
                    watches.append(vital("reload", self._reload_when_told(everyone)))
                ready()
                await self._stop.wait()
        finally:
            self._stop.set()
            await self._end("checking", self._checking)
            await self._end_all([keeper])
            # workers first: they relay to the writer until their last call is answered
            for role in ("worker", "writer", "monitor"):
                await self._end_former(role)
                await self._end_all(children[role])
            await asyncio.gather(*watches)
            showing.cancel()
        if self._failure is not None:
            raise self._failure

    def _children(self) -> dict[str, list[_Child]]:
        """Return what runs at all times, by role, in the order of a first start."""
        figures = self._figures
        writer = _Child(
            "writer",
            partial(_writer.run, self._config, figures.row(WRITER)),
            partial(figures.clear_gauges, WRITER),
        )
        board = Board(self._config.workers)
        sketch_secret = secrets.token_bytes(SKETCH_SECRET_BYTES)  # one that is started anew has it
        workers = [
            _Child(
                "worker",
                partial(
                    worker.run,
                    self._config,
                    board,
                    row,
                    sketch_secret,
                    figures.row(worker_row(row)),
                ),
                partial(self._clear_worker, board, row),
            )
            for row in range(self._config.workers)
        ]
        monitors = [
            _Child(
                "monitor",
                partial(monitor.run, self._config, figures, place.socket),
                partial(figures.clear_gauges, MONITOR),
            )
            for name, place in self._places.items()
            if name == "metrics_listen"
        ]
        return {"writer": [writer], "worker": workers, "monitor": monitors}

    async def _reload_when_told(self, children: Sequence[_Child]) -> None:
        """Become the program that the command starts by now, on SIGHUP, if it could begin."""
        while not self._stop.is_set():
            await self._unless_stopped(self._reload.wait())
            self._reload.clear()
            problem = "" if self._stop.is_set() else await self._problem()
            if self._stop.is_set():
                return
            if problem:
                _log.error("reload_refused", problem=problem)
                continue
            with signals_held_back():
                await asyncio.sleep(_LOOK_S)  # those that came before are handled by then
                if self._stop.is_set():
                    return
                self._become_the_next(children)

    def _become_the_next(self, children: Sequence[_Child]) -> None:
        _log.info("reload_begins")
        sys.stdout.flush()
        running = ((child.role, child.process) for child in children)
        try:
            Handover.of(self._given, self._lock, self._places, running).execute(self._command)
        except OSError as error:
            _log.error("reload_refused", problem=str(error))

    async def _problem(self) -> str:
        """Say why the command could not begin now; empty where it could."""

        def check() -> None:
            os.dup2(1, 2)
            words = [sys.executable, *self._command, "--check"]
            os.execv(sys.executable, words)  # noqa: S606 this package

        try:
            self._checking = process = forking.fork("checking", check)
        except (OSError, MemoryError) as error:
            return str(error)
        hung = vital("watch over checking", _kill_if_hung("checking", process, _Patience(_START_S)))
        said = [line async for line in process.lines()]
        code = await process.wait()
        hung.cancel()
        return (said or [f"exit code {code}"])[-1].removeprefix("Error: ") if code else ""

    def _clear_worker(self, board: Board, row: int) -> None:
        board.clear(row)
        self._figures.clear_gauges(worker_row(row))

    async def _unless_stopped(self, *waits: Coroutine[Any, Any, Any]) -> None:
        everything = asyncio.gather(*waits)
        stop = asyncio.create_task(self._stop.wait())
        futures: list[asyncio.Future[Any]] = [everything, stop]
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)

    async def _keep(self, child: _Child) -> None:
        """Fill the role until the server stops; restart it ever more slowly while it fails."""
        backoff_s = _FIRST_BACKOFF_S
        while not self._stop.is_set():
            began_s = time.monotonic()
            code = await self._run_once(child)
            if self._stop.is_set():
                return
            if not child.ready.is_set():
                self._failure = DisruptError(
                    f"The {child.role} did not start (exit code {code}); the log says why."
                )
                self._stop.set()
                return
            if time.monotonic() - began_s > _STEADY_AFTER_S:
                backoff_s = _FIRST_BACKOFF_S
            _log.error("process_died", died=child.role, code=code, restart_in_s=backoff_s)
            self._row.add(PROCESS_ENDS, child.role)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), backoff_s)
            backoff_s = min(2 * backoff_s, _MAX_BACKOFF_S)

    async def _run_once(self, child: _Child) -> int:
        """Run a process to its end and return its exit code; kill it where it hangs."""
        try:
            process = forking.fork(child.role, lambda: _run(child.role, child.run))
        except (OSError, MemoryError) as error:  # or too many processes; it is tried again
            _log.error("fork_failed", failed=child.role, reason=str(error))
            return 1
        child.process = process
        patience = _Patience(child.start_s)
        watch = vital(f"watch over {child.role}", _kill_if_hung(child.role, process, patience))
        try:
            async for line in process.lines():
                if line in {READY, BEAT}:
                    patience.left_s = self._config.hung_after_s
                if line == READY:
                    child.ready.set()
                elif line == COMPACT:
                    self._compact.set()
            code = await process.wait()
        finally:
            watch.cancel()
        child.ended()
        return code

    async def _end_all(self, children: Iterable[_Child]) -> None:
        await asyncio.gather(*(self._end(child.role, child.process) for child in children))

    async def _end_former(self, wanted: str) -> None:
        former = (self._end(role, process) for role, process in self._former if role == wanted)
        await asyncio.gather(*former)

    async def _end(self, role: str, process: Forked | None) -> None:
        if process is None:
            return
        process.kill(signal.SIGTERM)
        until_s = time.monotonic() + self._config.drain_grace_s + _KILL_MARGIN_S
        while process.code is None:
            if time.monotonic() > until_s:
                _log.error("process_killed", role_killed=role, reason="It did not stop.")
                process.kill(signal.SIGKILL)
                until_s = math.inf
            await asyncio.sleep(_LOOK_S)


async def _outlive(process: Forked) -> None:
    async for _ in process.lines():
        pass
    await process.wait()


@dataclass(slots=True)
class _Patience:
    """Time that a process has left to print something.

    The supervisor's event loop counts it down instead of comparing clocks, so that no process seems
    to hang after all of them, or the machine, were suspended.
    """

    left_s: float

    async def run_out(self) -> None:
        """Return when no time is left."""
        while self.left_s > 0:
            await asyncio.sleep(BEAT_S)
            self.left_s -= BEAT_S


async def _kill_if_hung(role: str, process: Forked, patience: _Patience) -> None:
    await patience.run_out()
    process.kill(signal.SIGKILL)
    _log.error("process_killed", role_killed=role, reason="It gave no sign of life.")


def _run(role: str, run: _Run) -> None:
    """Run one process of the server to its end."""
    logs.configure(role)

    async def arranged() -> None:
        supervision.arrange()
        await run()

    try:
        uvloop.run(arranged())
    except DisruptError as error:
        _log.error("start_failed", reason=error.message)
        sys.exit(1)
