"""The supervisor: holds the data directory, forks writer and workers, restarts and drains them."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import structlog

import disrupt
from disrupt.data_directory import DataDirectory
from disrupt.distinctiveness.limits import check_limits
from disrupt.errors import (
    ConfigurationError,
    DisruptError,
    SnapshotRefusedError,
    UnavailableError,
)
from disrupt.hashing import check_known_answers
from disrupt.index.generations import check_history, create_first, known_whole_from, open_current
from disrupt.index.known_answers import check_table_search
from disrupt.registry import opening
from disrupt.server import part_failure
from disrupt.server.config import Config
from disrupt.server.metrics import families
from disrupt.server.metrics.rows import Rows
from disrupt.server.part_failure import vital
from disrupt.server.processes import forking, maintenance, monitoring, worker
from disrupt.server.processes import writer as _writer
from disrupt.server.processes.children import Child, process_name
from disrupt.server.processes.serving import COMPACT
from disrupt.server.processes.states import answer_on, notify

LOCK_PATIENCE_S = 2.0
"""Wait for the lock: processes of a server that was killed need a moment to die."""

_FIRST_BACKOFF_S = 0.1
_MAX_BACKOFF_S = 10.0
_STEADY_AFTER_S = 30.0
"""A process that ran this long is restarted as if it had never failed."""
_OPEN_FILES = 65536
"""More than all that a process has open, a file for each connection."""

_log = structlog.get_logger(__name__)


def serve(config: Config, ready: Callable[[str], None]) -> None:
    """Run a server until SIGTERM or SIGINT; call ``ready`` with its address once all of it serves.

    Raises DataDirectoryError, ConfigurationError and whatever else keeps it from starting.
    """
    _log.info("server_starting", version=disrupt.__version__)
    directory = DataDirectory(config.data_dir)
    directory.make()
    _allow_open_files()
    # The lock is held until the last process has ended: each inherits it.
    with directory.locked(patience_s=LOCK_PATIENCE_S):
        forking.run_in_child("checking", check_known_answers)
        directory.secrets()
        checked_from = _load(directory)
        reserved, address = _reserve(config)
        with reserved:
            listening = config.model_copy(update={"listen": address})
            forking.settle()
            asyncio.run(_Supervisor(listening, checked_from).run(lambda: ready(address)))
    _log.info("server_stopped")


def _allow_open_files() -> None:
    """Take as many of the open files allowed as are of use: a shell or a service may begin low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _load(directory: DataDirectory) -> int:
    """Bring the data directory up to date, and load what all processes share.

    Reads the index whole. Returns the generation from which on the workers need not do that.
    """
    opened = None
    with opening.writing(directory) as registry:
        check_history(directory.index, registry)
        create_first(directory.index, registry.head().epoch)
        with contextlib.suppress(
            SnapshotRefusedError, UnavailableError
        ):  # the workers log what to do
            opened = open_current(directory.index, registry)
            if opened.has_tables:
                check_table_search()
                check_limits()
    return known_whole_from(directory.index, opened)


def _reserve(config: Config) -> tuple[socket.socket, str]:
    """Return a bound socket, which keeps the port for the workers, and the address to listen on."""
    host, port = config.address
    try:
        family, kind, _, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            # without SO_REUSEPORT, so that another program on this port is an error
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
        reserved = socket.socket(family, kind)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(target)
    except OSError as error:
        raise ConfigurationError(f"Cannot listen on {config.listen}: {error.strerror}.") from error
    host = f"[{host}]" if ":" in host else host
    return reserved, f"{host}:{reserved.getsockname()[1]}"


