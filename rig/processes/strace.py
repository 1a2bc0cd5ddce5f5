"""Read the system calls of a command and all its processes from strace."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig.processes.running import status

_STRING_BYTES = 1 << 22
"""Longest argument in a trace; a longer one raises TraceError."""

_LINE = re.compile(r"(\d+) +(.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(.*)", re.DOTALL)
_DESCRIPTOR = re.compile(r"(-?\d+|AT_FDCWD)<((?:->|[^>])*)>")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")


class TraceError(RuntimeError):
    """The trace has a form that this module does not know, so it proves nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """One system call of one thread.

    ``began`` and ``ended`` are lines of the trace: a call that ended before another began was over
    by then, in any thread. ``ended`` is None where the thread died in it.
    """

    began: int
    ended: int | None
    thread: int
    name: str
    arguments: str
    result: int | None

    @property
    def target(self) -> str:
        """The path, or both ends of the socket, of its first argument, a descriptor."""
        descriptor = _DESCRIPTOR.match(self.arguments)
        return _plain(descriptor[2]) if descriptor else ""

    @property
    def strings(self) -> list[bytes]:
        """Its string arguments, without those of descriptors."""
        values = []
        for value, cut in _STRING.findall(_DESCRIPTOR.sub("", self.arguments)):
            if cut:
                raise TraceError(
                    f"an argument of {self.name} to {self.target} is longer than the trace shows"
                )
            values.append(_bytes(value))
        return values

    @property
    def data(self) -> bytes:
        """The bytes that it writes or sends."""
        return b"".join(self.strings)

    def number(self, at: int) -> int:
        """Return one of its last arguments, which are numbers; -1 is the last."""
        return int(self.arguments.rsplit(", ")[at])


def is_there() -> bool:
    """Tell whether this machine has strace."""
    return shutil.which("strace") is not None


def tracing(trace: Path, *calls: str) -> tuple[str, ...]:
    """Return a command to trace another one, which keeps its process id.

    io_uring, whose work strace does not see, is refused: libraries then do without it.
    """
    shown = ("-f", "-qq", "-xx", "-yy", "-s", str(_STRING_BYTES))
    what = f"trace=io_uring_setup,{','.join(calls)}"
    without = "inject=io_uring_setup:error=ENOSYS"
    return ("strace", "-D", "--seccomp-bpf", *shown, "-o", str(trace), "-e", what, "-e", without)


@contextlib.contextmanager
def written_out(process: int) -> Iterator[None]:
    """Wait, after the traced process ended in the block, until its trace is complete."""
    tracer = int(status(process).get("TracerPid", "0"))
    yield
    while tracer and status(tracer):
        time.sleep(0.02)


def read(trace: Path) -> list[Call]:
    """Return all calls of a trace, in the order in which they began."""
    calls: list[Call] = []
    pending: dict[int, tuple[int, str]] = {}
    with trace.open(encoding="ascii") as file:
        for at, line in enumerate(file):
            parts = _LINE.fullmatch(line.rstrip("\n"))
            if not parts:
                raise TraceError(f"line {at + 1} is not understood")
            thread, text = int(parts[1]), parts[2]
            if text.startswith(("+++ ", "--- ")):  # it ended, or got a signal
                continue
            began = at
            if resumed := _RESUMED.fullmatch(text):
                if thread not in pending:
                    raise TraceError(f"line {at + 1} ends what did not begin")
                began, start = pending.pop(thread)
                text = start + resumed[2]
            if text.endswith(_UNFINISHED):
                pending[thread] = (began, text.removesuffix(_UNFINISHED))
                continue
            calls.append(_call(began, at, thread, text))
    for thread, (began, text) in pending.items():
        name, _, arguments = text.partition("(")
        calls.append(Call(began, None, thread, name, arguments, None))
    return sorted(calls, key=lambda call: call.began)


def _call(began: int, ended: int, thread: int, text: str) -> Call:
    parts = _CALL.fullmatch(text)
    if not parts:
        raise TraceError(f"line {ended + 1} is not understood: {text[:80]}")
    unknown = parts[3] == "?"  # the thread died
    result = None if unknown else int(parts[3])
    return Call(began, None if unknown else ended, thread, parts[1], parts[2], result)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _plain(text: str) -> str:
    return _HEX.sub(lambda escaped: _bytes(escaped[0]).decode("utf-8", "replace"), text)
