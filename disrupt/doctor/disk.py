"""Check the disk of the data directory: kind of file system, free space, and fsync."""

from __future__ import annotations

import errno
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from disrupt.doctor.findings import Check, Finding, fail, ok, warn

_NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "lustre", "afs", "fuse.sshfs")
_PASSING = ("tmpfs", "ramfs", "overlay")
_MIN_FREE_BYTES = 64 * 2**20
_COMFORTABLE_BYTES = 2**30
_FREE = "Free space or enlarge the disk; `disrupt-index gc` removes old generations."
_FULL = {errno.ENOSPC, errno.EDQUOT}
_SYNCS = 5
_SLOW_SYNC_MS = 50.0


def checks(data_dir: Path) -> tuple[Check, ...]:
    """Return all checks of this module."""
    advice = "Check the disk, the mount options and the permissions of the data directory."
    return (
        Check("file system", lambda: file_system(data_dir), advice),
        Check("free space", lambda: free_space(data_dir), advice),
        Check("fsync", lambda: sync(data_dir), advice),
    )


def file_system(data_dir: Path, mounts: str | None = None) -> Iterator[Finding]:
    """Check that the data lies on a disk of this machine; ``mounts`` has the form of mountinfo."""
    kind = _kind_of(data_dir, mounts or Path("/proc/self/mountinfo").read_text())
    advice = "Put the data directory on a local disk (in a container: a volume)."
    if kind.startswith(_NETWORK):
        yield fail(
            "file system",
            f"The data lies on {kind}, a network file system: SQLite's log and the locks do not"
            " work there.",
            advice,
        )
    elif kind in _PASSING:
        yield warn(
            "file system",
            f"The data lies on {kind}, and goes with the machine's memory or the container.",
            advice,
        )
    else:
        yield ok("file system", f"The data lies on {kind}.")


def free_space(data_dir: Path) -> Iterator[Finding]:
    """Check for room for registrations and for one more generation of the index."""
    free_bytes = os.statvfs(data_dir).f_bavail * os.statvfs(data_dir).f_frsize
    wanted = _COMFORTABLE_BYTES + 2 * _used_bytes(data_dir)
    shown = f"{free_bytes // 2**20} MiB are free"
    if free_bytes < _MIN_FREE_BYTES:
        meaning = "registrations are about to be refused; lookups and withdrawals go on."
        yield warn("free space", f"{shown}: {meaning}", _FREE)
    elif free_bytes < wanted:
        yield warn(
            "free space", f"{shown}; a rebuild and a backup want {wanted // 2**20} MiB.", _FREE
        )
    else:
        yield ok("free space", f"{shown}.")


def sync(data_dir: Path) -> Iterator[Finding]:
    """Check that the disk takes a write and a sync, and measure how long that takes."""
    try:
        typical_ms = _typical_ms(data_dir)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        meaning = "The disk is full: it cannot be seen whether a write is durable."
        yield warn("fsync", meaning, _FREE)
        return
    if typical_ms > _SLOW_SYNC_MS:
        yield warn(
            "fsync",
            f"A write takes {typical_ms:.1f} ms to be durable, and each registration waits for"
            " some of them.",
            "Use a faster disk.",
        )
    else:
        yield ok("fsync", f"A write is durable in {typical_ms:.2f} ms.")


def _typical_ms(data_dir: Path) -> float:
    """Measure the median time until a write is durable."""
    taken_ms = []
    with tempfile.NamedTemporaryFile(dir=data_dir, prefix=".doctor-", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            began_s = time.perf_counter()
            os.fsync(file.fileno())
            taken_ms.append(1000 * (time.perf_counter() - began_s))
    return statistics.median(taken_ms)


def _kind_of(path: Path, mounts: str) -> str:
    """Return the file system of the longest mount point above ``path``."""
    real = os.path.realpath(path)
    deepest = ("", "unknown")
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode().decode("unicode_escape")
        if os.path.commonpath([real, point]) == point and len(point) >= len(deepest[0]):
            deepest = (point, after.split()[0])
    return deepest[1]


def _used_bytes(data_dir: Path) -> int:
    return sum(path.stat().st_size for path in data_dir.rglob("*") if path.is_file())