class _Supervisor:
    def __init__(self, config: Config, checked_from: int | None = None) -> None:
        self._config = config
        self._checked_from = checked_from
        self._stop = asyncio.Event()
        self._compact = asyncio.Event()
        self._failure: DisruptError | None = None
        workers = (process_name("worker", number + 1) for number in range(config.workers))
        self._rows = Rows(["supervisor", "writer", "maintenance", *workers])

    async def run(self, ready: Callable[[], None]) -> None:
        part_failure.install_handlers()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        writer = Child("writer", partial(_writer.run, self._config))
        workers = [
            Child("worker", partial(worker.run, self._config, self._checked_from), number=number)
            for number in range(1, self._config.workers + 1)
        ]
        # It never becomes ready, so `start_s` bounds all of its time.
        maintainer = Child(
            "maintenance", partial(maintenance.run, self._config), start_s=maintenance.LONGEST_S
        )
        tasks: list[asyncio.Task[None]] = []
        serving = [writer, *workers]
        self._count_from_0(serving)
        metrics_server, metrics_address = await self._serve_metrics(serving)
        states_server = await self._serve_states(serving, metrics_address)
        try:
            # the writer first: the health that workers report from their start on needs it
            for children in ([writer], workers):
                tasks += [vital(child.role, self._keep_running(child)) for child in children]
                await self._unless_stopped(*(child.ready.wait() for child in children))
            if not self._stop.is_set():
                maintaining = maintenance.run_when_due(
                    self._config,
                    lambda: self._run_once(maintainer),
                    self._compact,
                    self._stop,
                )
                tasks.append(vital("maintenance", maintaining))
                notify("READY=1")
                _log.info("server_ready", version=disrupt.__version__, workers=len(workers))
                ready()
                await self._stop.wait()
        finally:
            self._stop.set()
            _log.info("server_stopping")
            notify("STOPPING=1")
            await self._stop_child(maintainer)
            # workers first: they relay to the writer until their last call is answered
            await asyncio.gather(*(self._stop_child(child) for child in workers))
            await self._stop_child(writer)
            await asyncio.gather(*tasks)
            if metrics_server:
                metrics_server.close()
            if states_server:
                states_server.close()
                DataDirectory(self._config.data_dir).health_socket.unlink(missing_ok=True)
        if self._failure is not None:
            raise self._failure

    def _count_from_0(self, children: list[Child]) -> None:
        """Count in this process's row; show from the start what seldom happens."""
        families.Family.use(self._rows.of("supervisor"))
        families.INFO.set(disrupt.__version__, value=1)
        families.STARTED.set(value=time.time())
        families.FAULTS.add(amount=0)
        for role in {child.role for child in children} | {"maintenance"}:
            for cause in ("died", "hung"):
                families.PROCESS_ENDS.add(role, cause, amount=0)

    async def _serve_metrics(self, children: list[Child]) -> tuple[asyncio.Server | None, str]:
        """Serve metrics; return the address. None where that fails: serving is worth more."""
        listen = self._config.metrics_listen
        try:
            if listen:
                return await monitoring.serve(
                    listen, self._rows, lambda: [child.state() for child in children]
                )
        except OSError as error:
            _log.error("metrics_not_served", address=listen, reason=error.strerror)
        return None, ""

    async def _serve_states(
        self, children: list[Child], metrics_address: str
    ) -> asyncio.Server | None:
        """Answer ``disrupt health``; None where that fails, since serving is worth more."""
        certificate = self._config.tls_cert

        def states() -> dict[str, object]:
            return {
                "version": disrupt.__version__,
                "address": self._config.listen,
                "metrics": metrics_address,
                "tls_cert": certificate and str(certificate.absolute()),
                "processes": [child.state() for child in children],
            }

        try:
            path = DataDirectory(self._config.data_dir).health_socket
            return await answer_on(path.absolute(), states)
        except OSError as error:
            _log.error("health_socket_failed", reason=str(error))
            return None

    async def _unless_stopped(self, *waits: Coroutine[Any, Any, Any]) -> None:
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
                self._failure = DisruptError(
                    f"The {child.role} did not start (exit code {code}); the log says why."
                )
                self._stop.set()
                return
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
        families.clear_gauges(self._rows, child.name)
        if not self._stop.is_set() and (code or child.role != "maintenance"):
            families.PROCESS_ENDS.add(child.role, "hung" if child.killed else "died")
        return code

    def _hear(self, word: str) -> None:
        if word == COMPACT:
            self._compact.set()

    async def _stop_child(self, child: Child) -> None:
        await child.stop(self._config.drain_grace_s)
