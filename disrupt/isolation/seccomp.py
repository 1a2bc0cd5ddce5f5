"""seccomp: a process gives up all system calls but those that computing needs.

A BPF program over the number of the call and, for three of them, one argument: see seccomp(2) and
linux/bpf_common.h. Written here because it is a dozen lines: Python's bindings of libseccomp are
not kept up, and the system library need not be installed.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2

_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

_ALLOW = 0x7FFF_0000
_KILL = 0x8000_0000
_REFUSE = 0x0005_0000 | errno.EPERM
_UNKNOWN = 0x0005_0000 | errno.ENOSYS

_PROT_EXEC = 4
_CLONE_THREAD = 0x10000


_ARCHITECTURES = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}
"""Column of the tables below, and AUDIT_ARCH."""

_ALLOWED = {
    "read": (0, 63),
    "write": (1, 64),
    "recvfrom": (45, 207),
    "sendto": (44, 206),
    "close": (3, 57),
    "brk": (12, 214),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "getrandom": (318, 278),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_MMAP, _MPROTECT, _CLONE, _CLONE3 = (9, 222), (10, 226), (56, 220), (435, 435)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def close_system_calls(*, threads: bool) -> bool:
    """Give up all system calls but a few that reach nothing outside of the process.

    For the calling thread and those it starts, if ``threads`` may be; new processes and memory
    that can be executed may not. What is refused fails with EPERM. False where the kernel has no
    seccomp filters or the architecture is not known here. Privileges must have been renounced
    (no_new_privs) before.
    """
    known = _ARCHITECTURES.get(platform.machine())
    if known is None:
        return False
    code = b"".join(_program(*known, threads=threads))
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0:
        return True
    if ctypes.get_errno() == errno.EINVAL:
        return False
    raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


def _program(column: int, architecture: int, *, threads: bool) -> list[bytes]:
    program = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_IF_EQUAL, architecture, then=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
    ]
    for numbers in _ALLOWED.values():
        program += [
            _instruction(_IF_EQUAL, numbers[column], otherwise=1),
            _instruction(_RETURN, _ALLOW),
        ]
    for numbers, argument, bits, with_bits, without in (
        (_MMAP, 2, _PROT_EXEC, _REFUSE, _ALLOW),
        (_MPROTECT, 2, _PROT_EXEC, _REFUSE, _ALLOW),
        (_CLONE, 0, _CLONE_THREAD, _ALLOW if threads else _REFUSE, _REFUSE),
    ):
        program += [
            _instruction(_IF_EQUAL, numbers[column], otherwise=4),
            _instruction(_LOAD, _ARGUMENTS + 8 * argument),
            _instruction(_IF_ANY_BIT, bits, otherwise=1),
            _instruction(_RETURN, with_bits),
            _instruction(_RETURN, without),
        ]
    return [
        *program,
        # A filter cannot read its flags in memory: the C library falls back to clone.
        _instruction(_IF_EQUAL, _CLONE3[column], otherwise=1),
        _instruction(_RETURN, _UNKNOWN),
        _instruction(_RETURN, _REFUSE),
    ]


def _instruction(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """Pack one instruction; ``then`` and ``otherwise`` are how many of the next ones to skip."""
    return struct.pack("=HBBI", code, then, otherwise, value)
