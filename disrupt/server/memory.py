"""Memory that is free, given back to the machine: glibc else keeps what large messages took."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 8 * 2**20
"""More than nearly all pictures have: what these take is kept, and used again."""

_libc = ctypes.CDLL(None)


def trim() -> None:
    """Give memory that is free back to the machine; takes some milliseconds."""
    _libc.malloc_trim(0)


def keep_little() -> None:
    """Have memory of the largest messages given back as soon as it is free, here and from now on.

    glibc else keeps it, see ``isolation.child.LIBRARIES``: as much again as three of them hold.
    """
    _libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    _libc.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES)
