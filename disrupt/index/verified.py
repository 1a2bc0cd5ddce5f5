"""Notes of which generations were read completely and found good, to spare reading them again.

``index/NNNNNNNN.verified`` beside a generation identifies its files by their status:
device, inode, size, and times of change, the last of which nobody can set. It holds for exactly
these files since this boot: a file that was written to, replaced or restored from a backup is read
again, and so is everything after a crash of the machine. It guards against damage, not against
processes that may write here: they could write a manifest that fits.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from disrupt.index.manifest import FileSum, Manifest, reading, refused

Identity = tuple[int, ...]
"""Status fields that stay equal as long as a file is not modified."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SETTLED_NS = 100_000_000
"""Clocks of file systems are coarse: two changes within some ms may look like one."""


def verify(
    directory: Path,
    manifest: Manifest,
    check: Callable[[Path, Manifest], None],
    *,
    anew: bool = False,
) -> dict[str, Identity]:
    """Return identities of a generation's files, once they fit its manifest and pass ``check``.

    Reads every byte, unless that was done before, or ``anew``. SnapshotRefusedError names the first
    file that is missing, truncated or altered; UnavailableError one that cannot be read now.
    """
    now_ns = time.time_ns()
    noted = None if anew else _noted(directory, manifest)
    if noted is not None:
        return noted
    identities = {name: _verify(directory / name, file) for name, file in manifest.files.items()}
    check(directory, manifest)
    note(directory, manifest, identities, now_ns)
    return identities


def note(
    directory: Path, manifest: Manifest, identities: dict[str, Identity], read_ns: int
) -> None:
    """Note that the files were read, at ``read_ns`` of the clock or later, and found good.

    Skipped where a file was written a moment before: it may be written again and look the same.
    Such files are small, and soon read again.
    """
    body = _body(manifest, identities)
    if directory.stat().st_uid != os.geteuid():
        return  # The note would belong to this user, beside files of the server's user.
    if body is None or any(
        file_identity[-1] + _SETTLED_NS > read_ns for file_identity in identities.values()
    ):
        return
    path = _path(directory)
    # One file per process: two may check the same generation at once.
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        aside.write_text(json.dumps(body), encoding="ascii")
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)


def sum_of(path: Path) -> tuple[FileSum, Identity]:
    """Return size and SHA-256 of a file, and its identity."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileSum(size_bytes=status.st_size, sha256=digest), identity(status)


def identity(status: os.stat_result) -> Identity:
    """Return the identity of a file with this status."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def forget(directory: Path) -> None:
    """Remove the note on a generation that is deleted."""
    _path(directory).unlink(missing_ok=True)


def _noted(directory: Path, manifest: Manifest) -> dict[str, Identity] | None:
    try:
        noted = json.loads(_path(directory).read_bytes())
        identities = {name: identity((directory / name).stat()) for name in manifest.files}
    except (OSError, ValueError, RecursionError):
        return None
    body = _body(manifest, identities)
    return identities if body is not None and noted == body else None


def _body(manifest: Manifest, identities: dict[str, Identity]) -> dict[str, object] | None:
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return {
        "boot": boot,
        "manifest": hashlib.sha256(manifest.to_bytes()).hexdigest(),
        "files": {name: list(file_identity) for name, file_identity in identities.items()},
    }


def _path(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.verified")


def _verify(path: Path, expected: FileSum) -> Identity:
    with reading(path):
        size_bytes = path.stat().st_size
        if size_bytes != expected.size_bytes:
            raise refused(path, f"{size_bytes} bytes, not {expected.size_bytes}: truncated")
        file_sum, read = sum_of(path)
    if file_sum != expected:
        raise refused(path, "altered: its checksum does not fit")
    return read
