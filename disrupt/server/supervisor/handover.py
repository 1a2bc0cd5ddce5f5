"""Execute the installed program in the supervisor's place, while the server's processes go on.

The process id stays, and with it the children, the lock on the data directory and whatever else is
open. The program that begins learns of them from its second argument, a ``Handover`` in JSON. A
broken one would take all processes with it, so it is tried in a child first: ``problem_of_next``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, ValidationError

from disrupt.errors import ConfigurationError
from disrupt.server.metrics import families
from disrupt.server.metrics.rows import Rows
from disrupt.server.supervisor import forking

_HELD_BACK = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_TRIAL_S = 600.0
"""Time for a trial, which maps the index, and reads what was written to it since."""
TRIAL = "--trial"


class _Model(BaseModel):
    # what another version passes on in addition could matter: then only a restart will do
    model_config = ConfigDict(frozen=True, extra="forbid")


class Left(_Model):
    """A process that goes on, and the pipe from its standard output."""

    role: str
    number: int
    pid: int
    pipe: int
    serves: bool
    """False while it starts."""


class Listener(_Model):
    """A socket that is bound; ``wanted`` is the setting for which it was made."""

    wanted: str
    descriptor: int

    def socket(self) -> socket.socket:
        """Return the socket."""
        return socket.socket(fileno=self.descriptor)


class LeftRows(_Model):
    """Memory of metrics, the names of its rows, and what the numbers in them mean."""

    descriptor: int
    names: tuple[str, ...]
    layout: dict[str, list[Any]]

    def taken(self, processes: Sequence[str]) -> Rows | None:
        """Return rows for processes in this memory; None if its numbers mean something else.

        Counters go on, gauges are hidden.
        """
        known = families.layout()
        if any(known.get(name, shape) != shape for name, shape in self.layout.items()):
            return None
        rows = Rows(processes, self.descriptor, self.names)
        for process in processes:
            families.clear_gauges(rows, process)
        return rows


class Handover(_Model):
    """All that a supervisor passes on."""

    turn: int
    """Number of handovers since the start, with this one."""
    lock: tuple[int, ...]
    """Descriptors that hold the data directory."""
    checked_from: int
    """As of generations.known_whole_from."""
    role: str
    port: Listener
    """Keeps the port."""
    health: Listener | None
    metrics: Listener | None
    rows: LeftRows
    processes: tuple[Left, ...]
    caller: int
    """Connection to whoever asked for it, and waits for the outcome."""

    def execute(self) -> NoReturn:
        """Become the program that is installed now. Raises OSError where that fails."""
        self._let_inherit(inheritable=True)
        try:
            os.execv(sys.executable, [*program(sys.argv[1]), self.model_dump_json()])  # noqa: S606 this package
        finally:
            self._let_inherit(inheritable=False)

    def take(self) -> None:
        """Keep what was passed on from programs that this one executes."""
        self._let_inherit(inheritable=False)

    def _let_inherit(self, *, inheritable: bool) -> None:
        sockets = (self.port, self.health, self.metrics)
        for descriptor in (
            *self.lock,
            *(listener.descriptor for listener in sockets if listener),
            *(left.pipe for left in self.processes),
            self.rows.descriptor,
            self.caller,
        ):
            os.set_inheritable(descriptor, inheritable)


def consequence(role: str) -> str:
    """Say what goes on after the first process of a role did not start in a reload."""
    if role == "writer":
        return (
            "Lookups are answered by the new version; registrations and withdrawals are not, until"
            " a writer starts. The start is repeated."
        )
    if role == "mirror":
        return (
            "Lookups are answered by the new version, as of now, until they are too old; outcomes"
            " are refused. The start is repeated."
        )
    if role == "node":
        return (
            "Lookups are answered by the new version; what is withdrawn is not listed on this"
            " machine until a node starts. The start is repeated."
        )
    return (
        "The former workers and their writer answer on, but none of them is replaced where it ends."
        " The start is repeated."
    )


def taken(text: str) -> Handover:
    """Return a handover that was given in JSON. Raises ConfigurationError."""
    try:
        return Handover.model_validate_json(text)
    except ValidationError as error:
        raise ConfigurationError(
            "This version does not know what the version that runs would pass on: restart the"
            " server."
        ) from error


def program(options: str) -> list[str]:
    """Return the command of a server with options in JSON, as ``disrupt serve`` executes it."""
    return [sys.executable, "-P", "-m", "disrupt.server", options]


async def problem_of_next(handover: Handover) -> str:
    """Try in a child whether the installed program could take over; return why not, or nothing."""
    words = [*program(sys.argv[1]), handover.model_dump_json(), TRIAL]

    def execute() -> None:
        os.dup2(1, 2)  # what it prints, or Python does of it, ends with the reason
        os.execv(sys.executable, words)  # noqa: S606 this package

    try:
        trial = forking.fork("trial", execute)
    except (OSError, MemoryError) as error:
        return f"it could not be tried: {error}"
    said = ["it printed no reason"]
    try:
        async with asyncio.timeout(_TRIAL_S):
            said += [line async for line in trial.lines() if line.strip()]
    except TimeoutError:
        trial.kill(signal.SIGKILL)
        said.append(f"it took longer than {_TRIAL_S:g} s")
    return said[-1].removeprefix("Error: ") if await trial.wait() else ""


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Let signals wait for the program that is executed; for this one, where none is."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield
    finally:
        let_signals_in()


def let_signals_in() -> None:
    """Handle the signals that the program before held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)


def tell(connection: socket.socket | None, answer: bytes) -> None:
    """Send whoever waits an answer, who may be gone, and close the connection."""
    if connection is not None:
        with connection, suppress(OSError):
            connection.sendall(answer)
