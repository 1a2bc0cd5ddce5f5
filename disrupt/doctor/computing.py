"""Check known answers of hashing and search on this machine, with these libraries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pdqhash

from disrupt.distinctiveness.nearness import check_limits
from disrupt.doctor.findings import Check, Finding, fail, ok, warn
from disrupt.hashing import check_known_answers
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.index import known_answers
from disrupt.isolation.child import ProcessDiedError
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos

_INSTALL = "Install the locked versions: requirements/runtime.txt."


def checks() -> tuple[Check, ...]:
    """Return all checks of this module."""
    return (
        Check("hashes", _hashes, _INSTALL),
        Check("pdq", _pdq, _INSTALL),
        Check("isolation", _isolation, _INSTALL),
        Check("videos", _videos, _INSTALL),
        Check("faiss", _faiss, _INSTALL),
        Check("kernels", _kernels, f"{_INSTALL} Delete the directory NUMBA_CACHE_DIR, if set."),
    )


def _hashes() -> Iterator[Finding]:
    check_known_answers()
    yield ok("hashes", "A known picture gets its known hashes, through every decoder and profile.")


def _pdq() -> Iterator[Finding]:
    """Compare hashes of smooth pictures, in which rounding decides no bit, with the reference."""
    y, x = np.mgrid[0:240, 0:320].astype(np.float64)
    for turn in (0.3, 0.7, 1.1):
        waves = np.sin(x * turn / 11 + y / 17) + np.cos(y * turn / 7 - x / 23) + x * y / 40_000
        luma = np.interp(waves, (waves.min(), waves.max()), (0, 255)).astype(np.uint8)
        bits, quality = pdqhash.compute(np.dstack([luma] * 3))
        own = hash_luma(luma)
        # The package counts bits from the other end than published hex does.
        reference = np.packbits(bits)
        distance_bits = int(np.bitwise_count(own.hashes ^ reference).sum())
        if distance_bits or int(own.qualities) != quality:
            yield fail(
                "pdq",
                f"Hashes are {distance_bits} bits from those of the reference implementation.",
                _INSTALL,
            )
            return
    yield ok("pdq", "Hashes equal those of the reference implementation, pdqhash.")


def _isolation() -> Iterator[Finding]:
    """Start a decoding process as the server does, and check how it is locked down."""

    async def lacking() -> tuple[str, ...]:
        async with IsolatedHashing(workers=1, queued=0) as isolated:
            return isolated.missing

    missing = asyncio.run(lacking())
    if missing:
        yield warn(
            "isolation",
            f"Pictures are decoded apart, and this kernel lacks {' and '.join(missing)}.",
            "Use Linux 5.13 or later with Landlock and seccomp on, and a container that permits"
            " them.",
        )
    else:
        yield ok("isolation", "Pictures are decoded in locked-down processes.")


def _videos() -> Iterator[Finding]:
    """Start a process for videos, as the server does for the first one that comes."""

    async def start() -> None:
        async with IsolatedVideos(workers=1, queued=0) as videos:
            await videos.start()

    try:
        asyncio.run(start())
    except (OSError, ProcessDiedError) as error:
        yield warn(
            "videos",
            f"No process that decodes videos starts ({error}): calls that send one fail, others"
            " are answered.",
            _INSTALL,
        )
    else:
        yield ok("videos", "Videos are decoded in locked-down processes.")


def _faiss() -> Iterator[Finding]:
    known_answers.check_flat_search()
    yield ok(
        "faiss",
        f"FAISS {known_answers.FAISS_VERSION} finds what a comparison with every hash does.",
    )


def _kernels() -> Iterator[Finding]:
    known_answers.check_table_search()
    check_limits()
    yield ok(
        "kernels",
        f"The search compiled by numba {known_answers.NUMBA_VERSION} finds what a comparison with"
        " every hash does, and near hashes are compared with shapes as by numpy.",
    )
