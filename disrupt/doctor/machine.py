"""Check the clock and limits of this machine and process."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from disrupt.data_directory import DataDirectory
from disrupt.doctor.findings import Check, Finding, fail, ok, warn

_FIRST_YEAR = 2026
_LAST_YEAR = 2100
_WATCHED_S = 0.1
_JUMP_S = 0.02
_MIN_FILES = 1024
_MIN_MEMORY_BYTES = 512 * 2**20


def checks(data_dir: Path | None) -> tuple[Check, ...]:
    """Return all checks of this module; memory is compared with the index of ``data_dir``."""
    return (
        Check("clock", lambda: clock(data_dir), "Set the clock, and keep it by NTP."),
        Check("files", files, "Raise the limit on open files (systemd: LimitNOFILE=65536)."),
        Check("memory", lambda: memory(_size_bytes(data_dir)), "Give the machine more memory."),
        Check("core dumps", core_dumps, "Set the limit on core files to 0 (systemd: LimitCORE=0)."),
    )


def clock(data_dir: Path | None, now_s: float | None = None) -> Iterator[Finding]:
    """Check that the wall clock is plausible, steady, and not behind the newest file."""
    advice = "Set the clock, keep it by NTP, and start the server after that."
    wall_s, steady_s = time.time(), time.monotonic()
    time.sleep(_WATCHED_S)
    drift_s = abs((time.time() - wall_s) - (time.monotonic() - steady_s))
    now_s = time.time() if now_s is None else now_s
    now = datetime.fromtimestamp(now_s, UTC)
    newest_s = _newest_s(data_dir)
    if not _FIRST_YEAR <= now.year < _LAST_YEAR:
        yield fail("clock", f"The clock says {now:%Y-%m-%d}: cases would get wrong days.", advice)
    elif newest_s > now_s + 60:
        ahead = datetime.fromtimestamp(newest_s, UTC)
        yield warn(
            "clock",
            f"The clock says {now:%Y-%m-%d %H:%M} UTC, and the data was written at"
            f" {ahead:%Y-%m-%d %H:%M}: it has been set back.",
            advice,
        )
    elif drift_s > _JUMP_S:
        yield warn("clock", f"The clock jumped by {drift_s:.3f} s while it was watched.", advice)
    else:
        yield ok(
            "clock",
            f"{now:%Y-%m-%d %H:%M} UTC, and steady. Days and logs are in UTC, whatever the time"
            f" zone here ({time.strftime('%Z')}).",
        )


def files() -> Iterator[Finding]:
    """Check the limits on open files and on the size of files."""
    advice = "Raise it (systemd: LimitNOFILE=65536, LimitFSIZE=infinity)."
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # which the server takes at its start
    size, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if size != resource.RLIM_INFINITY:
        yield warn("files", f"No file may be larger than {size // 2**20} MiB.", advice)
    elif most != resource.RLIM_INFINITY and most < _MIN_FILES:
        yield warn("files", f"Each process may open only {most} files and connections.", advice)
    else:
        shown = "any number of" if most == resource.RLIM_INFINITY else str(most)
        yield ok("files", f"Each process may open {shown} files and connections.")


def memory(index_bytes: int, available_bytes: int | None = None) -> Iterator[Finding]:
    """Check for memory for two generations of the index, which are both open while they change."""
    advice = "Give the machine or container more memory, or run fewer workers."
    wanted = _MIN_MEMORY_BYTES + 2 * index_bytes
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    had = available_bytes if available_bytes is not None else _available_bytes()
    if limit != resource.RLIM_INFINITY and limit < wanted + 8 * 2**30:
        yield warn(
            "memory",
            f"The address space is limited to {limit // 2**20} MiB; mapped files count towards it.",
            "Remove the limit (systemd: LimitAS=infinity).",
        )
    elif had < wanted:
        yield warn(
            "memory",
            f"{had // 2**20} MiB are available; with this index {wanted // 2**20} MiB are wanted.",
            advice,
        )
    else:
        yield ok("memory", f"{had // 2**20} MiB are available, {wanted // 2**20} MiB are wanted.")


def core_dumps() -> Iterator[Finding]:
    """Check that core dumps are off: one would hold the pictures that are being decoded."""
    soft, _ = resource.getrlimit(resource.RLIMIT_CORE)
    if soft:
        yield warn(
            "core dumps",
            "A process that crashes may leave its memory on the disk, and with it a picture that"
            " it was decoding.",
            "Set the limit on core files to 0 (systemd: LimitCORE=0; shell: ulimit -c 0).",
        )
    else:
        yield ok("core dumps", "A process that crashes leaves nothing of its memory on the disk.")


def _newest_s(data_dir: Path | None) -> float:
    if data_dir is None or not data_dir.is_dir():
        return 0.0
    return max((path.stat().st_mtime for path in data_dir.iterdir() if path.is_file()), default=0.0)


def _size_bytes(data_dir: Path | None) -> int:
    """Return the size of the largest generation of the index."""
    if data_dir is None:
        return 0
    generations = DataDirectory(data_dir).index.glob("[0-9]*")
    return max(
        (
            sum(file.stat().st_size for file in generation.iterdir())
            for generation in generations
            if generation.is_dir()
        ),
        default=0,
    )


def _available_bytes() -> int:
    """Return what the kernel can give, or the control group where that is less."""
    rows = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(rows["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except OSError:
        return available
    return available if limit == "max" else min(available, int(limit) - used)
