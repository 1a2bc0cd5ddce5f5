"""A decoding process, seen from the server: start, limits, messages, and death."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from enum import StrEnum

_MESSAGE_BYTES_MAX = 368 * 1024
_DEATH_S = 1.0
"""Time for a process that closed its socket to end with an exit status of its own."""

LIBRARIES = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Let glibc keep up to 128 MiB between pictures: returning it and taking fresh pages doubled the
    # time of a WebP of 1280 px, and tripled a worker's cost of receiving a picture of 3 MB.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
}
"""Variables for processes that hash pictures, one per core: one thread each."""

_INHERITED = ("LANG", "LC_", "LD_LIBRARY_PATH", "PYTHON")
"""Starts of the names of variables that a process inherits; others may hold secrets."""

_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
"""Signals that no fault of a decoder raises: an operator's, or the kernel's when memory is out."""


class Cause(StrEnum):
    """Why a process ended."""

    CRASH = "CRASH"
    CPU_TIME = "CPU_TIME"
    TIMEOUT = "TIMEOUT"
    KILLED = "KILLED"
    IDLE = "IDLE"


class ProcessDiedError(Exception):
    """The process ended, or was killed for its behaviour; ``status`` as of subprocess."""

    def __init__(self, cause: Cause, status: int) -> None:
        super().__init__(cause, status)
        self.cause = cause
        self.ended_by = signal.Signals(-status).name if status < 0 else f"exit status {status}"


class Child:
    """A process with a socket to it, and memory that both sides map. Unusable after its death."""

    def __init__(self, module: str, shared_bytes: int, memory_bytes: int) -> None:
        """Spawn it, from the main thread: it dies with the thread that started it."""
        self._over = False
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(0)
        # Room for the longest answer in one message; Linux allocates twice what it is asked for.
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MESSAGE_BYTES_MAX)
        memory = _shared_memory(shared_bytes)
        # The child inherits the mask, so that closing the terminal ends no decoder.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            self._shared = mmap.mmap(memory, shared_bytes)
            arguments = (theirs.fileno(), memory, os.getpid(), memory_bytes)
            self._process = subprocess.Popen(  # noqa: S603 this package, and numbers
                [sys.executable, "-P", "-m", module, *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=(theirs.fileno(), memory),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            theirs.close()
            os.close(memory)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status as of subprocess; None while it can be asked."""
        return self._process.poll()

    def kill(self) -> None:
        """Kill the process, and close the socket to it."""
        self._process.kill()
        self._socket.close()

    async def wait(self) -> int:
        """Return the exit status, as of subprocess."""
        try:
            return await asyncio.to_thread(self._process.wait, _DEATH_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)

    async def receive(self, timeout_s: float | None, most_bytes: int) -> bytes:
        """Return its next message, no bytes at its end. ProcessDiedError after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                loop = asyncio.get_running_loop()
                return await loop.sock_recv(self._socket, most_bytes)
        except TimeoutError:
            raise await self.died(Cause.TIMEOUT) from None
        except ConnectionResetError:  # It left a message unread; else recv returns no bytes.
            return b""

    async def died(self, cause: Cause) -> ProcessDiedError:
        """Return the error to raise for a process that is gone, or is killed for this cause."""
        self._over = True  # From here on another process may get its id.
        if cause == Cause.TIMEOUT:
            self._process.kill()
        status = await self.wait()
        self._socket.close()
        if cause == Cause.CRASH and status == -signal.SIGXCPU:
            cause = Cause.CPU_TIME
        elif cause == Cause.CRASH and -status in _FROM_OUTSIDE:
            cause = Cause.KILLED
        return ProcessDiedError(cause, status)

    def allow_cpu_time(self, allowed_s: int) -> None:
        """Limit its processor time to ``allowed_s`` beyond what it has used so far."""
        with contextlib.suppress(OSError):  # Other code notices that it is gone.
            used_s = time.clock_gettime(_cpu_clock(self.pid))
            soft_s = math.ceil(used_s) + allowed_s
            resource.prlimit(self.pid, resource.RLIMIT_CPU, (soft_s, resource.RLIM_INFINITY))


def _shared_memory(size_bytes: int) -> int:
    """Return a descriptor of anonymous memory whose size neither side can change any more.

    Were it cut, the server would be killed by SIGBUS when it writes into it.
    """
    memory = os.memfd_create("media", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, size_bytes)
    seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    return memory


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in os.environ if name.startswith(_INHERITED)}
    return inherited | LIBRARIES


def _cpu_clock(pid: int) -> int:
    """Return the clock of a process's processor time, as clock_getcpuclockid(3) makes it."""
    return ~pid << 3 | 2
