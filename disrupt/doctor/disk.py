"""Check the disk of the data directory: kind of file system, and free space."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from disrupt.doctor.findings import Check, Finding, fail, ok, warn

_NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "lustre", "afs", "fuse.sshfs")
_PASSING = ("tmpfs", "ramfs", "overlay")
_COMFORTABLE_BYTES = 2**30
_LEAST_BYTES = 64 * 2**20


def checks(data_dir: Path) -> tuple[Check, ...]:
    """Return all checks of this module."""
    advice = "Check the disk, the mount options and the permissions of the data directory."
    return (
        Check("file system", lambda: file_system(data_dir), advice),
        Check("free space", lambda: free_space(data_dir), advice),
    )


def file_system(data_dir: Path, mounts: str | None = None) -> Iterator[Finding]:
    """Check that the data lies on a disk of this machine; ``mounts`` has the form of mountinfo."""
    kind = _kind_of(data_dir, mounts or Path("/proc/self/mountinfo").read_text())
    advice = "Put the data directory on a local disk (in a container: a volume)."
    if kind.startswith(_NETWORK):
        yield fail(
            f"The data lies on {kind}, a network file system: SQLite's log and the locks do not"
            " work there.",
            advice,
        )
    elif kind in _PASSING:
        yield warn(
            f"The data lies on {kind}, and goes with the machine's memory or the container.",
            advice,
        )
    else:
        yield ok(f"The data lies on {kind}.")


def free_space(data_dir: Path) -> Iterator[Finding]:
    """Check for room for registrations and for two more generations of the index."""
    disk = os.statvfs(data_dir)
    free_bytes = disk.f_bavail * disk.f_frsize
    files = (path for path in data_dir.rglob("*") if path.is_file())
    wanted_bytes = _COMFORTABLE_BYTES + 2 * sum(path.stat().st_size for path in files)
    advice = "Free space or enlarge the disk; `disrupt-index gc` removes old generations."
    if free_bytes < _LEAST_BYTES:
        yield fail(
            f"The disk is full: {free_bytes >> 20} MiB are free. Registrations are refused, or will"
            " be soon.",
            advice,
        )
    elif free_bytes < wanted_bytes:
        yield warn(
            f"{free_bytes >> 20} MiB are free; wanted are {wanted_bytes >> 20} MiB. With a full"
            " disk registrations are refused.",
            advice,
        )
    else:
        yield ok(f"{free_bytes >> 20} MiB are free.")


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
