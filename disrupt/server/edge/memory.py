"""Give memory back to the machine: glibc would keep what large messages took."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 8 * 2**20
"""More than nearly all pictures take: glibc keeps the memory of those, and reuses it."""

_libc = ctypes.CDLL(None)


def trim() -> None:
    """Give free memory back to the machine; takes some milliseconds."""
    _libc.malloc_trim(0)


def keep_little() -> None:
    """Make glibc give memory of the largest messages back as soon as it is free, in this process.

    By default it keeps as much as three of them hold, see ``isolation.child.LIBRARIES``.
    """
    _libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    _libc.mallopt(_M_TRIM_THRESHOLD, 2 * _LARGE_BYTES)
