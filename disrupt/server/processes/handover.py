"""What a supervisor leaves to the program that takes its place in the same process.

On SIGHUP the supervisor executes its command again: in the version that is installed by then, with
the settings that hold by then. Its process id stays, and its children go on. The new program learns
of them, and of what is open, from a variable of the environment.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import structlog
from pydantic import BaseModel

from disrupt.server.config import Config
from disrupt.server.processes.forking import Forked
from disrupt.server.processes.places import Place, Places

_HELD_BACK = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

FIXED = ("data_dir", "listen", "client_listen", "metrics_listen")
"""Settings that change with a restart only."""

_VARIABLE = "_DISRUPT_HANDOVER"

_log = structlog.get_logger(__name__)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Let signals wait for the new program; for this one, where there comes no other."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        yield
    finally:
        let_signals_in()


def let_signals_in() -> None:
    """Handle signals that the program before held back."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_BACK)


class Left(BaseModel):
    """A process that goes on, and the pipe from its standard output."""

    role: str
    pid: int
    pipe: int


class Kept(BaseModel):
    """A socket that is bound to an address."""

    address: str
    descriptor: int


class Handover(BaseModel):
    """What goes on while the program changes; nothing where the server has just begun."""

    lock: tuple[int, ...] = ()
    """Descriptors that hold the data directory."""
    sockets: dict[str, Kept] = {}
    """By the name of their setting."""
    processes: tuple[Left, ...] = ()
    settings: dict[str, str | None] = {}
    """Those of ``FIXED``."""

    @classmethod
    def of(
        cls,
        config: Config,
        lock: tuple[int, ...],
        places: Places,
        processes: Iterable[tuple[str, Forked | None]],
    ) -> Handover:
        """Hand over a lock, addresses, and those processes, with their roles, that run."""
        return cls(
            settings={name: _text(config, name) for name in FIXED},
            lock=lock,
            sockets={
                name: Kept(address=place.address, descriptor=place.socket.fileno())
                for name, place in places.items()
            },
            processes=tuple(
                Left(role=role, pid=process.pid, pipe=process.pipe)
                for role, process in processes
                if process is not None and process.code is None
            ),
        )

    @classmethod
    def taken(cls) -> Handover:
        """Take what the program before left, once."""
        handover = cls.model_validate_json(os.environ.pop(_VARIABLE, "{}"))
        handover.pass_on(inheritable=False)
        return handover

    def fixed(self, config: Config) -> Config:
        """Return settings with which the server can go on where it is."""
        changed: dict[str, object] = {
            name: before for name, before in self.settings.items() if _text(config, name) != before
        }
        for name in changed:
            _log.error("setting_waits", setting=name, reason="It changes with a restart only.")
        if "data_dir" in changed:
            changed["data_dir"] = Path(str(changed["data_dir"]))
        return config.model_copy(update=changed)

    def places(self) -> Places:
        """Return the addresses of the server."""
        return {
            name: Place(kept.address, socket.socket(fileno=kept.descriptor))
            for name, kept in self.sockets.items()
        }

    def forked(self, role: str) -> list[Forked]:
        """Return the processes of a role that go on."""
        return [Forked(left.pid, left.pipe) for left in self.processes if left.role == role]

    def execute(self, command: Sequence[str]) -> NoReturn:
        """Become the program of a command of this interpreter. Raises OSError."""
        self.pass_on(inheritable=True)
        variables = os.environ | {_VARIABLE: self.model_dump_json()}
        try:
            os.execve(sys.executable, [sys.executable, *command], variables)  # noqa: S606 this package
        finally:
            self.pass_on(inheritable=False)

    def pass_on(self, *, inheritable: bool) -> None:
        """Let programs that this process executes inherit what is open, or not."""
        sockets = (kept.descriptor for kept in self.sockets.values())
        for descriptor in (*self.lock, *sockets, *(left.pipe for left in self.processes)):
            os.set_inheritable(descriptor, inheritable)


def _text(config: Config, name: str) -> str | None:
    value = getattr(config, name)
    return None if value is None else str(value)
