"""Fork the server's processes from the supervisor, so that all share what it has loaded.

For that, the supervisor never has a second thread and never uses gRPC: it only imports what the
others need. Libraries, and compiled search, are then in memory once for all of them. Each process
adds a fifth of what it would take alone, and starts in some milliseconds.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import NoReturn

from disrupt.errors import DisruptError
from disrupt.server.edge.memory import trim

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PIPE_BYTES = 4096
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

_libc = ctypes.CDLL(None, use_errno=True)


class Forked:
    """A process that was forked, as seen by the event loop of its parent."""

    def __init__(self, pid: int, pipe: int) -> None:
        """Take the process and the ``pipe`` from its standard output."""
        self.pid = pid
        self.code: int | None = None
        """Exit code, as in subprocess; None while it runs."""
        self.pipe = pipe
        self._ended = os.pidfd_open(pid)

    async def lines(self) -> AsyncIterator[str]:
        """Yield the lines that it writes to standard output, until it ends."""
        rest = b""
        while await _readable(self.pipe) and (read := os.read(self.pipe, _PIPE_BYTES)):
            *whole, rest = (rest + read).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")

    async def wait(self) -> int:
        """Wait for its end and return its exit code. Await this once."""
        await _readable(self._ended)
        _, status = os.waitpid(self.pid, 0)  # noqa: ASYNC222  (it has ended)
        self.code = os.waitstatus_to_exitcode(status)
        os.close(self._ended)
        os.close(self.pipe)
        return self.code

    def kill(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.code is None:
            signal.pidfd_send_signal(self._ended, number)


def settle() -> None:
    """Leave few pages for processes to copy. Call this before the first fork."""
    gc.collect()
    gc.freeze()
    gc.enable()
    trim()


def fork(role: str, run: Callable[[], None]) -> Forked:
    """Fork a process that calls ``run`` and ends; it dies with this one. Raises OSError."""
    pipe, pid = _forked(role, run)
    try:
        return Forked(pid, pipe)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pipe)
        raise


def run_in_child(role: str, run: Callable[[], None]) -> None:
    """Call ``run`` in a child process, wait for its end, and raise its DisruptError here."""

    def reporting() -> None:
        try:
            run()
        except DisruptError as error:
            sys.stdout.write(error.message)
            raise SystemExit(1) from error

    pipe, pid = _forked(role, reporting)
    with os.fdopen(pipe) as reader:
        message = reader.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise DisruptError(message or f"The process for {role} ended with exit code {code}.")


def _forked(role: str, run: Callable[[], None]) -> tuple[int, int]:
    """Fork; return the pipe from the process's standard output, and its id."""
    pipe, theirs = os.pipe()
    try:
        pid = _fork(role, run, theirs)
    except OSError:
        os.close(pipe)
        raise
    finally:
        os.close(theirs)
    return pipe, pid


def _fork(role: str, run: Callable[[], None], output: int) -> int:
    parent = os.getpid()
    sys.stdout.flush()
    # Until the child has handlers of its own: this process's would report the signals here.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        pid = os.fork()
        if not pid:
            _run_child(role, run, output, parent)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return pid


def _run_child(role: str, run: Callable[[], None], output: int, parent: int) -> NoReturn:
    """Run a forked process to its end. It never returns into its parent's code.

    Files that the parent had open stay open here: closing its objects would close descriptors that
    belong to others by then.
    """
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides when to stop
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it has a loop, which logs it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        _libc.prctl(_PR_SET_NAME, f"disrupt:{role}".encode(), 0, 0, 0)
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == parent:  # else the parent died before
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            if output != 1:
                os.close(output)
            os.set_blocking(1, False)  # a parent that does not read holds nobody up
            run()
            code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 as an interpreter that ends would
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


async def _readable(descriptor: int) -> bool:
    """Wait until a descriptor is readable, as it also is at its end; return True."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        return await ready.wait()
    finally:
        loop.remove_reader(descriptor)
