"""One decoding process, seen from the server: started, asked, killed."""

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
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, cast

from disrupt.hashing.decode import ImageLimits
from disrupt.hashing.isolation_messages import (
    ANSWER_BYTES_MAX,
    Answer,
    Ready,
    Request,
    Task,
    pack_request,
    unpack_answer,
)

_START_TIMEOUT_S = 60.0
_DEATH_S = 1.0
"""A process that closed its socket is given this long to end with an exit status of its own."""

_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # glibc keeps up to 128 MiB between pictures: giving it back and taking fresh pages doubled the
    # time of a WebP of 1280 px
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
}
_INHERITED = ("LANG", "LC_", "LD_LIBRARY_PATH", "PYTHON")
"""Other variables may hold secrets, and are not given to a process that may be taken over."""

_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
"""Signals that no fault of a decoder raises: an operator's, or the kernel's when memory is out."""


@dataclass(frozen=True, slots=True)
class IsolationLimits:
    """What one process may take.

    ``memory_bytes`` of address space: libraries take 0.4 GiB of it, a picture of 50 megapixels 0.1
    to 0.9 GiB. ``cpu_s`` of processor time for one picture, in whole seconds: one of 50 megapixels
    takes up to 2. ``timeout_s`` on the clock for one picture.
    """

    memory_bytes: int = 1536 * 2**20
    cpu_s: int = 5
    timeout_s: float = 30.0


SLOTS = 2
"""Pictures that a process has at once: the next one is there when it has hashed the first."""


class Cause(StrEnum):
    """Why a process is no more."""

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


class NotBegunError(Exception):
    """The process is no more, and has not begun with this picture."""


class Process:
    """One process, asked up to SLOTS things at once on one event loop. A death uses it up."""

    def __init__(self, limits: IsolationLimits, images: ImageLimits) -> None:
        """Spawn it, from the main thread: it dies with the thread that started it."""
        self.in_hand = 0
        self._over = False
        self._limits = limits
        self._images = images
        self._starts = [slot * images.max_bytes for slot in range(SLOTS)]
        self._turn = asyncio.Lock()
        size_bytes = SLOTS * images.max_bytes
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(0)
        picture = _shared_memory(size_bytes)
        try:
            self._pictures = mmap.mmap(picture, size_bytes)
            arguments = (theirs.fileno(), picture, os.getpid(), limits.memory_bytes)
            self._process = subprocess.Popen(  # noqa: S603 this package, and numbers
                [sys.executable, "-m", "disrupt.hashing.isolation_worker", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=(theirs.fileno(), picture),
            )
        finally:
            theirs.close()
            os.close(picture)

    @classmethod
    async def start(cls, limits: IsolationLimits, images: ImageLimits) -> tuple[Self, Ready]:
        """A process that can be asked; ProcessDiedError where it does not get so far."""
        process = cls(limits, images)
        try:
            answer = await process._answer(_START_TIMEOUT_S)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        return process, cast("Ready", answer)  # nothing was asked, and nobody came near it yet

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status as of subprocess; None while it can be asked."""
        return self._process.poll()

    async def ask(self, task: Task, picture: bytes) -> Answer:
        """Have a picture hashed, after those that it was asked before.

        ProcessDiedError where that ends the process, NotBegunError where it had ended before.
        """
        if self._over:
            raise NotBegunError
        start = self._starts.pop()
        self.in_hand += 1
        here = slice(start, start + len(picture))
        self._pictures[here] = picture
        try:
            self._allow_cpu_time()
            try:
                self._socket.send(pack_request(Request(task, start, len(picture), self._images)))
            except OSError:
                raise NotBegunError from None
            async with self._turn:
                if self._over:
                    raise NotBegunError
                self._allow_cpu_time()
                return await self._answer(self._limits.timeout_s)
        finally:
            # gone for both sides; giving the pages back would cost a tenth of a lookup
            self._pictures[here] = bytes(len(picture))
            self.in_hand -= 1
            self._starts.append(start)

    def kill(self) -> None:
        """End it at once, whatever it is at."""
        self._process.kill()
        self._socket.close()

    async def wait(self) -> int:
        """Exit status, as of subprocess."""
        try:
            return await asyncio.to_thread(self._process.wait, _DEATH_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return await asyncio.to_thread(self._process.wait)

    async def _answer(self, timeout_s: float) -> Answer:
        try:
            async with asyncio.timeout(timeout_s):
                loop = asyncio.get_running_loop()
                message = await loop.sock_recv(self._socket, ANSWER_BYTES_MAX)
        except TimeoutError:
            raise await self._died(Cause.TIMEOUT) from None
        except ConnectionResetError:  # it left a request unread; otherwise its end is no bytes
            message = b""
        try:
            return unpack_answer(message)
        except ValueError:
            raise await self._died(Cause.CRASH) from None

    async def _died(self, cause: Cause) -> ProcessDiedError:
        self._over = True  # from here on its process id may become another's
        if cause == Cause.TIMEOUT:
            self._process.kill()
        status = await self.wait()
        self._socket.close()
        if cause == Cause.CRASH and status == -signal.SIGXCPU:
            cause = Cause.CPU_TIME
        elif cause == Cause.CRASH and -status in _FROM_OUTSIDE:
            cause = Cause.KILLED
        return ProcessDiedError(cause, status)

    def _allow_cpu_time(self) -> None:
        """Limit it anew, from here: what it has used so far, and a picture's worth for each."""
        with contextlib.suppress(OSError):  # that it is gone is noticed elsewhere
            used_s = time.clock_gettime(_cpu_clock(self.pid))
            soft_s = math.ceil(used_s) + self.in_hand * self._limits.cpu_s
            resource.prlimit(self.pid, resource.RLIMIT_CPU, (soft_s, resource.RLIM_INFINITY))


def _shared_memory(size_bytes: int) -> int:
    """Descriptor of anonymous memory whose size neither side can change any more.

    Were it cut, the server would be killed by SIGBUS when it writes a picture.
    """
    memory = os.memfd_create("picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, size_bytes)
    seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    return memory


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in os.environ if name.startswith(_INHERITED)}
    return inherited | _ENVIRONMENT


def _cpu_clock(pid: int) -> int:
    """Clock of a process's processor time, as clock_getcpuclockid(3) makes it."""
    return ~pid << 3 | 2
