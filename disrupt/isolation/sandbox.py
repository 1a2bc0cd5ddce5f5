"""The lock-down of a process that decodes untrusted media: it keeps its memory and one socket."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path

from disrupt.errors import DisruptError
from disrupt.isolation.landlock import close_files
from disrupt.isolation.seccomp import close_system_calls

LAYERS = ("landlock", "seccomp")
"""Layers that a kernel may lack; the limits on resources always hold."""

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x1000_0000
_CLONE_NEWNET = 0x4000_0000
_CAPABILITY_VERSION_3 = 0x2008_0522

_THREADS_END_S = 5.0

_libc = ctypes.CDLL(None, use_errno=True)


def lock_down(*, memory_bytes: int, parent: int, threads: bool = False) -> tuple[str, ...]:
    """Give up, for good, everything but computing and the descriptors that are open.

    ``memory_bytes`` bounds the address space. The process dies with ``parent``, its parent's
    process id, and leaves no core dump. No file can be opened or written, no socket, process or
    thread made; ``threads`` allows the last, without a bound. Standard streams are closed, since a
    library's message could quote what it decodes.

    Returns those of LAYERS that this kernel lacks. DisruptError if threads exist, which would stay
    outside. To be called last: nothing can be imported afterwards.
    """
    _await_ended_threads()
    _libc.malloc_trim(0)  # Return what warming up has freed.
    _close_streams()
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent is gone")
    _call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)  # Other processes of this user may not inspect it.
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _libc.unshare(_CLONE_NEWNET):
        # often forbidden; without sockets there is no network either
        _libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    _drop_capabilities()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    for none in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(none, (0, 0))
    layers = {"landlock": close_files()}
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    layers["seccomp"] = close_system_calls(threads=threads)
    return tuple(name for name in LAYERS if not layers[name])


def _await_ended_threads() -> None:
    """Wait until threads that a codec has joined are unlisted, which a tracer delays."""
    until_s = time.monotonic() + _THREADS_END_S
    while (threads := len(list(Path("/proc/self/task").iterdir()))) > 1:
        if time.monotonic() > until_s:
            raise DisruptError(f"The decoder has {threads} threads; one can be locked down.")
        time.sleep(0.01)


def _close_streams() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.close(nothing)


def _drop_capabilities() -> None:
    """Drop the capabilities of root, and those that a new user namespace gave."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())


def _call(function: str, *arguments: object) -> None:
    if getattr(_libc, function)(*arguments):
        raise OSError(ctypes.get_errno(), function)
