"""Disk space kept for withdrawals: a full disk must not keep anybody from withdrawing.

A withdrawal writes to the database's log before it frees anything. Where there is no room for that,
the reserve is given up, and taken again as soon as there is room.
"""

import os
from contextlib import suppress
from pathlib import Path

import structlog

SIZE_BYTES = 8 * 2**20
"""Enough to withdraw some thousand hashes at once, and for the database to take up its log.

Less does for fewer: all of it is not to be had after a start on a full disk, whose log has taken
some of the space.
"""

_STEP_BYTES = 2**20
"""The size of the reserve is a multiple of it, so that the disk's own bookkeeping has room."""

_BLOCK_BYTES = 512
"""The unit of ``st_blocks``, whatever the file system's is."""

_log = structlog.get_logger(__name__)


class DiskReserve:
    """A file of zeros. Its caller serialises the calls.

    It guarantees nothing on a copy-on-write file system, or where others take freed space at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lacking = False

    def fill(self) -> None:
        """Allocate the space, or what there is of it, unless that is held; does not raise."""
        held_bytes = self._held_bytes()
        if held_bytes >= SIZE_BYTES:
            return
        lacking = not held_bytes
        with suppress(OSError):
            disk = os.statvfs(self._path.parent)
            room_bytes = held_bytes + disk.f_bavail * disk.f_frsize
            size_bytes = min(SIZE_BYTES, room_bytes // _STEP_BYTES * _STEP_BYTES)
            if size_bytes > held_bytes and self._take(size_bytes, held_bytes):
                lacking = False
        if lacking and not self._lacking:  # at the beginning, not at every attempt
            _log.error("disk_reserve_lacking", size_bytes=SIZE_BYTES)
        self._lacking = lacking

    def _take(self, size_bytes: int, held_bytes: int) -> bool:
        """Hold so much or, where there is no room for it, what was held before."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
        except OSError:
            os.ftruncate(descriptor, held_bytes)
            return False
        else:
            return True
        finally:
            os.close(descriptor)

    def release(self) -> bool:
        """Free the space; return False where none was held."""
        if not self._held_bytes():
            return False
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.ftruncate(descriptor, 0)
                os.fsync(descriptor)  # some file systems free blocks only then
            finally:
                os.close(descriptor)
        _log.error("disk_reserve_released")
        return True

    def _held_bytes(self) -> int:
        try:
            return self._path.stat().st_blocks * _BLOCK_BYTES
        except OSError:
            return 0
