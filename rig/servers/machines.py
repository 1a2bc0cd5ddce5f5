"""Machines as network namespaces on a bridge, and links between them that are cut and healed.

A namespace lasts as long as the process that holds it, and links go with their namespaces: so
nothing is left, however the tests end.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Self

_made = count()
"""Networks of this process; the next process has other addresses for two of them."""

_NOWHERE = "02:00:00:00:00:01"
"""Address of no network card: what is sent there is lost without a word."""


def unusable() -> str:
    """Return why namespaces cannot be used here; empty where they can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if missing := [name for name in ("ip", "nsenter", "setpriv") if not shutil.which(name)]:
        return f"needs {', '.join(missing)}"
    done = subprocess.run(
        ["unshare", "--net", "ip", "link", "add", "br0", "type", "bridge"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"no bridges here: {done.stderr.strip()}" if done.returncode else ""


@dataclass(frozen=True, order=True)
class Machine:
    """A machine of a network. ``wrapper`` is the command under which processes run on it."""

    address: str
    name: str
    wrapper: tuple[str, ...]
    device: str = "eth0"

    def lose(self, other: Machine) -> None:
        """Lose in silence whatever is sent to another machine from now on: one way only."""
        self._neighbour("replace", other, "lladdr", _NOWHERE, "nud", "permanent")

    def reach(self, other: Machine) -> None:
        """Heal the way to another machine."""
        with suppress(subprocess.CalledProcessError):  # it was not cut
            self._neighbour("delete", other)

    def _neighbour(self, what: str, other: Machine, *words: str) -> None:
        _run(*self.wrapper, *("ip", "neighbour", what, other.address, "dev", self.device), *words)


class Network:
    """A context: a bridge with machines, which this process reaches as one more machine."""

    def __init__(self) -> None:
        self._subnet = f"10.214.{(2 * os.getpid() + next(_made)) % 256}"
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._hub = stack.enter_context(_namespace())
            self._in_hub("ip", "link", "add", "bridge", "type", "bridge")
            self._in_hub("ip", "link", "set", "bridge", "up")
            link = f"d{secrets.token_hex(4)}"
            self._connect(link, str(os.getpid()), 1)
            self.machines = [Machine(f"{self._subnet}.1", "here", (), link)]
            stack.callback(_run, "ip", "link", "delete", link)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def machine(self, name: str) -> Machine:
        """Add a machine."""
        holder = self._stack.enter_context(_namespace())
        number = 10 + len(self.machines)
        wrapper = _within(holder)
        _run(*wrapper, "ip", "link", "set", "lo", "up")
        self._connect("eth0", holder, number)
        machine = Machine(f"{self._subnet}.{number}", name, wrapper)
        self.machines.append(machine)
        return machine

    def cut(self, machine: Machine) -> None:
        """Cut every link of a machine to the others, both ways."""
        for other in self.machines:
            if other is not machine:
                machine.lose(other)
                other.lose(machine)

    def heal(self) -> None:
        """Heal every link."""
        for machine in self.machines:
            for other in self.machines:
                machine.reach(other)

    def _connect(self, device: str, namespace: str, number: int) -> None:
        """Make a network card in the namespace of a process, on the bridge."""
        peer = ("peer", "name", f"port{number}", "netns", self._hub)
        _run("ip", "link", "add", device, "netns", namespace, "type", "veth", *peer)
        self._in_hub("ip", "link", "set", f"port{number}", "master", "bridge", "up")
        wrapper = _within(namespace)
        _run(*wrapper, "ip", "address", "add", f"{self._subnet}.{number}/24", "dev", device)
        _run(*wrapper, "ip", "link", "set", device, "up")

    def _in_hub(self, *command: str) -> None:
        _run(*_within(self._hub), *command)


@contextmanager
def _namespace() -> Iterator[str]:
    """Make a network namespace; yield the id of the process that holds it."""
    holder = subprocess.Popen(
        ["unshare", "--net", "setpriv", "--pdeathsig=KILL", "sleep", "infinity"]
    )
    try:
        mine = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{holder.pid}/ns/net").readlink() == mine:
            time.sleep(0.001)
        yield str(holder.pid)
    finally:
        holder.kill()
        holder.wait()


def _within(process: str) -> tuple[str, ...]:
    return ("nsenter", f"--net=/proc/{process}/ns/net")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
