"""The tables that multi-index hashing searches: made from the codes, mapped by every process.

This module says how they are laid out; only sorting and searching them needs compiled code, which
is imported when that is done: it costs a process half a second and 60 MB.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from disrupt.core.progress import Progress, quiet
from disrupt.index.manifest import refused

CHUNKS = 16
CHUNK_BITS = 16
KEYS = 1 << CHUNK_BITS
LOW_BITS = 16
"""Bits of an entry number that are stored as they are; those above are in ``high``."""

_SORTING = "Sorting"

PADDING = 32
"""Tags behind the last one of a chunk, which are read and ignored."""


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """What is kept beside n codes: 98 to 100 bytes each at ten million, and 4 MB.

    In each, a row per chunk; postings of a chunk are sorted by key, then entry. ``starts`` u32
    (16, 65537): first posting of each key. ``tags`` u16 (16, n + 32): following chunk of each
    posting's code. ``low`` u16 (16, n): lower 16 bits of each posting's entry. ``high`` i64
    (16, words): the upper bits h, as a set bit at place + key * rows + h, rows being the number of
    values of h (Elias-Fano coding).
    """

    starts: NDArray[np.uint32]
    tags: NDArray[np.uint16]
    low: NDArray[np.uint16]
    high: NDArray[np.int64]

    @classmethod
    def of(cls, codes: NDArray[np.uint8], threads: int = 1) -> Tables:
        """In memory, from codes of shape (n, 32), in one piece, 0 < n < 2³²."""
        return cls._sorted(codes, threads, lambda _name, shape, dtype: np.empty(shape, dtype))

    @classmethod
    def write(
        cls,
        directory: Path,
        codes: NDArray[np.uint8],
        threads: int = 1,
        progress: Progress = quiet,
    ) -> Tables:
        """As ``of``, in new files of a directory, which are mapped; not yet durable.

        OSError when the disk is full.
        """

        def create(name: str, shape: tuple[int, int], dtype: DTypeLike) -> NDArray[np.generic]:
            path = directory / file_name(name)
            array = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
            # writing to a page that the disk has no room for would kill the process
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            return array

        return cls._sorted(codes, threads, create, progress)

    @classmethod
    def map(cls, directory: Path, length: int) -> Tables:
        """From files that ``write`` made for ``length`` codes, read-only.

        SnapshotRefusedError names a file that is missing or not of this length.
        """
        arrays = []
        for name, (shape, dtype) in layout(length).items():
            path = directory / file_name(name)
            try:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise refused(path, "missing, or not a NumPy array file") from error
            if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
                raise refused(path, f"{array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")
            arrays.append(array.view(np.ndarray))
        return cls(*arrays)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All of them."""
        return self.starts, self.tags, self.low, self.high

    @property
    def size_bytes(self) -> int:
        """Of all arrays."""
        return sum(array.nbytes for array in self.arrays)

    @classmethod
    def _sorted(
        cls,
        codes: NDArray[np.uint8],
        threads: int,
        allocate: Callable[[str, tuple[int, int], DTypeLike], NDArray[np.generic]],
        progress: Progress = quiet,
    ) -> Tables:
        from disrupt.index import kernels

        length = len(codes)
        arrays = [allocate(name, shape, dtype) for name, (shape, dtype) in layout(length).items()]
        tables = cls(*arrays)  # type: ignore[arg-type]

        def sort(chunk: int) -> None:
            tables.high[chunk] = 0
            kernels.sort_chunk(
                address(codes),
                length,
                chunk,
                *(address(getattr(tables, field.name)[chunk]) for field in fields(cls)),
            )

        with ThreadPoolExecutor(threads) as pool:
            for done, _ in enumerate(pool.map(sort, range(CHUNKS)), 1):
                progress(_SORTING, done, CHUNKS)
        return tables


NO_TABLES = Tables(
    np.empty((CHUNKS, 0), np.uint32),
    np.empty((CHUNKS, 0), np.uint16),
    np.empty((CHUNKS, 0), np.uint16),
    np.empty((CHUNKS, 0), np.int64),
)
"""Of codes so few that all are compared."""


def high_rows(length: int) -> int:
    """Number of upper parts that the numbers of ``length`` entries have."""
    return ((length - 1) >> LOW_BITS) + 1


def high_words(length: int) -> int:
    """64-bit words that ``high`` has per chunk: a bit per code, and one per key and upper part."""
    # kernels compile this: it calls nothing
    rows = ((length - 1) >> LOW_BITS) + 1
    return ((length + KEYS * rows) >> 6) + 1


def layout(length: int) -> dict[str, tuple[tuple[int, int], DTypeLike]]:
    """Name, shape and type of each array of Tables over ``length`` codes."""
    return {
        "starts": ((CHUNKS, KEYS + 1), np.uint32),
        "tags": ((CHUNKS, length + PADDING), np.uint16),
        "low": ((CHUNKS, length), np.uint16),
        "high": ((CHUNKS, high_words(length)), np.int64),
    }


def file_name(name: str) -> str:
    """Of an array of Tables in a snapshot."""
    return f"search-{name}.npy"


def address(array: NDArray[Any]) -> int:
    """Where the array begins, for kernels; several times faster than ``array.ctypes``."""
    place: int = array.__array_interface__["data"][0]
    return place
