"""Check what this machine does with the installed libraries, without a data directory."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

from disrupt.distinctiveness.limits import check_limits
from disrupt.doctor.findings import Check, Finding, ok, warn
from disrupt.hashing import check_known_answers
from disrupt.index.known_answers import check_flat_search, check_table_search
from disrupt.isolation.child import ProcessDiedError
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos

_INSTALL = "Install the locked versions: requirements/runtime.txt."
_CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


def checks() -> tuple[Check, ...]:
    """Return all checks of this module."""
    return (
        Check(
            "known answers",
            known_answers,
            f"{_INSTALL} Delete the directory NUMBA_CACHE_DIR, if set.",
        ),
        Check("isolation", isolation, _INSTALL),
        Check("videos", videos, _INSTALL),
        Check("core dumps", core_dumps, ""),
    )


def known_answers() -> Iterator[Finding]:
    """Hash a known picture, and compare both searches with brute force.

    An upgrade is checked so before the old server stops. Compiles the search, which takes seconds.
    """
    check_known_answers()
    check_flat_search()
    check_table_search()
    check_limits()
    yield ok("A known picture gets its hashes, and searches are exact.")


def isolation() -> Iterator[Finding]:
    """Start a decoding process as the server does, and check how it is locked down."""

    async def start() -> tuple[str, ...]:
        async with IsolatedHashing(workers=1, queued=0) as isolated:
            return isolated.missing

    missing = asyncio.run(start())
    if missing:
        yield warn(
            f"Pictures are decoded apart, and this kernel lacks {' and '.join(missing)}.",
            "Use Linux 5.13 or later with Landlock and seccomp on, and a container that permits"
            " them.",
        )
    else:
        yield ok("Pictures are decoded in locked-down processes.")


def videos() -> Iterator[Finding]:
    """Start a process for videos, as the server does for the first one that comes."""

    async def start() -> None:
        async with IsolatedVideos(workers=1, queued=0) as isolated:
            await isolated.start()

    try:
        asyncio.run(start())
    except (OSError, ProcessDiedError) as error:
        yield warn(
            f"No process that decodes videos starts ({error}): calls that send one fail, others"
            " are answered.",
            _INSTALL,
        )
    else:
        yield ok("Videos are decoded in locked-down processes.")


def core_dumps() -> Iterator[Finding]:
    """Check that core dumps are off: one would hold the pictures that are being decoded.

    The hard limit counts, as any process may raise its own to that. It does not bind the kernel
    where a program takes the dumps.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    pattern = _CORE_PATTERN.read_text().strip()
    if pattern.startswith("|"):
        program = pattern[1:].partition(" ")[0]
        yield warn(
            f"The kernel hands the memory of a process that crashes to {program}, whatever the"
            " limit on core files is: pictures and hashes with it.",
            "Let the kernel write files, which the limit forbids: sysctl kernel.core_pattern=core.",
        )
    elif hard:
        yield warn(
            "A process that is started like this command may leave its memory on the disk when it"
            " crashes, and with it pictures and hashes.",
            "Set the limit on core files to 0, the hard one too (systemd: LimitCORE=0; shell:"
            " ulimit -c 0).",
        )
    else:
        yield ok("A process that crashes leaves nothing of its memory on the disk.")
