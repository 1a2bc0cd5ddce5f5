"""The supervisor: holds the data directory, and forks, restarts and drains the processes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

import disrupt
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.hashing import check_known_answers
from disrupt.server.config import Config
from disrupt.server.edge import part_failure
from disrupt.server.edge.part_failure import vital
from disrupt.server.edge.serving import COMPACT, DRAIN
from disrupt.server.edge.states import encoded, notify
from disrupt.server.edge.writer_pause import LONGEST_S, WriterPause
from disrupt.server.metrics import families
from disrupt.server.metrics.rows import OTHER_ROW, Rows
from disrupt.server.supervisor import forking, monitoring, roles
from disrupt.server.supervisor.children import LOOK_S, Child
from disrupt.server.supervisor.endpoints import Endpoints
from disrupt.server.supervisor.handover import (
    Handover,
    Left,
    LeftRows,
    Listener,
    consequence,
    let_signals_in,
    problem_of_next,
    signals_held_back,
    tell,
)
from disrupt.server.supervisor.preparation import (
    address_of,
    allow_open_files,
    choose_registry,
    load,
    load_beside_writer,
    reserve,
)
from disrupt.server.upkeep import maintenance
from disrupt.server.worker import draining

LOCK_PATIENCE_S = 2.0
"""Wait for the lock: processes of a server that was killed need a moment to die."""

_FIRST_BACKOFF_S = 0.1
_MAX_BACKOFF_S = 10.0
_STEADY_AFTER_S = 30.0
"""A process that ran this long is restarted as if it had never failed."""

_PAUSE_S = 0.2
"""Time for calls on their way to the writer to reach it before it is told to stop."""

_log = structlog.get_logger(__name__)


def serve(config: Config, ready: Callable[[str], None], handover: Handover | None = None) -> None:
    """Run a server until SIGTERM or SIGINT; call ``ready`` with its address once all of it serves.

    With a ``handover``, take over from the program that ran in this process before. Raises
    DataDirectoryError, ConfigurationError and whatever else keeps it from starting.
    """
    if handover:
        handover.take()
    _log.info("server_starting", version=disrupt.__version__, server_role=config.role)
    directory = DataDirectory(config.data_dir)
    directory.make()
    allow_open_files()
    held = handover.lock if handover else ()
    # The lock is held until the last process has ended: each inherits it.
    with directory.locked(patience_s=LOCK_PATIENCE_S, held=held) as lock:
        if handover:  # checked in its trial
            load_beside_writer(config, handover.checked_from)
            standing = Standing(lock, handover.checked_from, handover.port.socket())
        else:
            choose_registry(config)
            forking.run_in_child("checking", check_known_answers)
            standing = Standing(lock, load(config), reserve(config))
        with standing.port:
            address = address_of(config, standing.port)
            forking.settle()
            supervisor = _Supervisor(config, address, standing, handover)
            asyncio.run(supervisor.run(lambda: ready(address)))
    _log.info("server_stopped")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a server has once, whichever program runs it."""

    lock: tuple[int, ...]
    """Descriptors that hold the data directory."""
    checked_from: int
    """Generation from which on workers need not read the index whole."""
    port: socket.socket
    """Bound to the address of the server, to keep it for the workers."""


