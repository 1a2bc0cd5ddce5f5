"""Landlock: a process gives up the file system, by raw system calls.

Linux 5.13 and later, where it is switched on. See landlock(7) and linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import struct

_CREATE_RULESET = 444  # on every architecture
_RESTRICT_SELF = 446
_VERSION_FLAG = 1

_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""Number of rights over files since each ABI; they are the lowest bits."""
_NETWORK_RIGHTS = 0b11  # bind and connect of TCP
_NETWORK_SINCE = 4
_SCOPES = 0b11  # abstract sockets and signals of processes outside
_SCOPES_SINCE = 6

_libc = ctypes.CDLL(None, use_errno=True)


def close_files() -> bool:
    """Give up all access to files, TCP and signals that this kernel's Landlock knows of.

    For the calling thread and those it starts. Open descriptors stay usable. False where the kernel
    has no Landlock. Privileges must have been renounced (no_new_privs) before.
    """
    version = _libc.syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    if version <= 0:
        return False
    rights = max(count for since, count in _FILE_RIGHTS.items() if since <= version)
    handled = struct.pack("=Q", (1 << rights) - 1)
    if version >= _NETWORK_SINCE:
        handled += struct.pack("=Q", _NETWORK_RIGHTS)
    if version >= _SCOPES_SINCE:
        handled += struct.pack("=Q", _SCOPES)
    # Add no rule: handled rights that no rule allows are denied.
    ruleset = _libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    try:
        if _libc.syscall(_RESTRICT_SELF, ruleset, 0):
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    finally:
        os.close(ruleset)
    return True
