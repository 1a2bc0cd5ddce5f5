"""Run a command at a terminal, as a person does: read its output, and type input."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.callers.said import said
from rig.processes.running import status
from rig.servers.deployment import BIN

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass
class Terminal:
    """A running command; ``shown`` is all its output so far, without control sequences."""

    process: subprocess.Popen[bytes]
    descriptor: int
    raw: bytes = b""

    @property
    def shown(self) -> str:
        """All its output so far, as a person sees it."""
        text = self.raw.decode("utf-8", "replace").replace("\r\n", "\n")
        return _CONTROL.sub("", text)

    @property
    def flat(self) -> str:
        """The text shown, as if no line were broken."""
        return " ".join(self.shown.replace("\N{NO-BREAK SPACE}", " ").split())

    @property
    def said(self) -> set[str]:
        """The keys of the texts shown."""
        return said(self.shown)

    def until(self, text: str) -> None:
        """Wait until it has shown a text."""
        while text not in self.flat:
            assert self._read(), f"it ended without {text!r}:\n{self.shown}"

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self.descriptor, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Send Ctrl-C once the command waits.

        Python would not see it between its prompt and its read; no person is as quick.
        """
        while not status(self.process.pid)["State"].startswith("S"):
            time.sleep(0.01)
        os.write(self.descriptor, b"\x03")

    def end(self) -> int:
        """Read what is left of the output and return the exit code."""
        while self._read():
            pass
        return self.process.wait()

    def _read(self) -> bool:
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # the other side is closed
            return False
        self.raw += data
        return bool(data)


@contextmanager
def at_terminal(
    *arguments: str | Path, columns: int = 80, env: Mapping[str, str]
) -> Iterator[Terminal]:
    """Run ``disrupt`` at a terminal of ``columns``, with these variables beside the usual ones."""
    descriptor, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    usual = {name: value for name, value in os.environ.items() if "DISRUPT" not in name}
    usual |= {"TERM": "xterm", "COLUMNS": str(columns), "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(
        ["setsid", "--ctty", BIN / "disrupt", *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=usual | dict(env),
    )
    os.close(terminal)
    try:
        yield Terminal(process, descriptor)
    finally:
        process.kill()
        process.wait()
        os.close(descriptor)
