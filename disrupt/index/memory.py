"""Mapped memory: populate and release it outside of lookups, without the GIL."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

from numpy.typing import NDArray

_MADV_DONTNEED = 4
_MADV_POPULATE_READ = 22
"""Since Linux 5.14; older kernels map pages as they are accessed."""

_STEP_BYTES = 16 * 2**20
"""Longest piece in one call: a page fault waits while the kernel changes the mapping."""

_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def populate(*arrays: NDArray[Any]) -> None:
    """Map the pages of read-only mapped arrays, reading those that are not cached."""
    _advise(_MADV_POPULATE_READ, arrays)


def release(*arrays: NDArray[Any]) -> None:
    """Unmap their pages; a later reader maps them again."""
    _advise(_MADV_DONTNEED, arrays)


def _advise(advice: int, arrays: tuple[NDArray[Any], ...]) -> None:
    for array in arrays:
        begin = array.__array_interface__["data"][0]
        end = begin + array.nbytes
        begin -= begin % mmap.PAGESIZE
        for at in range(begin, end, _STEP_BYTES):
            _madvise(at, min(_STEP_BYTES, end - at), advice)
