"""The filter of system calls, run as the kernel runs it."""

from __future__ import annotations

import errno
import struct

import pytest

from disrupt.isolation import seccomp

_CLONE_FLAGS_OF_A_THREAD = 0x3D0F00
_SIGCHLD = 17
_EXEC = 4
_READ_WRITE = 3


def outcome(architecture: str, number: int, *arguments: int, threads: bool = False) -> int:
    """Return what the filter decides on a system call; see struct seccomp_data for its bytes."""
    column, audited = seccomp._ARCHITECTURES[architecture]
    code = b"".join(seccomp._program(column, audited, threads=threads))
    program: list[tuple[int, ...]] = list(struct.iter_unpack("=HBBI", code))
    data = struct.pack("=iIQ6Q", number, audited, 0, *arguments, *[0] * (6 - len(arguments)))
    at = loaded = 0
    while True:
        operation, then, otherwise, value = program[at]
        at += 1
        if operation == seccomp._RETURN:
            return value
        if operation == seccomp._LOAD:
            loaded = int.from_bytes(data[value : value + 4], "little")
        elif operation == seccomp._IF_EQUAL:
            at += then if loaded == value else otherwise
        else:
            at += then if loaded & value else otherwise


@pytest.mark.parametrize("architecture", seccomp._ARCHITECTURES)
def test_threads_are_refused_unless_asked_for_and_processes_and_executable_memory_always(
    architecture: str,
) -> None:
    column = seccomp._ARCHITECTURES[architecture][0]
    stack = 0x7FFF_FFFF_0000
    clone, clone3 = seccomp._CLONE[column], seccomp._CLONE3[column]
    for threads, decision in ((False, seccomp._REFUSE), (True, seccomp._ALLOW)):
        thread = outcome(architecture, clone, _CLONE_FLAGS_OF_A_THREAD, 0, threads=threads)
        assert thread == decision
        assert outcome(architecture, clone, _SIGCHLD, stack, threads=threads) == seccomp._REFUSE
    assert outcome(architecture, clone3) == 0x50000 | errno.ENOSYS
    for call in (seccomp._MMAP[column], seccomp._MPROTECT[column]):
        assert outcome(architecture, call, 0, 4096, _READ_WRITE) == seccomp._ALLOW
        assert outcome(architecture, call, 0, 4096, _READ_WRITE | _EXEC) == seccomp._REFUSE
