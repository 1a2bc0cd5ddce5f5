"""Small file systems, and how to leave no room on them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def mounted(place: Path, size: str) -> Iterator[bool]:
    """Mount a file system of a size, as of tmpfs(5), within the block; yield False where barred."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        unmount = ["umount", "--lazy", str(place)]
        subprocess.run(unmount, check=True)


def fill(file: Path) -> None:
    """Leave no byte free, by writing a file."""
    for size in (1 << 16, 1):
        with file.open("ab", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(size)):
                pass