class _Supervisor:
    def __init__(
        self,
        config: Config,
        address: str = "",
        standing: Standing | None = None,
        handover: Handover | None = None,
    ) -> None:
        """Serve on ``address``, that of ``config.serves_at`` with its port."""
        self._wanted = config
        self._config = config.at(address or config.serves_at)
        self._standing = standing
        self._handover = handover
        self._stop = asyncio.Event()
        self._compact = asyncio.Event()
        self._pause = WriterPause()
        self._failure: DisruptError | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = handover.turn if handover else 0
        row_end = OTHER_ROW if self._turn % 2 else ""
        checked_from = standing.checked_from if standing else None
        self._parts = roles.parts(self._config, checked_from, self._pause, row_end)
        self._former = [
            Child.left(left, OTHER_ROW if not row_end else "")
            for left in (handover.processes if handover else ())
        ]
        rows = ["supervisor", *(child.row for child in self._parts.everything)]
        self._rows = (handover and handover.rows.taken(rows)) or Rows(rows)
        self._caller = socket.socket(fileno=handover.caller) if handover else None
        self._endpoints = Endpoints(
            self._config,
            handover.metrics if handover else None,
            handover.health if handover else None,
        )
        self._serving = False
        self._reloading = False

    async def run(self, ready: Callable[[], None]) -> None:
        part_failure.install_handlers()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        let_signals_in()
        self._count_from_0()
        watching = vital("time", monitoring.watch_time())
        await self._endpoints.open(self._rows, self._states, self._reload)
        keeper, workers, maintainer = (
            self._parts.keeper,
            self._parts.workers,
            self._parts.maintainer,
        )
        try:
            self._tasks += [vital("former process", self._see_out(child)) for child in self._former]
            await self._stop_all([], "maintenance")
            if maintainer:
                # withdrawn items have to be erased, also while a reload remains half done
                maintaining = maintenance.run_when_due(
                    self._config, partial(self._run_once, maintainer), self._compact, self._stop
                )
                self._tasks.append(vital("maintenance", maintaining))
            if self._former:
                await self._take_over()
            else:
                # the writer first: the health that workers report from their start on needs it
                await self._start([keeper])
                await self._start(workers)
            if not self._stop.is_set():
                self._serving = True
                notify("READY=1")
                _log.info("server_ready", version=disrupt.__version__, workers=len(workers))
                self._tell({"version": disrupt.__version__})
                if not self._handover:
                    ready()
                await self._stop.wait()
        finally:
            self._stop.set()
            _log.info("server_stopping")
            notify("STOPPING=1")
            await self._stop_all([maintainer] if maintainer else [], "maintenance")
            # workers first: they relay to the writer until their last call is answered
            await self._stop_all(workers, "worker")
            await self._stop_all([keeper], keeper.role)
            await asyncio.gather(*self._tasks)
            watching.cancel()
            self._endpoints.close()
        if self._failure is not None:
            raise self._failure

    async def _start(self, children: Sequence[Child]) -> None:
        """Start processes and wait until they are ready, or the server stops."""
        self._tasks += [vital(child.role, self._keep_running(child)) for child in children]
        await self._unless_stopped(*(child.ready.wait() for child in children))

    async def _stop_all(self, children: Sequence[Child], role: str) -> None:
        """Stop processes, and those of the program before that have their role."""
        former = [child for child in self._former if child.role == role]
        grace_s = self._config.drain_grace_s
        await asyncio.gather(*(child.stop(grace_s) for child in (*children, *former)))

    async def _take_over(self) -> None:
        """Put processes of this program in place of those of the program before.

        New workers serve before the former ones leave, so that no connection is refused; the former
        writer ends before there is a new one, since there must not be two.
        """
        keeper = self._parts.keeper
        await self._start(self._parts.workers)
        if self._stop.is_set():
            return
        within_s = draining.longest_s(self._config.connection_max_age_s) + max(
            self._config.max_call_s, self._config.max_video_call_s
        )
        former = [child for child in self._former if child.role == "worker"]
        leaving = [asyncio.create_task(child.stop(within_s, by=DRAIN)) for child in former]
        # one that died is not waited for
        while any(child.running for child in former) and self._former_runs(keeper.role):
            await self._unless_stopped(asyncio.sleep(LOOK_S))
            if self._stop.is_set():
                break
        if not self._stop.is_set():
            if keeper.role in {"writer", "mirror"}:
                self._pause.begin()
            # where no writer begins, calls and health should say so
            ending = asyncio.get_running_loop().call_later(LONGEST_S, self._pause.end)
            await asyncio.sleep(_PAUSE_S)
            await self._stop_all([], keeper.role)
            await self._start([keeper])
            ending.cancel()
            self._pause.end()
            await self._unless_stopped(*leaving)
        for task in leaving:
            task.cancel()
        if not self._stop.is_set():
            self._former.clear()
            families.RELOADS.add("done")

    def _former_runs(self, role: str) -> bool:
        """Tell whether a process of the program before runs that has the role."""
        return any(child.running for child in self._former if child.role == role)

    async def _see_out(self, child: Child) -> None:
        """Follow a process of the program before to its end."""
        code = await child.watch(self._config.hung_after_s, self._hear)
        if child.row in self._rows.names:  # not where metrics mean something else since
            families.clear_gauges(self._rows, child.row)
        if not (child.leaving or self._stop.is_set()):
            _log.error("process_died", died=child.role, code=code)
            families.PROCESS_ENDS.add(child.role, "hung" if child.killed else "died")

    async def _reload(self, caller: int) -> dict[str, object]:
        """Become the program that is installed by now, or return why not."""
        if self._reloading or not self._serving:
            early = "The server is starting, or a reload is under way: try again once it is over."
            return {"error": early}
        self._reloading = True
        try:
            problem = await self._problem_of_reload(caller)
        finally:
            self._reloading = False
        _log.error("reload_refused", reason=problem)
        families.RELOADS.add("refused")
        return {"error": problem}

    async def _problem_of_reload(self, caller: int) -> str:
        """Execute the installed program in this process; return why that was not done."""
        problem = await problem_of_next(self._handing_over(caller))
        if problem:
            return (
                "Nothing has changed. The installed program would not start: do not restart the"
                f" server before that is mended, unless this asks for it: {problem}"
            )
        with signals_held_back():
            await asyncio.sleep(LOOK_S)  # those that came before are handled by then
            if self._stop.is_set():
                return "The server is being stopped."
            _log.info("reload_begins")
            try:
                self._handing_over(caller).execute()
            except OSError as error:
                return f"Nothing has changed. The installed program cannot be executed: {error}"

    def _handing_over(self, caller: int) -> Handover:
        if self._standing is None:
            raise RuntimeError("there is nothing to hand over")
        return Handover(
            turn=self._turn + 1,
            lock=self._standing.lock,
            checked_from=self._standing.checked_from,
            role=self._wanted.role,
            port=Listener(wanted=self._wanted.serves_at, descriptor=self._standing.port.fileno()),
            health=self._endpoints.health,
            metrics=self._endpoints.metrics,
            rows=LeftRows(
                descriptor=self._rows.descriptor, names=self._rows.names, layout=families.layout()
            ),
            processes=tuple(
                Left(
                    role=child.role,
                    number=child.number,
                    pid=child.process.pid,
                    pipe=child.process.pipe,
                    serves=child.beat_s is not None,
                )
                for child in self._parts.everything
                if child.process and child.running
            ),
            caller=caller,
        )

    def _tell(self, answer: dict[str, object]) -> None:
        """Answer whoever asked for the reload by which this program began."""
        tell(self._caller, encoded(answer))
        self._caller = None

    def _count_from_0(self) -> None:
        """Count in this process's row; show from the start what seldom happens."""
        families.Family.use(self._rows.of("supervisor"))
        monitoring.count_from_0({child.role for child in self._parts.everything})

    def _states(self) -> list[dict[str, Any]]:
        """Return the state of each process; of a new one that starts, unless a former one runs."""
        former = [child for child in self._former if child.running and child.role != "maintenance"]
        names = {child.name for child in former}
        now = [
            child
            for child in self._parts.serving
            if child.ready.is_set() or child.name not in names
        ]
        return [child.state() for child in (*former, *now)]

    async def _unless_stopped(self, *waits: Awaitable[Any]) -> None:
        everything = asyncio.gather(*waits)
        stop = asyncio.create_task(self._stop.wait())
        futures: list[asyncio.Future[Any]] = [everything, stop]
        await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        for future in futures:
            future.cancel()
        await asyncio.gather(*futures, return_exceptions=True)

    async def _keep_running(self, child: Child) -> None:
        """Fill the role until the server stops; restart it ever more slowly while it fails."""
        backoff_s = _FIRST_BACKOFF_S
        while not self._stop.is_set():
            began_s = time.monotonic()
            code = await self._run_once(child)
            if self._stop.is_set():
                return
            if not child.ready.is_set():
                failure = f"The {child.role} did not start (exit code {code}); the log says why."
                if not self._former:
                    self._failure = DisruptError(failure)
                    self._stop.set()
                    return
                if self._caller is not None:
                    families.RELOADS.add("failed")
                self._tell({"error": f"{failure} {consequence(child.role)}"})
            if time.monotonic() - began_s > _STEADY_AFTER_S:
                backoff_s = _FIRST_BACKOFF_S
            child.restarts += 1
            pid = child.process and child.process.pid
            _log.error(
                "process_died", died=child.role, died_pid=pid, code=code, restart_in_s=backoff_s
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), backoff_s)
            backoff_s = min(2 * backoff_s, _MAX_BACKOFF_S)

    async def _run_once(self, child: Child) -> int:
        """Run a process to its end and return its exit code."""
        try:
            child.fork(self._rows)
        except (OSError, MemoryError) as error:  # or too many processes; it is tried again
            _log.error("fork_failed", failed=child.role, reason=str(error))
            return 1
        code = await child.watch(self._config.hung_after_s, self._hear)
        families.clear_gauges(self._rows, child.row)
        if not self._stop.is_set() and (code or child.role != "maintenance"):
            families.PROCESS_ENDS.add(child.role, "hung" if child.killed else "died")
        return code

    def _hear(self, word: str) -> None:
        if word == COMPACT:
            self._compact.set()
