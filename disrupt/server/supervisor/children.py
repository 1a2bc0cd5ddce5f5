"""The processes of a server as its supervisor sees them: start, signs of life, state, and end."""

from __future__ import annotations

import asyncio
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self, TypeAlias

import structlog
import uvloop

from disrupt import logs
from disrupt.errors import DisruptError
from disrupt.server.edge import part_failure
from disrupt.server.edge.health import FEED
from disrupt.server.edge.part_failure import vital
from disrupt.server.edge.serving import BEAT, BEAT_S, READY
from disrupt.server.edge.states import DRAINING, STALE, WAITING, notify
from disrupt.server.metrics import families
from disrupt.server.metrics.rows import Rows
from disrupt.server.supervisor import forking
from disrupt.server.supervisor.forking import Forked
from disrupt.server.supervisor.handover import Left

_Run: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

_START_S = 600.0
"""Time for a process to become ready: for a worker that reads a large index from a slow disk, 60 GB
at 100 MB/s."""
_SILENT_S = 3 * BEAT_S
"""A process that prints nothing for so long is reported; see ``hung_after_s`` for its end."""
KILL_MARGIN_S = 5.0
"""Time beyond ``drain_grace_s`` after which a process that does not stop is killed."""
LOOK_S = 0.02
"""Pause between two looks at whether a process has ended."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Child:
    """A role that one process fills at all times.

    A process that has neither ended nor become ready within ``start_s`` is killed.
    """

    role: str
    run: _Run
    start_s: float = _START_S
    number: int = 1
    watched: bool = False
    """Whether its signs of life feed systemd's watchdog."""
    row_end: str = ""
    """End of the name of its row of metrics: OTHER_ROW in every other program."""
    process: Forked | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: int = 0
    leaving: bool = False
    """True once it was told to end."""
    killed: bool = False
    """True once the supervisor killed the process because it hung."""
    beat_s: float | None = None
    """When the running process printed something last, of time.monotonic; None while it starts."""
    report: dict[str, Any] = field(default_factory=dict)
    """The last state that the process reported."""

    @classmethod
    def left(cls, left: Left, row_end: str) -> Self:
        """Return the child that a process of the program before is, which is not started anew."""
        return cls(
            left.role,
            _no_successor,
            number=left.number,
            watched=left.role == "worker",
            row_end=row_end,
            process=Forked(left.pid, left.pipe),
            beat_s=time.monotonic() if left.serves else None,
        )

    @property
    def row(self) -> str:
        """Name of its row of metrics."""
        return self.name + self.row_end

    @property
    def running(self) -> bool:
        """Tell whether there is a process."""
        return self.process is not None and self.process.code is None

    @property
    def name(self) -> str:
        """Name of the process in metrics."""
        return f"{self.role} {self.number}" if self.role == "worker" else self.role

    def state(self) -> dict[str, Any]:
        """Describe the process, for operators."""
        silent_s = 0.0 if self.beat_s is None else time.monotonic() - self.beat_s
        if not self.running:
            state = "down"
        elif self.leaving:
            state = DRAINING
        elif self.beat_s is None:
            state = "starting"
        elif silent_s > _SILENT_S:
            state = "silent"
        elif self.report.get(WAITING):
            state = WAITING
        elif FEED in self.report.get("not_serving", ()):
            state = STALE
        else:
            state = "serving"
        return {
            "name": self.name,
            "role": self.role,
            "number": self.number,
            "silent_s": silent_s,
            "pid": self.process.pid if self.process and self.running else None,
            "state": state,
            "restarts": self.restarts,
            **self.report,
        }

    def fork(self, rows: Rows) -> None:
        """Start a process in the role. Raises OSError and MemoryError, also of too many."""
        self.process = forking.fork(self.role, partial(_run, self, rows))
        self.beat_s, self.report, self.killed, self.leaving = None, {}, False, False

    async def watch(self, hung_after_s: float, heard: Callable[[str], None]) -> int:
        """Follow the process to its end, and return its exit code; kill it where it hangs.

        Calls ``heard`` with each word of it that is no sign of life.
        """
        if self.process is None:
            raise RuntimeError("there is no process")
        countdown = _Countdown(self.start_s if self.beat_s is None else hung_after_s)
        killing = vital(f"watch over {self.role}", self._kill_if_hung(self.process, countdown))
        try:
            async for line in self.process.lines():
                word, _, report = line.partition(" ")
                if word in {READY, BEAT}:
                    countdown.left_s = hung_after_s
                    self.beat_s = time.monotonic()
                if word == READY:
                    self.ready.set()
                elif word == BEAT:
                    self.report = json.loads(report or "{}")
                    if self.report.get(WAITING):
                        self.ready.set()
                    if self.watched:
                        notify("WATCHDOG=1")
                else:
                    heard(word)
            return await self.process.wait()
        finally:
            killing.cancel()

    async def _kill_if_hung(self, process: Forked, countdown: _Countdown) -> None:
        await countdown.expired()
        self.killed = True
        process.kill(signal.SIGKILL)
        self._log_killed(process, "It gave no sign of life.")

    async def stop(self, grace_s: float, by: int = signal.SIGTERM) -> None:
        """Stop the process; kill it if it goes on for KILL_MARGIN_S beyond ``grace_s``."""
        process = self.process
        if process is None:
            return
        self.leaving = True
        process.kill(by)
        until_s = time.monotonic() + grace_s + KILL_MARGIN_S
        while process.code is None:
            if time.monotonic() > until_s:
                self._log_killed(process, "It did not stop.")
                process.kill(signal.SIGKILL)
                until_s = math.inf
            await asyncio.sleep(LOOK_S)

    def _log_killed(self, process: Forked, reason: str) -> None:
        _log.error("process_killed", role_killed=self.role, pid_killed=process.pid, reason=reason)


async def _no_successor() -> None:
    raise RuntimeError("a process of the program before is not started anew")


@dataclass(slots=True)
class _Countdown:
    """Time that a process has left to print something.

    The supervisor's event loop counts it down instead of comparing clocks, so that no process seems
    to hang after all of them, or the machine, were suspended.
    """

    left_s: float

    async def expired(self) -> None:
        """Return when no time is left."""
        while self.left_s > 0:
            await asyncio.sleep(BEAT_S)
            self.left_s -= BEAT_S


def _run(child: Child, rows: Rows) -> None:
    """Run one process of the server to its end."""
    logs.configure(child.role)
    families.Family.use(rows.of(child.row), rows)

    async def run_with_handlers() -> None:
        part_failure.install_handlers()
        await child.run()

    try:
        uvloop.run(run_with_handlers())
    except DisruptError as error:
        _log.error("start_failed", reason=error.message)
        sys.exit(1)
